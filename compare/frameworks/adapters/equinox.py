"""The cells of ``equinox.nn``, over the batch by ``vmap`` and over time by ``scan``, as its manual shows."""

from typing import Any

import equinox as eqx
import jax

from compare.cells.layout import Arrays
from compare.frameworks.case import Call, LayerCase, Leaves
from manual.arrays import as_state, state_parts

CLASSES = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}


def build(case: LayerCase, weights: list[Arrays]) -> tuple[Leaves, Call]:
    """Build the layer of a case."""
    cell = CLASSES[case.form](case.D, case.H, key=jax.random.key(0))

    def call(leaves: Leaves, x: Any, *state: Any) -> tuple[Any, ...]:
        names = list(leaves[0])
        own = eqx.tree_at(lambda c: [getattr(c, name) for name in names], cell, [leaves[0][name] for name in names])

        def step(carry: Any, x: Any) -> Any:
            carry = jax.vmap(own)(x, carry)
            return carry, state_parts(carry)[0]

        last, output = jax.lax.scan(step, as_state(part[0] for part in state), x)
        return output, *(part[None] for part in state_parts(last))

    return weights, call
