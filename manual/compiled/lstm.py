"""The equations of ``manual/lstm.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/lstm.py``; ``loops.py`` says what W is. What is passed to a loop is
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
from manual.lstm import LSTMKernel, LSTMStep, LSTMTape


class CompiledLSTMTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + P): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + P, 4H)
    W_mh: Array  # (P, H); (0, H) without a projection
    gates: Array  # (T, B, 4H): i f g o
    c: Array  # (T + 1, B, H): c_0 first
    tanh_c: Array  # (T, B, H)

    def text_tape(self) -> LSTMTape:
        """Return the run as the text records it, views of this tape."""
        D = len(self.W) - 1 - (len(self.W_mh) or self.c.shape[2])
        h, steps = self.x_1_h[:, :, D + 1 :], []
        for t, gates in enumerate(self.gates):
            i, f, g, o = np.split(gates, 4, axis=1)
            steps.append(LSTMStep(h[t], self.c[t], i, f, g, o, self.c[t + 1], o * self.tanh_c[t]))
        weights = {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T, "weight_hr": self.W_mh}
        return LSTMTape(self.x_1_h[:-1, :, :D], weights, steps)


@compiled
def forward(
    x: Array,
    h_0: Array,
    c_0: Array,
    W_ih: Array,
    W_hh: Array,
    b_ih: Array,
    b_hh: Array,
    x_1_h: Array,
    W: Array,
    W_mh: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    output: Array,
    h_n: Array,
    c_n: Array,
) -> None:
    """Run ``x`` from ``h_0`` and ``c_0``, and record it on the tape, which has W_mh already."""
    (T, B, D), (P, H) = x.shape, (h_0.shape[1], c_0.shape[1])
    m = np.empty_like(c_0[0])
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    copy(c_0, c[0])
    for t in range(T):
        for b in range(B):
            z, h = gates[t, b], x_1_h[t + 1, b, D + 1 :]
            for n in range(4 * H):
                z[n] = 0
            add_transposed(W, x_1_h[t, b], z)  # (L1)
            for u in range(H):
                z[u] = i = sigmoid(z[u])  # (L2)
                z[H + u] = f = sigmoid(z[H + u])  # (L3)
                z[2 * H + u] = g = tanh(z[2 * H + u])  # (L4)
                z[3 * H + u] = o = sigmoid(z[3 * H + u])  # (L5)
                c[t + 1, b, u] = f * c[t, b, u] + i * g  # (L6)
                tanh_c[t, b, u] = tanh(c[t + 1, b, u])
                m[u] = o * tanh_c[t, b, u]  # (L7)
            if P < H:
                multiply(W_mh, m, h)  # (L21)
            else:
                for u in range(H):
                    h[u] = m[u]
    copy_h(x_1_h, output, h_n)
    copy(c[T], c_n)


@compiled
def backward(
    x_1_h: Array,
    W: Array,
    W_mh: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    d_output: Array,
    d_h_n: Array,
    d_c_n: Array,
    d_x: Array,
    d_h: Array,
    d_c: Array,
    d_W_ih: Array,
    d_W_hh: Array,
    d_b_ih: Array,
    d_b_hh: Array,
    d_W_mh: Array,
) -> None:
    """Carry ``d_output``, ``d_h_n`` and ``d_c_n`` back; ``d_h`` and ``d_c`` end as the gradients of h_0 and c_0."""
    (T, B, D), (P, H) = d_x.shape, (d_h.shape[1], d_c.shape[1])
    d_z, d_x_1_h, d_W = np.empty_like(W[0]), np.empty_like(x_1_h[0, 0]), np.zeros_like(W)
    d_m, m = np.empty_like(d_c[0]), np.empty_like(d_c[0])
    copy(d_h_n, d_h)
    copy(d_c_n, d_c)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            for p in range(P):
                d_h[b, p] += d_output[t, b, p]  # (L8)
            if P < H:
                for u in range(H):
                    d_m[u], m[u] = 0, gates[t, b, 3 * H + u] * tanh_c[t, b, u]  # (L7)
                add_transposed(W_mh, d_h[b], d_m)  # (L22)
                add_outer(d_h[b], m, d_W_mh)  # (L23)
            else:
                for u in range(H):
                    d_m[u] = d_h[b, u]
            for u in range(H):
                i, f, g, o = gates[t, b, u], gates[t, b, H + u], gates[t, b, 2 * H + u], gates[t, b, 3 * H + u]
                tanh_c_u = tanh_c[t, b, u]
                d_c[b, u] += d_m[u] * o * (1 - tanh_c_u**2)  # (L9)
                d_z[u] = d_c[b, u] * g * i * (1 - i)  # (L10)
                d_z[H + u] = d_c[b, u] * c[t, b, u] * f * (1 - f)  # (L11)
                d_z[2 * H + u] = d_c[b, u] * i * (1 - g**2)  # (L12)
                d_z[3 * H + u] = d_m[u] * tanh_c_u * o * (1 - o)  # (L13)
                d_c[b, u] *= f  # (L14)
            multiply(W, d_z, d_x_1_h)
            for p in range(P):
                d_h[b, p] = d_x_1_h[D + 1 + p]  # (L15)
            for k in range(D):
                d_x[t, b, k] = d_x_1_h[k]  # (L16)
            add_outer(x_1_h[t, b], d_z, d_W)  # (L17) to (L20)
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)


class CompiledLSTM:
    """One LSTM layer in one direction; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than ``fast/``. Measured at H from 8 to 64:
    #: 1.1 to 1.4 times as fast at 128, level at about 200. At H = 128 even one row is slower.
    most_units = 100

    def __init__(self, text: LSTMKernel):
        self.projected = bool(text.proj_size)

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], CompiledLSTMTape]:
        """Run as ``LSTMKernel.forward`` does. ``out`` is not used: there is little to allocate."""
        (T, B, D), dtype = x.shape, x.dtype
        h_0, c_0 = ascontiguousarray(state[0]), ascontiguousarray(state[1])
        P, H = h_0.shape[1], c_0.shape[1]
        tape = CompiledLSTMTape(
            empty((T + 1, B, D + 1 + P), dtype),
            empty((D + 1 + P, 4 * H), dtype),
            weights["weight_hr"].copy() if self.projected else empty((0, H), dtype),
            empty((T, B, 4 * H), dtype),
            empty((T + 1, B, H), dtype),
            empty((T, B, H), dtype),
        )
        W_ih, W_hh, b_ih, b_hh = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]
        output, last = empty((T, B, P), dtype), (empty((B, P), dtype), empty((B, H), dtype))
        forward(ascontiguousarray(x), h_0, c_0, W_ih, W_hh, b_ih, b_hh, *tape, output, *last)
        return output, last, tape

    def backward(
        self, tape: CompiledLSTMTape, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``LSTMKernel.backward`` does."""
        (T, B, P), (K, N), dtype = d_output.shape, tape.W.shape, d_output.dtype
        d_h_n, d_c_n = ascontiguousarray(d_state[0]), ascontiguousarray(d_state[1])
        d_x, d_first = empty((T, B, K - 1 - P), dtype), (empty((B, P), dtype), empty((B, N // 4), dtype))
        gradients = weight_gradients(N, K - 1 - P, P, dtype) | {"weight_hr": np.zeros(tape.W_mh.shape, dtype)}
        backward(*tape, ascontiguousarray(d_output), d_h_n, d_c_n, d_x, *d_first, *gradients.values())
        if not self.projected:
            del gradients["weight_hr"]
        return d_x, d_first, gradients
