"""The cells of ``flax.linen`` and of ``flax.nnx`` in their ``RNN`` and ``Bidirectional``."""

from importlib import import_module
from typing import Any

import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import as_state, state_parts

CELLS = {"lstm": "OptimizedLSTMCell", "gru": "GRUCell", "rnn": "SimpleCell", "rnn, relu": "SimpleCell"}

#: What linen's ``Bidirectional`` calls the parameters of its layers.
DIRECTIONS = ("forward_rnn", "backward_rnn")


def build(case: LayerCase, weights: list[Arrays], api: str) -> tuple[Leaves, Call]:
    """Build the layer of a case with ``linen`` or ``nnx``. A carry of Flax's is (c, h)."""
    flax, both = import_module(f"flax.{api}"), case.directions == 2
    options = {"activation_fn": flax.relu} if case.form == "rnn, relu" else {}
    if api == "linen":
        layers = [flax.RNN(getattr(flax, CELLS[case.form])(case.H, **options)) for _ in weights]
        layer = flax.Bidirectional(*layers) if both else layers[0]
    else:
        options |= {"dtype": case.dtype, "param_dtype": case.dtype, "rngs": flax.Rngs(0)}
        layers = [flax.RNN(getattr(flax, CELLS[case.form])(case.D, case.H, **options)) for _ in weights]
        graphs = [flax.split(layer, flax.Param, ...) for layer in layers]

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        cells = [{"cell": unflatten_dict(arrays, sep="/")} for arrays in leaves]
        carries = tuple(as_state(part[k] for part in reversed(state)) for k in range(len(leaves)))
        carry = {"initial_carry": carries if both else carries[0], "time_major": True, "return_carry": True}
        if api == "linen":
            last, output = layer.apply({"params": dict(zip(DIRECTIONS, cells)) if both else cells[0]}, x, **carry)
        else:
            runs = [flax.merge(graph, flax.State(cell), rest) for (graph, _, rest), cell in zip(graphs, cells)]
            last, output = (flax.Bidirectional(*runs) if both else runs[0])(x, **carry)
        parts = zip(*(reversed(state_parts(of_one)) for of_one in (last if both else [last])))
        return output, *(jnp.stack(part) for part in parts)

    return weights, call
