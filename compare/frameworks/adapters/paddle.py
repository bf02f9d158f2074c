"""``paddle.nn.LSTM``, ``GRU`` and ``SimpleRNN``."""

from typing import Any

import paddle

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import as_state, state_parts

LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (paddle.nn.LSTM, {}),
    "gru": (paddle.nn.GRU, {}),
    "rnn": (paddle.nn.SimpleRNN, {}),
    "rnn, relu": (paddle.nn.SimpleRNN, {"activation": "relu"}),
}


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case."""
    paddle.set_default_dtype(case.dtype)
    kind, options = LAYERS[case.form]
    direction = "bidirect" if case.directions == 2 else "forward"
    layer = kind(case.D, case.H, time_major=True, direction=direction, **options)
    leaves = [
        {name: getattr(layer, name + suffix) for name in arrays} for arrays, suffix in zip(weights, case.suffixes)
    ]
    for own, arrays in zip(leaves, weights):
        for name, array in arrays.items():
            own[name].set_value(array)

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        output, last = layer(x, as_state(state))
        return output, *state_parts(last)

    return leaves, call
