"""The cells of ``flax.linen`` in its ``RNN`` and ``Bidirectional``."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import as_state, state_parts

CLASSES = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell, "rnn": nn.SimpleCell}
CLASSES["rnn, relu"] = lambda features: nn.SimpleCell(features, activation_fn=nn.relu)

#: What ``Bidirectional`` calls the parameters of its layers.
DIRECTIONS = ("forward_rnn", "backward_rnn")


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case. A carry of Flax's is (c, h)."""
    layers = [nn.RNN(CLASSES[case.form](case.H)) for _ in weights]
    layer = layers[0] if case.directions == 1 else nn.Bidirectional(*layers)

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        parameters = [{"cell": unflatten_dict(arrays, sep="/")} for arrays in leaves]
        carries = [as_state(part[k] for part in reversed(state)) for k in range(len(leaves))]
        if len(leaves) == 2:
            tree, carry = dict(zip(DIRECTIONS, parameters)), tuple(carries)
        else:
            tree, carry = parameters[0], carries[0]
        last, output = layer.apply({"params": tree}, x, initial_carry=carry, time_major=True, return_carry=True)
        lasts = last if len(leaves) == 2 else [last]
        parts = zip(*(reversed(state_parts(carry)) for carry in lasts))
        return output, *(jnp.stack(part) for part in parts)

    return weights, call
