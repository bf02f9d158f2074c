"""What the tapes of all kernels have in common: memory laid out for few and large operations, and views of it.

Each quantity of a step is one contiguous (B, H) block, and what is activated or multiplied together lies side by
side. Views of the blocks, step by step, are made once with the memory, and a later run of the same sizes can write a
tape over: so no loop over time allocates anything. Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from manual.arrays import Array, Probe

#: Bytes of a tape whose local derivatives are computed at one go: steps enough to save calls, few enough for a cache.
CACHED = 1 << 18


class Tape:
    """What a run of a kernel leaves for its way back, and the memory that both ways work in.

    The gates lie with all sigmoids first; for each cell that is PyTorch's order, its last blocks moved to the front.

    Args:
        form: T, B, D, H, the size P of h, which is H unless h is projected, and the dtype of everything.
        gates: blocks of H rows of the weights.
        sigmoids: how many of the gates are sigmoids.
        moved: how many gates, the last in PyTorch's order, are the first here.
        quantities: blocks kept of each step, the gates first.
        adjoints: blocks of d_z.
    """

    def __init__(self, form: tuple[Any, ...], gates: int, sigmoids: int, moved: int, quantities: int, adjoints: int):
        self.form = T, B, D, H, P, dtype = form
        G = gates
        self.half = np.array(0.5, dtype)
        self.h_prev = np.zeros((T + 1, B, P), dtype)  # of each step, and after them h_n
        self.x_1 = np.ones((T, 1, B, D + 1), dtype)  # x, and a 1 for the bias to multiply
        self.blocks = np.zeros((T + 1, quantities, B, H), dtype)
        self.d_z = np.zeros((T, B, adjoints * H), dtype)  # one row for each step and batch row
        self.weight_ih, self.weight_hh = np.zeros((G * H, D), dtype), np.empty((G * H, P), dtype)

        # Transposed, with (F1) and in the order of the blocks: [W_ih b]ᵀ and W_hhᵀ.
        self.w_x = np.zeros((D + 1, G * H), dtype)
        self.w_h = np.zeros((P, G * H), dtype, order="F" if B == 1 else "C")
        self.halved = self.w_x[:, : sigmoids * H], self.w_h[:, : sigmoids * H]
        cut = (G - moved) * H
        self.moves = [(slice(0, moved * H), slice(cut, None))] if moved else []
        self.moves.append((slice(moved * H, None), slice(0, cut)))

        # A product for each gate makes a contiguous block of each. For B = 1 the blocks of all gates are one row.
        z_x = self.blocks[:T, :G]  # (T, G, B, H), W_ih x + b of all steps
        self.z_h = np.zeros((G, B, H), dtype)  # W_hh h_prev of one step
        if B == 1:
            self.input_product = self.x_1.reshape(T, D + 1), self.w_x, z_x.reshape(T, G * H)
        else:
            self.input_product = self.x_1, self._by_gate(self.w_x), z_x
        self.spans = self._spans(adjoints)

    def load(self, x: Array, h_0: Array, weights: Mapping[str, Array], bias: Array) -> None:
        """Copy what a run is given: x (T, B, D), h_0 (B, P), the weights and what is added to the input's share."""
        D = x.shape[2]
        self.x_1[:, 0, :, :D] = x
        self.h_prev[0] = h_0
        W_ih, W_hh = weights["weight_ih"], weights["weight_hh"]
        self.weight_ih[...], self.weight_hh[...] = W_ih, W_hh
        for here, there in self.moves:
            self.w_x[:D, here] = W_ih[there].T
            self.w_x[D, here] = bias[there]
            self.w_h[:, here] = W_hh[there].T
        for w in self.halved:
            w *= self.half  # (F1)

    def recurrent_product(self, gates: slice = slice(None)) -> tuple[Callable[..., Any], Array, Array]:
        """A function, its second and its third argument: called with h_prev (B, P) it fills the gates' part of z_h."""
        z_h, H = self.z_h[gates], self.z_h.shape[2]
        if self.form[1] > 1:
            return np.matmul, self._by_gate(self.w_h)[gates], z_h
        first, last, _ = gates.indices(len(self.z_h))
        return np.dot, self.w_h[:, first * H : last * H], z_h.reshape(1, -1)

    def _by_gate(self, w: Array) -> Array:
        """(in, G H) as (G, in, H)."""
        return w.reshape(len(w), -1, self.form[3]).transpose(1, 0, 2)

    def _spans(self, adjoints: int) -> list[tuple[slice, Array, Array, Array]]:
        """The steps in spans that fit a cache, from the last to the first.

        Of each its slice of the time axis; the blocks of d_z of its n steps, (n, A, B, H), in which local derivatives
        become adjoints; the same as rows, (n, B, A, H); and the part of ``d_z`` to copy them to, which for B = 1 is
        the same memory.
        """
        T, B, _, H, _, dtype = self.form
        n = min(T, max(1, CACHED // self.blocks[0].nbytes))
        scratch = np.zeros((n, adjoints, B, H), dtype)
        spans = []
        for start in reversed(range(0, T, n)):
            span = slice(start, min(start + n, T))
            rows = self.d_z[span].reshape(-1, B, adjoints, H)
            local = rows.transpose(0, 2, 1, 3) if B == 1 else scratch[: span.stop - start]
            spans.append((span, local, local.transpose(0, 2, 1, 3), rows))
        return spans


def through(probe: Probe, t: int, **values: Array) -> None:
    """Send each value through the probe, under its name, and let what comes back take its place."""
    for name, value in values.items():
        value[...] = probe(name, t, value.copy())
