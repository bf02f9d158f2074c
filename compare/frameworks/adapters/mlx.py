"""``mlx.nn.LSTM``, ``GRU`` and ``RNN``, which return the states of all steps."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import state_parts

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
LAYERS["rnn, relu"] = lambda D, H: nn.RNN(D, H, nonlinearity=nn.relu)


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case, on the processor: no other device of MLX's has float64."""
    mx.set_default_device(mx.cpu)
    layer = LAYERS[case.form](case.D, case.H)

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        layer.update(leaves[0])
        steps = state_parts(layer(x.swapaxes(0, 1), *(part[0] for part in state)))
        return steps[0].swapaxes(0, 1), *(part[:, -1][None] for part in steps)

    return weights, call
