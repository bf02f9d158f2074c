"""What the tapes of all kernels have in common: memory laid out for few and large operations, and views of it.

Each quantity of a step is one contiguous (B, H) block, and what is activated or multiplied together lies side by
side. Views of the blocks, step by step, are made once with the memory, and a later run of the same sizes can write a
tape over: so no loop over time allocates anything.
"""

from typing import Any

import numpy as np

from manual.arrays import Array, Probe


class Tape:
    """What a run of a kernel leaves for its way back, and the memory that both ways work in.

    Args:
        form: T, B, D, H, the size P of h, which is H unless h is projected, and the dtype of everything.
        quantities: blocks kept of each step.
        adjoints: blocks of d_z of each step.
    """

    def __init__(self, form: tuple[Any, ...], quantities: int, adjoints: int):
        self.form = T, B, D, H, P, dtype = form
        self.half = np.array(0.5, dtype)
        self.x_1_h = np.ones((T + 1, B, D + 1 + P), dtype)  # of each step x, a 1 for the bias to multiply, and h_prev
        self.h_prev = self.x_1_h[:, :, D + 1 :]  # after the last step h_n
        self.blocks = np.zeros((T + 1, quantities, B, H), dtype)  # of step t at t + 1; at 0 what the first step finds
        if B == 1:
            self.d_z = np.zeros((T, adjoints, 1, H), dtype).swapaxes(0, 1)
        else:
            self.d_z = np.zeros((adjoints, T, B, H), dtype)

    def load(self, x: Array, h_0: Array) -> None:
        """Copy the input (T, B, D) and the initial hidden state (B, P)."""
        T, _, D = x.shape
        self.x_1_h[:T, :, :D] = x
        self.h_prev[0] = h_0


def through(probe: Probe, t: int, **values: Array) -> None:
    """Send each value through the probe, under its name, and let what comes back take its place."""
    for name, value in values.items():
        value[...] = probe(name, t, value.copy())
