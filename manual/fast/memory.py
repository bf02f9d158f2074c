"""The memory that the fast kernels work in, laid out for few, large operations, and named views of it.

Each quantity of a step is one contiguous (B, H) block; what is activated or multiplied together is contiguous, too.
The views of each step are made once, with the memory, and a later run of the same sizes can overwrite it; so no loop
over time allocates anything.
P is the size of h, which is H unless h is projected.
"""

from dataclasses import make_dataclass
from functools import cache
from typing import Any, Self

import numpy as np

from manual.arrays import Array, Parts, Weights
from manual.fast.products import FromGates, ToGates, sums_of_outer_products


class Memory:
    """What all cells store: h_prev, x and a 1 in one row, the blocks of each step, and d_z.

    ``units`` are the blocks with all rows in one; ``units_of_d_z`` those of d_z, and how steps and adjoints are apart.

    Args:
        plan: T, B, D, H, P and the dtype of everything, and what else the layout depends on.
        quantities: blocks of each step.
        adjoints: blocks of d_z of each step.
        one_after_h: whether there is a 1 after h_prev, too.
    """

    to_x: FromGates
    d_z_to_x: Array  #: d_z, as ``to_x`` multiplies it

    def __init__(self, plan: tuple[Any, ...], quantities: int, adjoints: int, one_after_h: bool = False):
        self.plan = plan
        T, B, D, H, P, dtype = self.sizes = plan[:6]
        self.one = np.array(1, dtype)
        # A 1 multiplies a bias. What may be large comes last, so that few partial sums are rounded at its magnitude.
        all_rows = np.ones((T + 1, B, P + one_after_h + D + 1), dtype)  # at T only h_n counts
        self.rows, self.x, self.h_prev = all_rows[:T], all_rows[:T, :, -1 - D : -1], all_rows[:, :, :P]
        self.blocks = np.zeros((T + 1, quantities, B, H), dtype)  # step t at t + 1; at 0 what the first step reads
        if B == 1:  # the blocks of one step in one row
            self.d_z = np.zeros((T, adjoints, 1, H), dtype).swapaxes(0, 1)
            self.units_of_d_z = self.d_z.swapaxes(0, 1).reshape(-1, H), adjoints, 1
        else:
            self.d_z = np.zeros((adjoints, T, B, H), dtype)
            self.units_of_d_z = self.d_z.reshape(-1, B * H), 1, T
        self.units = self.blocks.reshape(T + 1, quantities, B * H)

    @classmethod
    def reuse(cls, out: object, *plan: Any) -> Self:
        """Return ``out`` if it is memory of the same plan, to be overwritten, and new memory otherwise."""
        return out if isinstance(out, cls) and out.plan == plan else cls(*plan)

    def d_x(self) -> Array:
        """Return the gradient of x (T, B, D) from d_z of all steps."""
        T, B, D, _, _, dtype = self.sizes
        d_x = np.empty((T * B, D), dtype)
        self.to_x(self.d_z_to_x, d_x)  # (L16), (G14), (R6)
        return d_x.reshape(T, B, D)


class OneProductMemory(Memory):
    """The memory of a cell all of whose gates read the same row, in one product.

    Args:
        plan: as in ``Memory``.
        quantities: likewise.
        gates: their number; their adjoints are all there are.
        block: the first gate's block; the others follow.
        first: which gate of the weights is the first one; those before it are the last.
    """

    def __init__(self, plan: tuple[Any, ...], quantities: int, gates: int, block: int = 0, first: int = 0):
        super().__init__(plan, quantities, gates)
        self.first = first
        T, B, D, H, P, dtype = self.sizes
        self.to_gates = ToGates(gates, B, P + D + 1, H, dtype, hoisted=D + 1)
        self.to_h_prev = FromGates(gates, B, H, P, dtype)
        self.to_x = FromGates(gates, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.operand(self.d_z)
        self.z = self.blocks[1:, block : block + gates]

    def load(self, x: Array, state: Parts, weights: Weights, negated: int = 0) -> None:
        """Copy the arguments of a run, and compute what is hoisted. The last ``negated`` gates get -z."""
        self.x[...] = x
        self.h_prev[0] = state[0]
        bias = weights["bias_ih"] + weights["bias_hh"]
        columns = weights["weight_hh"], weights["weight_ih"], bias[:, None]
        self.to_gates.load(*columns, first=self.first, negated=negated)
        self.to_h_prev.load(weights["weight_hh"])
        self.to_x.load(weights["weight_ih"])
        self.to_gates.hoist(self.rows, self.z)

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of weights and biases from d_z of all steps."""
        d_W_h, d_W_x = sums_of_outer_products(self.d_z, self.rows, self.sizes[4])  # (F4) (G H, P), (G H, D + 1)
        return {
            "weight_ih": d_W_x[:, :-1].copy(),  # (L17), (R7) (G H, D)
            "weight_hh": d_W_h,  # (L18), (R8) (G H, P)
            "bias_ih": d_W_x[:, -1].copy(),  # (L19), (R9) (G H,)
            "bias_hh": d_W_x[:, -1].copy(),  # (L20), (R10) (G H,)
        }


def by_step(**views: Array | list[Array]) -> list[Any]:
    """Return the views of each step by name, from those of all steps, (T, …)."""
    return list(map(_step(*views), *views.values()))


@cache
def _step(*names: str) -> type[Any]:
    return make_dataclass("Step", names, slots=True)
