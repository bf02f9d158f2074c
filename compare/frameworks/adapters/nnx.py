"""The cells of ``flax.nnx`` in its ``RNN`` and ``Bidirectional``."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import unflatten_dict

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import as_state, state_parts

CLASSES = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell, "rnn": nnx.SimpleCell, "rnn, relu": nnx.SimpleCell}


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case. A carry of Flax's is (c, h)."""
    options: dict[str, Any] = {"dtype": case.dtype, "param_dtype": case.dtype, "rngs": nnx.Rngs(0)}
    if case.form == "rnn, relu":
        options["activation_fn"] = nnx.relu
    layers = [nnx.RNN(CLASSES[case.form](case.D, case.H, **options)) for _ in weights]
    graphs = [nnx.split(layer, nnx.Param, ...) for layer in layers]

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        runs = [
            nnx.merge(graph, nnx.State({"cell": unflatten_dict(arrays, sep="/")}), rest)
            for (graph, _, rest), arrays in zip(graphs, leaves)
        ]
        carries = [as_state(part[k] for part in reversed(state)) for k in range(len(leaves))]
        if len(leaves) == 2:
            layer, carry = nnx.Bidirectional(*runs), tuple(carries)
        else:
            layer, carry = runs[0], carries[0]
        last, output = layer(x, initial_carry=carry, time_major=True, return_carry=True)
        lasts = last if len(leaves) == 2 else [last]
        parts = zip(*(reversed(state_parts(carry)) for carry in lasts))
        return output, *(jnp.stack(part) for part in parts)

    return weights, call
