"""The forms of the cells that frameworks have, and how each holds the weights of a layer, by framework and form."""

from dataclasses import replace

from compare.cells import CELLS, Form
from compare.cells.layout import Layout

#: By the names that tables show and other tables are keyed by.
FORMS = {
    form.name: form
    for form in (
        *(Form(CELLS["lstm"], {"peepholes": p, "coupled": c}) for c in (False, True) for p in (False, True)),
        Form(CELLS["gru"]),
        Form(CELLS["gru"], {"reset_after": False}),
        Form(CELLS["rnn"]),
        Form(CELLS["rnn"], {"nonlinearity": "relu"}),
        Form(CELLS["rnn"], {"nonlinearity": "sigmoid"}),
    )
}


_KERAS = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel"}
_LINEN = {"weight_ih": "i{gate}/kernel", "weight_hh": "h{gate}/kernel"}
_NNX = {"weight_ih": "dense_i/kernel", "weight_hh": "dense_h/kernel", "bias": "dense_i/bias"}
_HAIKU = {"weight_ih": "w_i", "weight_hh": "w_h", "bias": "b"}
_MLX = {"weight_ih": "Wx", "weight_hh": "Wh", "bias": "b", "bias_n": "bhn"}
_ONNX = {"weight_ih": "W", "weight_hh": "R", "bias": "B", "weight_ch": "P"}
_TENSORFLOW = {"weight": "w", "bias": "b", "weight_ch": "wc{gate}"}

_TORCH_RNN = Layout("h")
_KERAS_RNN = Layout("h", columns=True, biases=1, names=_KERAS)
_LINEN_RNN = Layout(
    "h", columns=True, biases=1, names={"weight_ih": "i/kernel", "weight_hh": "h/kernel", "bias": "i/bias"}
)
_NNX_RNN = Layout("h", columns=True, biases=1, names=_NNX)
_MLX_RNN = Layout("h", biases=1, names={"weight_ih": "Wxh", "weight_hh": "Whh"})
_ONNX_LSTM = Layout("i o f g", biases="stacked", names=_ONNX)
_COUPLED_LSTM = Layout("i o - g", biases="stacked", names=_ONNX)
_ONNX_GRU = Layout("z r n", biases="stacked", names=_ONNX)
_ONNX_RNN = Layout("h", biases="stacked", names=_ONNX)

#: A form that is not here is one that the framework does not have.
LAYOUTS: dict[str, dict[str, Layout]] = {
    "torch": {"lstm": Layout("i f g o"), "gru": Layout("r z n"), "rnn": _TORCH_RNN, "rnn, relu": _TORCH_RNN},
    "keras": {
        "lstm": Layout("i f g o", columns=True, biases=1, names=_KERAS),
        "gru": Layout("z r n", columns=True, biases="stacked", names=_KERAS),
        "gru, reset before": Layout("z r n", columns=True, biases=1, names=_KERAS),
        "rnn": _KERAS_RNN,
        "rnn, relu": _KERAS_RNN,
        "rnn, sigmoid": _KERAS_RNN,
    },
    "linen": {
        "lstm": Layout("i f g o", columns=True, biases=1, names=_LINEN | {"bias": "h{gate}/bias"}),
        "gru": Layout(
            "r z n", columns=True, biases="candidate", names=_LINEN | {"bias": "i{gate}/bias", "bias_n": "hn/bias"}
        ),
        "rnn": _LINEN_RNN,
        "rnn, relu": _LINEN_RNN,
    },
    "nnx": {
        "lstm": Layout("i f g o", columns=True, biases=1, names=_NNX | {"bias": "dense_h/bias"}),
        "gru": Layout("r z n", columns=True, biases=1, names=_NNX, lacking="n"),
        "rnn": _NNX_RNN,
        "rnn, relu": _NNX_RNN,
    },
    "haiku": {
        "lstm": Layout(
            "i g f o",
            columns=True,
            joined="xh",
            biases=1,
            names={"weight": "linear/w", "bias": "linear/b"},
            added={"f": 1.0},
        ),
        "gru, reset before": Layout("z r n", columns=True, biases=1, names=_HAIKU, negated="z"),
        "rnn, relu": Layout(
            "h",
            columns=True,
            names={
                "weight_ih": "linear/w",
                "weight_hh": "linear_1/w",
                "bias_ih": "linear/b",
                "bias_hh": "linear_1/b",
            },
        ),
    },
    "equinox": {"lstm": Layout("i f g o", biases=1), "gru": Layout("r z n", biases="candidate")},
    "onnx": {
        "lstm": _ONNX_LSTM,
        "lstm, peepholes": replace(_ONNX_LSTM, peepholes=True),
        "lstm, coupled": _COUPLED_LSTM,
        "lstm, peepholes, coupled": replace(_COUPLED_LSTM, peepholes=True),
        "gru": _ONNX_GRU,
        "gru, reset before": _ONNX_GRU,
        "rnn": _ONNX_RNN,
        "rnn, relu": _ONNX_RNN,
        "rnn, sigmoid": _ONNX_RNN,
    },
    "mlx": {
        "lstm": Layout("i f g o", biases=1, names=_MLX | {"bias": "bias"}),
        "gru": Layout("r z n", biases="candidate", names=_MLX),
        "rnn": _MLX_RNN,
        "rnn, relu": _MLX_RNN,
    },
    "tensorflow-block-v1": {
        "lstm": Layout("i g f o", columns=True, joined="xh", biases=1, names=_TENSORFLOW),
        "lstm, peepholes": Layout("i g f o", columns=True, joined="xh", biases=1, names=_TENSORFLOW, peepholes=True),
    },
    "tensorflow-block-v2": {
        "lstm": Layout("i f g o", columns=True, joined="xh", biases=1, names=_TENSORFLOW),
        "lstm, peepholes": Layout("i f g o", columns=True, joined="xh", biases=1, names=_TENSORFLOW, peepholes=True),
    },
}
LAYOUTS["paddle"] = LAYOUTS["torch"]
