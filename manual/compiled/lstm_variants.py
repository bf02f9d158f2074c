"""The equations of ``manual/lstm_variants.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/lstm_variants.py``; ``loops.py`` says what W is. What is passed to a
loop is contiguous, as it is compiled anew for each kind of array.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ascontiguousarray, empty

from manual.arrays import Array
from manual.compiled.activations import ONE, sigmoid, tanh
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
from manual.fast.lstm_variants import TANH_C, C, F, FastLSTMVariant, G, I, LSTMVariantMemory, M, O
from manual.lstm_variants import LSTMVariantKernel, LSTMVariantStep, LSTMVariantTape


class CompiledLSTMVariantTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + H): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + H, G H)
    p: Array  # (3, H): p_i p_f p_o, zeros where there is none
    blocks: Array  # (T + 1, B, 9, H): those of ``fast/lstm_variants.py``; at 0 only c_0 counts

    def equations_tape(self) -> LSTMVariantTape:
        """Return the run as the equations record it, views of this tape."""
        (K, N), H = self.W.shape, self.blocks.shape[3]
        D = K - 1 - H
        h_prev, c_prev, blocks = self.x_1_h[:, :, D + 1 :], self.blocks[:, :, C], self.blocks[1:].swapaxes(1, 2)
        steps = [LSTMVariantStep(h, c, s[I], s[F], s[G], s[O], s[C]) for h, c, s in zip(h_prev, c_prev, blocks)]
        weight_ch = (self.p if N == 4 * H else self.p[::2]).ravel()
        weights = {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T, "weight_ch": weight_ch}
        return LSTMVariantTape(self.x_1_h[:-1, :, :D], weights, steps)


@compiled
def units_forward(coupled: bool, p: Array, s: Array, c_prev: Array) -> None:
    """Take a step of n units with peepholes p (3, n): i f g o of the blocks s (9, n) hold first the pre-activations."""
    i, f, g, o, c, tanh_c, h = s[I], s[F], s[G], s[O], s[C], s[TANH_C], s[M]
    p_i, p_f, p_o = p[0], p[1], p[2]
    for u in range(len(c)):
        i[u] = sigmoid(i[u] + p_i[u] * c_prev[u])  # (L24)
        f[u] = ONE - i[u] if coupled else sigmoid(f[u] + p_f[u] * c_prev[u])  # (L32), (L25)
        g[u] = tanh(g[u])  # (L4)
        c[u] = f[u] * c_prev[u] + i[u] * g[u]  # (L6)
    for u in range(len(c)):
        o[u] = o_u = sigmoid(o[u] + p_o[u] * c[u])  # (L26)
        tanh_c[u] = tanh_c_u = tanh(c[u])
        h[u] = o_u * tanh_c_u  # (L7)


@compiled
def units_backward(
    coupled: bool,
    p: Array,
    s: Array,
    c_prev: Array,
    d_h: Array,
    d_c: Array,
    d_z_i: Array,
    d_z_f: Array,
    d_z_g: Array,
    d_z_o: Array,
) -> None:
    """Compute d_z, where the gates are coupled without d_z_f, from d_h and d_c (n,), which ends as that of c_prev."""
    i, f, g, o, tanh_c = s[I], s[F], s[G], s[O], s[TANH_C]
    p_i, p_f, p_o = p[0], p[1], p[2]
    for u in range(len(d_c)):
        o_u, tanh_c_u = o[u], tanh_c[u]
        d_z_o[u] = d_z_o_u = d_h[u] * tanh_c_u * o_u * (ONE - o_u)  # (L13)
        d_c[u] += d_h[u] * o_u * (ONE - tanh_c_u * tanh_c_u) + d_z_o_u * p_o[u]  # (L27)
    for u in range(len(d_c)):
        d_z_g[u] = d_c[u] * i[u] * (ONE - g[u] * g[u])  # (L12)
    if coupled:
        for u in range(len(d_c)):
            d_z_i[u] = d_z_i_u = d_c[u] * (g[u] - c_prev[u]) * i[u] * (ONE - i[u])  # (L33)
            d_c[u] = d_c[u] * f[u] + d_z_i_u * p_i[u]  # (L34)
    else:
        for u in range(len(d_c)):
            d_z_i[u] = d_c[u] * g[u] * i[u] * (ONE - i[u])  # (L10)
            d_z_f[u] = d_c[u] * c_prev[u] * f[u] * (ONE - f[u])  # (L11)
        for u in range(len(d_c)):
            d_c[u] = d_c[u] * f[u] + d_z_i[u] * p_i[u] + d_z_f[u] * p_f[u]  # (L28)


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
    blocks: Array,
    output: Array,
    h_n: Array,
    c_n: Array,
) -> None:
    """Run ``x`` from ``h_0`` and ``c_0``, and record it on the tape, which has p already."""
    (T, B, D), H = x.shape, c_0.shape[1]
    coupled, n = len(b_ih) == 3 * H, len(b_ih) - 2 * H
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    copy(c_0, blocks[0, :, C])
    for t in range(T):
        for b in range(B):
            s = blocks[t + 1, b]
            i_f, g_o = s[I : F + 1].ravel()[:n], s[G : O + 1].ravel()
            i_f[:] = g_o[:] = 0
            add_transposed(W, x_1_h[t, b], i_f)  # (L1)
            add_transposed(W[:, n:], x_1_h[t, b], g_o)  # (L1)
            units_forward(coupled, p, s, blocks[t, b, C])
            x_1_h[t + 1, b, D + 1 :] = s[M]
    copy_h(x_1_h, output, h_n)
    copy(blocks[T, :, C], c_n)


@compiled
def backward(
    x_1_h: Array,
    W: Array,
    p: Array,
    blocks: Array,
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
    coupled = len(d_z) == 3 * H
    d_z_i, d_z_f, d_z_g, d_z_o = d_z[:H], d_z[H : 2 * H], d_z[-2 * H : -H], d_z[-H:]
    copy(d_h_n, d_h)
    copy(d_c_n, d_c)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            for u in range(H):
                d_h[b, u] += d_output[t, b, u]  # (L8)
            c_prev, c = blocks[t, b, C], blocks[t + 1, b, C]
            units_backward(coupled, p, blocks[t + 1, b], c_prev, d_h[b], d_c[b], d_z_i, d_z_f, d_z_g, d_z_o)
            for u in range(H):
                d_p[0, u] += d_z_i[u] * c_prev[u]  # (L29)
                if not coupled:
                    d_p[1, u] += d_z_f[u] * c_prev[u]  # (L30)
                d_p[2, u] += d_z_o[u] * c[u]  # (L31)
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

    #: The number of units in all rows, B H, up to which this is faster than fused passes; that of ``lstm.py``.
    most_units = 100

    def __init__(self, text: LSTMVariantKernel):
        self.text, self.fused = text, FusedLSTMVariant(text.peepholes, text.coupled)

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
            np.stack(self.text.peephole_weights(weights)),
            empty((T + 1, B, 9, H), dtype),
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
        d_p = np.zeros((3, H), dtype)
        gradients = weight_gradients(N, K - 1 - H, H, dtype)
        backward(*tape, ascontiguousarray(d_output), d_h_n, d_c_n, d_x, *d_first, d_p, *gradients.values())
        if self.text.peepholes:
            gradients["weight_ch"] = (d_p[::2] if self.text.coupled else d_p).ravel()
        return d_x, d_first, gradients


@compiled
def fused_forward(t: int, coupled: bool, p: Array, units: Array) -> None:
    """Take step t of all units; those of ``fast/memory.py``."""
    units_forward(coupled, p, units[t + 1], units[t, C])


@compiled
def fused_backward(
    t: int,
    coupled: bool,
    p: Array,
    units: Array,
    d_h: Array,
    d_c: Array,
    d_z: Array,
    per_step: int,
    per_gate: int,
) -> None:
    """Compute d_z of step t from d_h and d_c (B, H)."""
    first = t * per_step
    last = first + (2 if coupled else 3) * per_gate
    d_z_i, d_z_f, d_z_g, d_z_o = d_z[first], d_z[first + per_gate], d_z[last - per_gate], d_z[last]
    units_backward(coupled, p, units[t + 1], units[t, C], d_h.ravel(), d_c.ravel(), d_z_i, d_z_f, d_z_g, d_z_o)


class FusedLSTMVariant(FastLSTMVariant):
    """The fast kernel with one pass over all units between two products."""

    def activate(self, t: int, memory: LSTMVariantMemory) -> None:
        """Compute gates, c and h of step t from the pre-activations."""
        fused_forward(t, self.coupled, memory.units_of_peepholes, memory.units)

    def differentiate(self, t: int, memory: LSTMVariantMemory, d_h: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_h and d_c (B, H), which ends as the gradient of c_prev."""
        fused_backward(t, self.coupled, memory.units_of_peepholes, memory.units, d_h, d_c, *memory.units_of_d_z)
