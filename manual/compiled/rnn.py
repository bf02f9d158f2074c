"""The equations of ``manual/rnn.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/rnn.py``; ``loops.py`` says what W is. What is passed to a loop is
contiguous, as it is compiled anew for each kind of array.
"""

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy import empty

from manual.activations import ACTIVATIONS
from manual.arrays import Array
from manual.compiled.activations import activate, differentiate
from manual.compiled.loops import LoopsOverH, add_outer, add_transposed, compiled, copy, copy_h, load, multiply, unload
from manual.fast.rnn import FastRNN
from manual.rnn import RNNKernel, RNNStep, RNNTape


class CompiledRNNTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + H): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + H, H)

    @classmethod
    def new(cls, T: int, B: int, D: int, H: int, dtype: np.dtype[Any]) -> "CompiledRNNTape":
        """Return a tape to be filled."""
        return cls(empty((T + 1, B, D + 1 + H), dtype), empty((D + 1 + H, H), dtype))

    def equations_tape(self) -> RNNTape:
        """Return the run as the equations record it, views of this tape."""
        K, H = self.W.shape
        D = K - 1 - H
        h = self.x_1_h[:, :, D + 1 :]
        weights = {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T}
        return RNNTape(self.x_1_h[:-1, :, :D], weights, [RNNStep(h_prev, h_t) for h_prev, h_t in pairwise(h)])


@compiled
def forward(
    kind: int,
    x: Array,
    h_0: Array,
    W_ih: Array,
    W_hh: Array,
    b_ih: Array,
    b_hh: Array,
    x_1_h: Array,
    W: Array,
    output: Array,
    h_n: Array,
) -> None:
    """Run ``x`` from ``h_0``, and record it on the tape; ``kind`` is that of the activation."""
    T, B, D = x.shape
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    for t in range(T):
        for b in range(B):
            h = x_1_h[t + 1, b, D + 1 :]
            h[:] = 0
            add_transposed(W, x_1_h[t, b], h)  # (R1)
            activate(kind, h, h)  # (R2)
    copy_h(x_1_h, output, h_n)


@compiled
def backward(
    kind: int,
    x_1_h: Array,
    W: Array,
    d_output: Array,
    d_h_n: Array,
    d_x: Array,
    d_h: Array,
    d_W_ih: Array,
    d_W_hh: Array,
    d_b_ih: Array,
    d_b_hh: Array,
) -> None:
    """Carry ``d_output`` and ``d_h_n`` back; ``d_h`` ends as the gradient of h_0."""
    (T, B, D), H = d_x.shape, d_h.shape[1]
    d_z, d_x_1_h, d_W = np.empty_like(W[0]), np.empty_like(x_1_h[0, 0]), np.zeros_like(W)
    copy(d_h_n, d_h)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            differentiate(kind, x_1_h[t + 1, b, D + 1 :], d_z)
            for u in range(H):
                d_h[b, u] += d_output[t, b, u]  # (R3)
                d_z[u] *= d_h[b, u]  # (R4)
            multiply(W, d_z, d_x_1_h)
            for u in range(H):
                d_h[b, u] = d_x_1_h[D + 1 + u]  # (R5)
            for k in range(D):
                d_x[t, b, k] = d_x_1_h[k]  # (R6)
            add_outer(x_1_h[t, b], d_z, d_W)  # (R7) to (R10)
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)


class CompiledRNN(LoopsOverH):
    """One Elman layer in one direction; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than compiled activations alone. Measured at
    #: T = 8: 1.4 times as fast at 128, 1.2 at 192, level at 256 (H = 16, 32). At H = 128 one row is slower.
    most_units = 200

    def __init__(self, text: RNNKernel):
        super().__init__(list(ACTIVATIONS).index(text.nonlinearity), forward, backward, CompiledRNNTape.new)
        self.fused = FusedRNN(text.nonlinearity)


class FusedRNN(FastRNN):
    """The fast kernel with compiled activations."""

    def __init__(self, nonlinearity: str = "tanh"):
        super().__init__(nonlinearity)
        kind = list(ACTIVATIONS).index(nonlinearity)
        self.activation, self.derivative = partial(activate, kind), partial(differentiate, kind)
