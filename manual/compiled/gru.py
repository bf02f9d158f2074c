"""The equations of ``manual/gru.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/gru.py``; ``loops.py`` says what W is. What is passed to a loop is
contiguous, as it is compiled anew for each kind of array.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ascontiguousarray, empty

from manual.arrays import Array
from manual.compiled.activations import sigmoid, tanh
from manual.compiled.loops import (
    add_outer,
    add_transposed,
    compiled,
    copy,
    copy_h,
    load,
    multiply,
    unload,
    weight_gradients,
)
from manual.gru import GRUKernel, GRUStep, GRUTape


class CompiledGRUTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + H): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + H, 3H)
    gates: Array  # (T, B, 3H): r z n
    q: Array  # (T, B, H)

    def text_tape(self) -> GRUTape:
        """Return the run as the text records it, views of this tape."""
        D = len(self.W) - 1 - self.q.shape[2]
        steps = []
        for h_prev, gates, q in zip(self.x_1_h[:, :, D + 1 :], self.gates, self.q):
            r, z, n = np.split(gates, 3, axis=1)
            steps.append(GRUStep(h_prev, r, z, n, q))
        return GRUTape(self.x_1_h[:-1, :, :D], {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T}, steps)


@compiled
def forward(
    reset_after: bool,
    x: Array,
    h_0: Array,
    W_ih: Array,
    W_hh: Array,
    b_ih: Array,
    b_hh: Array,
    x_1_h: Array,
    W: Array,
    gates: Array,
    q: Array,
    output: Array,
    h_n: Array,
) -> None:
    """Run ``x`` from ``h_0``, and record it on the tape."""
    (T, B, D), H = x.shape, h_0.shape[1]
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    if reset_after:
        for u in range(2 * H, 3 * H):
            W[D, u] = b_ih[u]  # b_hn is a term of q
    W_x, W_h, W_hn = W[: D + 1], W[D + 1 :], W[D + 1 :, 2 * H :]
    from_h = np.empty_like(b_hh)
    for t in range(T):
        for b in range(B):
            g, h_prev, h = gates[t, b], x_1_h[t, b, D + 1 :], x_1_h[t + 1, b, D + 1 :]
            for k in range(3 * H):
                g[k], from_h[k] = 0, b_hh[k] if k >= 2 * H else 0
            add_transposed(W_x, x_1_h[t, b, : D + 1], g)
            add_transposed(W_h, h_prev, from_h if reset_after else from_h[: 2 * H])
            for u in range(H):
                g[u] = r = sigmoid(g[u] + from_h[u])  # (G1), (G2)
                g[H + u] = sigmoid(g[H + u] + from_h[H + u])  # (G1), (G3)
                if reset_after:
                    q[t, b, u] = from_h[2 * H + u]  # (G4)
                    g[2 * H + u] += r * q[t, b, u]  # (G5)
                else:
                    q[t, b, u] = r * h_prev[u]  # (G19)
            if not reset_after:
                add_transposed(W_hn, q[t, b], g[2 * H :])  # (G20)
            for u in range(H):
                z, n = g[H + u], tanh(g[2 * H + u])  # (G6)
                g[2 * H + u] = n
                h[u] = (1 - z) * n + z * h_prev[u]  # (G7)
    copy_h(x_1_h, output, h_n)


@compiled
def backward(
    reset_after: bool,
    x_1_h: Array,
    W: Array,
    gates: Array,
    q: Array,
    d_output: Array,
    d_h_n: Array,
    d_x: Array,
    d_h_prev: Array,
    d_W_ih: Array,
    d_W_hh: Array,
    d_b_ih: Array,
    d_b_hh: Array,
) -> None:
    """Carry ``d_output`` and ``d_h_n`` back; ``d_h_prev`` ends as the gradient of h_0."""
    (T, B, D), H = d_x.shape, d_h_prev.shape[1]
    W_x, W_h, W_hn = W[: D + 1], W[D + 1 :], W[D + 1 :, 2 * H :]
    d_W, d_b_hn = np.zeros_like(W), np.zeros_like(d_h_prev[0])
    d_W_x, d_W_h, d_W_hn = d_W[: D + 1], d_W[D + 1 :], d_W[D + 1 :, 2 * H :]
    d_z, d_from_h, d_q = np.empty_like(W[0]), np.empty_like(W[0]), np.empty_like(d_h_prev[0])
    d_x_1, from_gates = np.empty_like(W[: D + 1, 0]), np.empty_like(d_q)
    copy(d_h_n, d_h_prev)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            g, h_prev = gates[t, b], x_1_h[t, b, D + 1 :]
            for u in range(H):
                z, n = g[H + u], g[2 * H + u]
                d_h = d_output[t, b, u] + d_h_prev[b, u]  # (G8)
                d_z[H + u] = d_h * (h_prev[u] - n) * z * (1 - z)  # (G9)
                d_z[2 * H + u] = d_h * (1 - z) * (1 - n**2)  # (G10)
                d_h_prev[b, u] = d_h * z  # the first term of (G13) or (G23)
            if reset_after:
                for u in range(H):
                    r = g[u]
                    d_q[u] = d_z[2 * H + u] * r  # (G11)
                    d_z[u] = d_z[2 * H + u] * q[t, b, u] * r * (1 - r)  # (G12)
            else:
                multiply(W_hn, d_z[2 * H :], d_q)  # (G21)
                for u in range(H):
                    r = g[u]
                    d_z[u] = d_q[u] * h_prev[u] * r * (1 - r)  # (G22)
                    d_h_prev[b, u] += d_q[u] * r
            for u in range(H):
                d_from_h[u], d_from_h[H + u], d_from_h[2 * H + u] = d_z[u], d_z[H + u], d_q[u]
            d_by_h = d_from_h if reset_after else d_from_h[: 2 * H]
            multiply(W_h, d_by_h, from_gates)
            for u in range(H):
                d_h_prev[b, u] += from_gates[u]  # (G13) or (G23)
            multiply(W_x, d_z, d_x_1)
            for k in range(D):
                d_x[t, b, k] = d_x_1[k]  # (G14)
            add_outer(x_1_h[t, b, : D + 1], d_z, d_W_x)  # (G15), (G17)
            add_outer(h_prev, d_by_h, d_W_h)  # (G16), or (G24) of r and z
            for u in range(H):
                d_b_hn[u] += d_q[u] if reset_after else d_z[2 * H + u]
            if not reset_after:
                add_outer(q[t, b], d_z[2 * H :], d_W_hn)  # (G24) of n
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)  # with b_hn (G18) or (G25)
    for u in range(H):
        d_b_hh[2 * H + u] = d_b_hn[u]


class CompiledGRU:
    """One GRU layer in one direction; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than ``fast/``. Measured at H from 8 to 64:
    #: 1.1 to 1.6 times as fast at 256, level at about 500. At H = 128 even one row is level.
    most_units = 250

    def __init__(self, text: GRUKernel):
        self.reset_after = text.reset_after

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], CompiledGRUTape]:
        """Run as ``GRUKernel.forward`` does. ``out`` is not used: there is little to allocate."""
        (T, B, D), dtype = x.shape, x.dtype
        h_0 = ascontiguousarray(state[0])
        H = h_0.shape[1]
        tape = CompiledGRUTape(
            empty((T + 1, B, D + 1 + H), dtype),
            empty((D + 1 + H, 3 * H), dtype),
            empty((T, B, 3 * H), dtype),
            empty((T, B, H), dtype),
        )
        W_ih, W_hh, b_ih, b_hh = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]
        output, h_n = empty((T, B, H), dtype), empty((B, H), dtype)
        forward(self.reset_after, ascontiguousarray(x), h_0, W_ih, W_hh, b_ih, b_hh, *tape, output, h_n)
        return output, (h_n,), tape

    def backward(
        self, tape: CompiledGRUTape, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``GRUKernel.backward`` does."""
        (T, B, H), (K, N), dtype = d_output.shape, tape.W.shape, d_output.dtype
        d_h_n, d_x, d_h_0 = ascontiguousarray(d_state[0]), empty((T, B, K - 1 - H), dtype), empty((B, H), dtype)
        gradients = weight_gradients(N, K - 1 - H, H, dtype)
        backward(self.reset_after, *tape, ascontiguousarray(d_output), d_h_n, d_x, d_h_0, *gradients.values())
        return d_x, (d_h_0,), gradients
