import numpy as np
import pytest
from networks import bits, network_of

from compare.frameworks import files
from compare.frameworks.files import keras_read, keras_write
from compare.frameworks.layouts import LAYOUTS

#: Keras and torch have fallen out of step with NumPy here; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.mark.parametrize("form", LAYOUTS["keras"])
def test_a_layer_of_a_keras_model_has_the_outputs_of_keras(tmp_path, form):
    keras = pytest.importorskip("keras")
    path = tmp_path / "model.keras"
    kind, options = {
        "lstm": ("LSTM", {"unit_forget_bias": True}),
        "gru": ("GRU", {}),
        "gru, reset before": ("GRU", {"reset_after": False}),
        "rnn": ("SimpleRNN", {}),
        "rnn, relu": ("SimpleRNN", {"activation": "relu"}),
        "rnn, sigmoid": ("SimpleRNN", {"activation": "sigmoid"}),
    }[form]
    layers = [
        getattr(keras.layers, kind)(5, return_sequences=True, bias_initializer="random_normal", **options) for _ in "ab"
    ]
    model = keras.Sequential([keras.Input((None, 3)), *layers, keras.layers.Dense(4)])
    model.save(path)
    x = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    theirs = keras.ops.convert_to_numpy(model(x.swapaxes(0, 1)))
    assert np.abs(files.load(path).forward(x)[0] - theirs.swapaxes(0, 1)).max() < 1e-6


def test_keras_loads_the_weights_of_its_own_sequential_model(tmp_path):
    pytest.importorskip("keras")
    path, network = tmp_path / "model.weights.h5", network_of("lstm", lacking=True)
    files.write(path, "keras", network)
    model = keras_write.as_model(network_of("lstm", lacking=True))
    for array in model.weights:
        array.assign(0 * array)
    model.load_weights(path)
    assert bits(keras_read.as_network(model, "")) == bits(network)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"activation": "relu"}, "expected activation = 'tanh', got 'relu'"),
        ({"recurrent_activation": "hard_sigmoid"}, "expected recurrent_activation = 'sigmoid', got 'hard_sigmoid'"),
        ({"go_backwards": True}, "expected go_backwards = False, got True"),
        ({"use_bias": False}, "expected use_bias = True, got False"),
    ],
)
def test_a_keras_layer_that_manual_lacks_is_refused(options, words):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(5, **options)])
    with pytest.raises(ValueError, match=words):
        keras_read.as_network(model, "model")
    lstm = keras.layers.LSTM(5, return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Bidirectional(lstm), keras.layers.LSTM(5)])
    with pytest.raises(ValueError, match="layers: expected one direction in all or both in all"):
        keras_read.as_network(model, "model").model()
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Conv1D(5, 2)])
    with pytest.raises(ValueError, match=r"expected one of lstm; .*, got Conv1D"):
        keras_read.as_network(model, "model")
