"""The equations of ``manual/lstm_variants.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/lstm_variants.py``; ``loops.py`` says what W is. What is passed to a
loop is contiguous, as it is compiled anew for each kind of array.
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
from manual.lstm_variants import LSTMVariantKernel, LSTMVariantStep, LSTMVariantTape


class CompiledLSTMVariantTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + H): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + H, G H)
    p: Array  # (3H,): p_i p_f p_o, zeros where there is none
    gates: Array  # (T, B, 4H): i f g o
    c: Array  # (T + 1, B, H): c_0 first
    tanh_c: Array  # (T, B, H)

    def text_tape(self) -> LSTMVariantTape:
        """Return the run as the text records it, views of this tape."""
        (K, N), H = self.W.shape, self.c.shape[2]
        D = K - 1 - H
        h, steps = self.x_1_h[:, :, D + 1 :], []
        for t, gates in enumerate(self.gates):
            i, f, g, o = np.split(gates, 4, axis=1)
            steps.append(LSTMVariantStep(h[t], self.c[t], i, f, g, o, self.c[t + 1]))
        weight_ch = self.p if N == 4 * H else np.concatenate((self.p[:H], self.p[2 * H :]))
        weights = {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T, "weight_ch": weight_ch}
        return LSTMVariantTape(self.x_1_h[:-1, :, :D], weights, steps)


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
    p: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    output: Array,
    h_n: Array,
    c_n: Array,
) -> None:
    """Run ``x`` from ``h_0`` and ``c_0``, and record it on the tape, which has p already."""
    (T, B, D), H = x.shape, c_0.shape[1]
    coupled = len(b_ih) == 3 * H
    z = np.empty_like(b_ih)  # of the gates i f g o, or i g o
    z_g, z_o = z[-2 * H : -H], z[-H:]
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    copy(c_0, c[0])
    for t in range(T):
        for b in range(B):
            gate, h = gates[t, b], x_1_h[t + 1, b, D + 1 :]
            for n in range(len(z)):
                z[n] = 0
            add_transposed(W, x_1_h[t, b], z)  # (L1)
            for u in range(H):
                gate[u] = i = sigmoid(z[u] + p[u] * c[t, b, u])  # (L24)
                if coupled:
                    gate[H + u] = f = 1 - i  # (L32)
                else:
                    gate[H + u] = f = sigmoid(z[H + u] + p[H + u] * c[t, b, u])  # (L25)
                gate[2 * H + u] = g = tanh(z_g[u])  # (L4)
                c[t + 1, b, u] = f * c[t, b, u] + i * g  # (L6)
                gate[3 * H + u] = o = sigmoid(z_o[u] + p[2 * H + u] * c[t + 1, b, u])  # (L26)
                tanh_c[t, b, u] = tanh(c[t + 1, b, u])
                h[u] = o * tanh_c[t, b, u]  # (L7)
    copy_h(x_1_h, output, h_n)
    copy(c[T], c_n)


@compiled
def backward(
    x_1_h: Array,
    W: Array,
    p: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    d_output: Array,
    d_h_n: Array,
    d_c_n: Array,
    d_x: Array,
    d_h: Array,
    d_c: Array,
    d_p: Array,
    d_W_ih: Array,
    d_W_hh: Array,
    d_b_ih: Array,
    d_b_hh: Array,
) -> None:
    """Carry ``d_output``, ``d_h_n`` and ``d_c_n`` back; ``d_h`` and ``d_c`` end as the gradients of h_0 and c_0."""
    (T, B, D), H = d_x.shape, d_c.shape[1]
    d_z, d_x_1_h, d_W = np.empty_like(W[0]), np.empty_like(x_1_h[0, 0]), np.zeros_like(W)
    coupled, d_z_g, d_z_o = len(d_z) == 3 * H, d_z[-2 * H : -H], d_z[-H:]
    copy(d_h_n, d_h)
    copy(d_c_n, d_c)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            for u in range(H):
                i, f, g, o = gates[t, b, u], gates[t, b, H + u], gates[t, b, 2 * H + u], gates[t, b, 3 * H + u]
                c_prev, tanh_c_u = c[t, b, u], tanh_c[t, b, u]
                d_h_u = d_output[t, b, u] + d_h[b, u]  # (L8)
                d_z_o[u] = d_h_u * tanh_c_u * o * (1 - o)  # (L13)
                d_c_u = d_c[b, u] + d_h_u * o * (1 - tanh_c_u**2) + d_z_o[u] * p[2 * H + u]  # (L27)
                d_z_g[u] = d_c_u * i * (1 - g**2)  # (L12)
                if coupled:
                    d_z[u] = d_c_u * (g - c_prev) * i * (1 - i)  # (L33)
                    d_c[b, u] = d_c_u * f + d_z[u] * p[u]  # (L34)
                else:
                    d_z[u] = d_c_u * g * i * (1 - i)  # (L10)
                    d_z[H + u] = d_c_u * c_prev * f * (1 - f)  # (L11)
                    d_c[b, u] = d_c_u * f + d_z[u] * p[u] + d_z[H + u] * p[H + u]  # (L28)
                    d_p[H + u] += d_z[H + u] * c_prev  # (L30)
                d_p[u] += d_z[u] * c_prev  # (L29)
                d_p[2 * H + u] += d_z_o[u] * c[t + 1, b, u]  # (L31)
            multiply(W, d_z, d_x_1_h)
            for u in range(H):
                d_h[b, u] = d_x_1_h[D + 1 + u]  # (L15)
            for k in range(D):
                d_x[t, b, k] = d_x_1_h[k]  # (L16)
            add_outer(x_1_h[t, b], d_z, d_W)  # (L17) to (L20)
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)


class CompiledLSTMVariant:
    """One LSTM layer with peepholes, coupled gates, or both; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than ``fast/``; that of ``lstm.py``.
    most_units = 100

    def __init__(self, text: LSTMVariantKernel):
        self.text = text

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], CompiledLSTMVariantTape]:
        """Run as ``LSTMVariantKernel.forward`` does. ``out`` is not used: there is little to allocate."""
        (T, B, D), dtype = x.shape, x.dtype
        h_0, c_0 = ascontiguousarray(state[0]), ascontiguousarray(state[1])
        H = c_0.shape[1]
        W_ih, W_hh, b_ih, b_hh = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]
        tape = CompiledLSTMVariantTape(
            empty((T + 1, B, D + 1 + H), dtype),
            empty((D + 1 + H, len(b_ih)), dtype),
            np.concatenate(self.text.peephole_weights(weights)),
            empty((T, B, 4 * H), dtype),
            empty((T + 1, B, H), dtype),
            empty((T, B, H), dtype),
        )
        output, last = empty((T, B, H), dtype), (empty((B, H), dtype), empty((B, H), dtype))
        forward(ascontiguousarray(x), h_0, c_0, W_ih, W_hh, b_ih, b_hh, *tape, output, *last)
        return output, last, tape

    def backward(
        self, tape: CompiledLSTMVariantTape, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``LSTMVariantKernel.backward`` does."""
        (T, B, H), (K, N), dtype = d_output.shape, tape.W.shape, d_output.dtype
        d_h_n, d_c_n = ascontiguousarray(d_state[0]), ascontiguousarray(d_state[1])
        d_x, d_first = empty((T, B, K - 1 - H), dtype), (empty((B, H), dtype), empty((B, H), dtype))
        d_p = np.zeros(3 * H, dtype)
        gradients = weight_gradients(N, K - 1 - H, H, dtype)
        backward(*tape, ascontiguousarray(d_output), d_h_n, d_c_n, d_x, *d_first, d_p, *gradients.values())
        if self.text.peepholes:
            gradients["weight_ch"] = np.concatenate((d_p[:H], d_p[2 * H :])) if self.text.coupled else d_p
        return d_x, d_first, gradients
