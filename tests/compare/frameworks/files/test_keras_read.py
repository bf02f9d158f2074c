"""Keras models as their users build them: read with the outputs of Keras, or refused by name."""

import numpy as np
import pytest
from networks import bits, network_of

from compare.frameworks import files
from compare.frameworks.files import keras_layer, keras_read

pytest.importorskip("keras")
keras = keras_layer.import_keras()
K, ops = keras.layers, keras.ops

#: Keras and torch have fallen out of step with NumPy here; nothing of it is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

ALL = {"return_sequences": True}


def model_of(build, features=3, steps=None):
    """A functional model with random weights, biases included."""
    x = keras.Input((steps, features))
    built = build(x)
    inputs, outputs = built if isinstance(built[0], list) else (x, built)
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return model


def two_directions(x):
    backward = ops.flip(K.LSTM(5, go_backwards=True, **ALL)(x), 1)
    return K.Dense(4)(K.Concatenate()([K.LSTM(5, **ALL)(x), backward]))


def twice(x):
    layer = K.LSTM(3, **ALL)
    return layer(layer(x))


def nested(x):
    return K.Dense(2)(keras.Sequential([keras.Input((None, 3)), K.LSTM(5, **ALL)])(x))


READ = {
    "lstm": (lambda x: K.Dense(4)(K.LSTM(5, **ALL)(x)), "lstm, 1 layer from 3 to 5, readout to 4, batch first"),
    "softmax": (
        lambda x: K.Dense(4, "softmax")(K.GRU(5, **ALL)(K.GRU(5, **ALL)(x))),
        "to 4 with softmax, batch first",
    ),
    "sigmoid": (lambda x: K.Activation("sigmoid")(K.Dense(4)(K.LSTM(5, **ALL)(x))), "readout to 4 with sigmoid, batch"),
    "the usual classifier": (
        lambda x: K.Dense(4, "sigmoid")(K.Bidirectional(K.LSTM(5))(x)),
        "lstm, both directions, 1 layer from 3 to 5, readout to 4 with sigmoid, of the final state alone, batch first",
    ),
    "last step": (lambda x: K.Softmax()(K.Dense(4)(K.LSTM(5, **ALL)(x)[:, -1])), "softmax, of the final state alone"),
    "no readout": (lambda x: K.GRU(5)(x), "gru, 1 layer from 3 to 5, of the final state alone, batch first"),
    "with states": (lambda x: K.LSTM(5, return_state=True, **ALL)(x), "lstm, 1 layer from 3 to 5, batch first"),
    "two layers for two directions": (two_directions, "lstm, both directions, 1 layer from 3 to 5, readout to 4"),
    "used twice": (twice, "lstm, 2 layers from 3 to 3, batch first"),
    "nested": (nested, "lstm, 1 layer from 3 to 5, readout to 2, batch first"),
    "cells": (lambda x: K.RNN([K.LSTMCell(5), K.LSTMCell(5)], **ALL)(x), "lstm, 2 layers from 3 to 5"),
    "no biases": (lambda x: K.Dense(4, use_bias=False)(K.GRU(5, use_bias=False)(x)), "gru, 1 layer from 3 to 5"),
    "dropout": (
        lambda x: K.TimeDistributed(K.Dense(4))(K.Dropout(0.5)(K.LSTM(5, dropout=0.3, **ALL)(x))),
        "to 4, batch",
    ),
    "ops": (lambda x: ops.subtract(1.0, K.Dense(4)(K.Permute((2, 1))(K.Permute((2, 1))(K.GRU(5, **ALL)(x))))), "to 4"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_a_model_has_the_outputs_of_keras(tmp_path, name):
    build, words = READ[name]
    model = model_of(build)
    model.save(tmp_path / "m.keras")
    reading = files.read(tmp_path / "m.keras", "keras")
    assert words in reading.network.title and reading.proof.error < 1e-5
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    theirs = model(x)
    theirs = keras.ops.convert_to_numpy(theirs[0] if isinstance(theirs, (list, tuple)) else theirs)
    ours, last, *_ = reading.network.model().forward(x)
    ours = last[-1] if reading.network.final and not reading.network.readout else ours
    assert np.abs(ours - theirs).max() < 1e-6
    assert bool(reading.assumed) == (name == "used twice")


@pytest.mark.filterwarnings("ignore:You are saving")
def test_a_model_in_hdf5_is_read_and_not_written(tmp_path):
    model_of(lambda x: K.Dense(4, "sigmoid")(K.Bidirectional(K.LSTM(5))(x))).save(tmp_path / "m.h5")
    reading = files.read(tmp_path / "m.h5", "keras")
    assert "both directions" in reading.network.title and reading.proof.error < 1e-5
    with pytest.raises(ValueError, match=r"out: expected a kind of file that is not only read, as .*\.h5, got"):
        files.write(tmp_path / "again.h5", "keras", reading.network)


def decoder(x):
    _, *state = K.LSTM(5, return_state=True)(x)
    return K.LSTM(5, **ALL)(x, initial_state=state)


REFUSED = {
    "tanh between": (
        lambda x: K.LSTM(5, **ALL)(ops.tanh(K.LSTM(5, **ALL)(x))),
        "Tanh tanh.*: expected tanh of the",
    ),
    "factor between": (lambda x: K.LSTM(5)(2 * K.LSTM(5, **ALL)(x)), "Multiply multiply.*, after LSTM .*element-wise"),
    "factor before": (lambda x: K.LSTM(5)(2 * x), "Multiply multiply.*, before any recurrent layer"),
    "decoder": (decoder, "expected a caller's initial state, got elements of LSTM"),
    "residual": (lambda x: x + K.LSTM(3, **ALL)(x), "Add add.*, after LSTM"),
    "other activation": (
        lambda x: K.Dense(4, "gelu")(K.LSTM(5)(x)),
        "Dense dense.*: expected one of .*got gelu",
    ),
    "sum": (lambda x: K.Bidirectional(K.LSTM(5), merge_mode="sum")(x), "expected merge_mode concat, got sum"),
    "backward layer of its own": (
        lambda x: K.Bidirectional(K.LSTM(5), backward_layer=K.LSTM(5, activation="relu", go_backwards=True))(x),
        "Bidirectional .*: expected activation = 'tanh', got 'relu'",
    ),
    "last step of both": (lambda x: K.Bidirectional(K.LSTM(5, **ALL))(x)[:, -1], "the backward direction has read one"),
    "backwards alone": (lambda x: ops.flip(K.LSTM(5, go_backwards=True, **ALL)(x), 1), "got backwards alone"),
    "masking": (lambda x: K.LSTM(5)(K.Masking()(x)), "NotEqual .*, before any recurrent layer"),
    "convolution": (lambda x: K.LSTM(5)(K.Conv1D(3, 2)(x)), "Conv1D conv1d.*, before any .*1D convolution layer"),
    "normalisation": (lambda x: K.LSTM(5)(K.BatchNormalization()(x)), "BatchNormalization .*, before any recurrent"),
    "pooling": (lambda x: K.GlobalAveragePooling1D()(K.LSTM(5, **ALL)(x)), "GlobalAveragePooling1D .*, after LSTM"),
    "flattened steps": (
        lambda x: K.Dense(2)(K.Flatten()(K.LSTM(5, **ALL)(x))),
        "Dense .*: expected the outputs of",
    ),
    "over the features": (lambda x: K.LSTM(5)(K.Permute((2, 1))(x)), r"expected all of input .* in another order"),
    "forms": (lambda x: K.GRU(5)(K.LSTM(5, **ALL)(x)), "expected recurrent layers of one form, got lstm; gru"),
    "no recurrent layer": (lambda x: K.Dense(2)(x), "expected a recurrent layer to read the input"),
    "activation": (lambda x: K.LSTM(5, activation="relu")(x), "expected activation = 'tanh', got 'relu'"),
    "hard": (lambda x: K.GRU(5, recurrent_activation="hard_sigmoid")(x), "recurrent_activation = 'sigmoid', got 'hard"),
    "one and both": (lambda x: K.LSTM(5)(K.Bidirectional(K.LSTM(5, **ALL))(x)), "one direction in all or both in all"),
    "sizes": (
        lambda x: K.RNN([K.LSTMCell(5), K.LSTMCell(4)])(x),
        r"weight_ih_l1: expected shape .*, got \(16, 5\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_is_refused_by_name(name):
    build, words = REFUSED[name]
    model = model_of(build, steps=4 if name == "flattened steps" else 3)
    with pytest.raises(ValueError, match=words):
        keras_read.as_network(model, "m").network.model()


def test_states_that_are_inputs_are_the_callers():
    def build(x):
        h, c = keras.Input((5,)), keras.Input((5,))
        return [x, h, c], K.Dense(2)(K.LSTM(5, **ALL)(x, initial_state=[h, c]))

    assert keras_read.as_network(model_of(build), "m", prove=True).proof.error < 1e-5


def test_a_part_is_read_alone_and_what_is_left_out_is_listed():
    model = model_of(lambda x: K.Dense(2)(K.BatchNormalization()(K.LSTM(5, name="a", **ALL)(K.Conv1D(3, 2)(x)))))
    with pytest.raises(ValueError, match=r"--part NAME reads layers alone, of a$"):
        keras_read.as_network(model, "m")
    reading = keras_read.as_network(model, "m", "a", prove=True)
    assert reading.network.title == "lstm, 1 layer from 3 to 5, batch first" and reading.proof.error < 1e-5
    kinds = [" ".join(entry.split()[:-1]) for entry in reading.left_out]
    assert kinds == ["before: Conv1D", "after or beside: BatchNormalization", "after or beside: Dense"]
    with pytest.raises(ValueError, match="part: expected a recurrent layer, of a, got 'b'"):
        keras_read.as_network(model, "m", "b")


def test_keras_loads_the_weights_of_its_own_sequential_model(tmp_path):
    path, network = tmp_path / "model.weights.h5", network_of("lstm", lacking=True, batch_first=True)
    files.write(path, "keras", network)
    model = keras_layer.as_model(network_of("lstm", lacking=True))
    for array in model.weights:
        array.assign(0 * array)
    model.load_weights(path)
    assert bits(keras_read.as_network(model, "").network) == bits(network)
