"""The equations of ``manual/lstm.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/lstm.py``; ``loops.py`` says what W is. What is passed to a loop is
contiguous, as it is compiled anew for each kind of array. The variants take the same steps over other units.
"""

from typing import NamedTuple

import numpy as np
from numpy import ascontiguousarray, empty

from manual.arrays import Array, Backward, Forward, Parts, Weights
from manual.compiled import lstm_variants
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
from manual.fast.lstm import TANH_C, C, F, FastLSTM, G, I, LSTMMemory, M, O
from manual.lstm import LSTMKernel, LSTMStep, LSTMTape
from manual.lstm_variants import LSTMVariantKernel


class CompiledLSTMTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + P): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + P, G H)
    W_mh: Array  # (P, H); (0, H) without a projection
    p: Array  # (3, H) of a variant: p_i p_f p_o, zeros where there is none; (0, H) otherwise
    blocks: Array  # (T + 1, B, 9, H): those of ``fast/lstm.py``; at 0 only c_0 counts

    @property
    def is_coupled(self) -> bool:
        """Whether there are no rows of a forget gate."""
        return self.W.shape[1] == 3 * self.blocks.shape[3]

    def equations_tape(self) -> LSTMTape:
        """Return the run as the equations record it, views of this tape."""
        D = len(self.W) - 1 - (len(self.W_mh) or self.blocks.shape[3])
        h_prev, c_prev, blocks = self.x_1_h[:, :, D + 1 :], self.blocks[:, :, C], self.blocks[1:].swapaxes(1, 2)
        steps = [LSTMStep(h, c, s[I], s[F], s[G], s[O], s[C], s[M]) for h, c, s in zip(h_prev, c_prev, blocks)]
        weights = {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T, "weight_hr": self.W_mh}
        weights["weight_ch"] = (self.p[::2] if self.is_coupled else self.p).ravel()
        return LSTMTape(self.x_1_h[:-1, :, :D], weights, steps)


@compiled
def units_forward(s: Array, c_prev: Array) -> None:
    """Take a step of n units: i f g o of its blocks s (9, n) hold first the pre-activations."""
    i, f, g, o, c, tanh_c, m = s[I], s[F], s[G], s[O], s[C], s[TANH_C], s[M]
    for u in range(len(c)):  # two loops, as many arrays at a time drive each other out of the cache
        i[u] = i_u = sigmoid(i[u])  # (L2)
        f[u] = f_u = sigmoid(f[u])  # (L3)
        g[u] = g_u = tanh(g[u])  # (L4)
        c[u] = f_u * c_prev[u] + i_u * g_u  # (L6)
    for u in range(len(c)):
        o[u] = o_u = sigmoid(o[u])  # (L5)
        tanh_c[u] = tanh_c_u = tanh(c[u])
        m[u] = o_u * tanh_c_u  # (L7)


@compiled
def units_backward(
    s: Array, c_prev: Array, d_m: Array, d_c: Array, d_z_i: Array, d_z_f: Array, d_z_g: Array, d_z_o: Array
) -> None:
    """Compute d_z from d_m and d_c (n,), which ends as the gradient of c_prev."""
    i, f, g, o, tanh_c = s[I], s[F], s[G], s[O], s[TANH_C]
    for u in range(len(d_c)):
        o_u, tanh_c_u = o[u], tanh_c[u]
        d_c[u] += d_m[u] * o_u * (ONE - tanh_c_u * tanh_c_u)  # (L9)
        d_z_o[u] = d_m[u] * tanh_c_u * o_u * (ONE - o_u)  # (L13)
    for u in range(len(d_c)):
        i_u, f_u, g_u, d_c_u = i[u], f[u], g[u], d_c[u]
        d_z_i[u] = d_c_u * g_u * i_u * (ONE - i_u)  # (L10)
        d_z_f[u] = d_c_u * c_prev[u] * f_u * (ONE - f_u)  # (L11)
        d_z_g[u] = d_c_u * i_u * (ONE - g_u * g_u)  # (L12)
        d_c[u] = d_c_u * f_u  # (L14)


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
    p: Array,
    blocks: Array,
    output: Array,
    h_n: Array,
    c_n: Array,
) -> None:
    """Run ``x`` from ``h_0`` and ``c_0``, and record it on the tape, which has W_mh and p already."""
    (T, B, D), (P, H) = x.shape, (h_0.shape[1], c_0.shape[1])
    coupled, n = len(b_ih) == 3 * H, len(b_ih) - 2 * H
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    copy(c_0, blocks[0, :, C])
    for t in range(T):
        for b in range(B):
            s, h = blocks[t + 1, b], x_1_h[t + 1, b, D + 1 :]
            i_f, g_o = s[I : F + 1].ravel()[:n], s[G : O + 1].ravel()
            i_f[:] = g_o[:] = 0
            add_transposed(W, x_1_h[t, b], i_f)  # (L1)
            add_transposed(W[:, n:], x_1_h[t, b], g_o)  # (L1)
            if len(p):
                lstm_variants.units_forward(coupled, p, s, blocks[t, b, C])
            else:
                units_forward(s, blocks[t, b, C])
            if P < H:
                multiply(W_mh, s[M], h)  # (L21)
            else:
                h[:] = s[M]
    copy_h(x_1_h, output, h_n)
    copy(blocks[T, :, C], c_n)


@compiled
def backward(
    x_1_h: Array,
    W: Array,
    W_mh: Array,
    p: Array,
    blocks: Array,
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
    d_p: Array,
) -> None:
    """Carry ``d_output``, ``d_h_n`` and ``d_c_n`` back; ``d_h`` and ``d_c`` end as the gradients of h_0 and c_0."""
    (T, B, D), (P, H) = d_x.shape, (d_h.shape[1], d_c.shape[1])
    d_z, d_x_1_h, d_W = np.empty_like(W[0]), np.empty_like(x_1_h[0, 0]), np.zeros_like(W)
    d_m, coupled = np.empty_like(d_c[0]), len(d_z) == 3 * H
    d_z_i, d_z_f, d_z_g, d_z_o = d_z[:H], d_z[H : 2 * H], d_z[-2 * H : -H], d_z[-H:]
    copy(d_h_n, d_h)
    copy(d_c_n, d_c)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            s, c_prev = blocks[t + 1, b], blocks[t, b, C]
            for k in range(P):
                d_h[b, k] += d_output[t, b, k]  # (L8)
            if P < H:
                d_m[:] = 0
                add_transposed(W_mh, d_h[b], d_m)  # (L22)
                add_outer(d_h[b], s[M], d_W_mh)  # (L23)
            else:
                d_m[:] = d_h[b]
            if len(p):
                lstm_variants.units_backward(coupled, p, s, c_prev, d_m, d_c[b], d_z_i, d_z_f, d_z_g, d_z_o)
                for u in range(H):
                    d_p[0, u] += d_z_i[u] * c_prev[u]  # (L29)
                    if not coupled:
                        d_p[1, u] += d_z_f[u] * c_prev[u]  # (L30)
                    d_p[2, u] += d_z_o[u] * s[C, u]  # (L31)
            else:
                units_backward(s, c_prev, d_m, d_c[b], d_z_i, d_z_f, d_z_g, d_z_o)
            multiply(W, d_z, d_x_1_h)
            for k in range(P):
                d_h[b, k] = d_x_1_h[D + 1 + k]  # (L15)
            for k in range(D):
                d_x[t, b, k] = d_x_1_h[k]  # (L16)
            add_outer(x_1_h[t, b], d_z, d_W)  # (L17) to (L20)
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)


class CompiledLSTM:
    """One LSTM layer in one direction, in any form; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than fused passes. Measured at T = 8: twice as
    #: fast at 64 (H = 16), 1.0 to 1.3 times at 128 (H = 32, 16), level at 200. At H = 128 one row takes twice as long.
    most_units = 100

    def __init__(self, text: LSTMKernel | LSTMVariantKernel):
        self.text = text
        self.fused = (
            FusedLSTM()
            if isinstance(text, LSTMKernel)
            else lstm_variants.FusedLSTMVariant(text.peepholes, text.coupled)
        )

    def forward(self, x: Array, state: Parts, weights: Weights, out: object = None) -> Forward[CompiledLSTMTape]:
        """Run as the equations do. ``out`` is not used: there is little to allocate."""
        (T, B, D), dtype = x.shape, x.dtype
        h_0, c_0 = ascontiguousarray(state[0]), ascontiguousarray(state[1])
        P, H = h_0.shape[1], c_0.shape[1]
        W_ih, W_hh, b_ih, b_hh = weights["weight_ih"], weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]
        none = empty((0, H), dtype)
        tape = CompiledLSTMTape(
            empty((T + 1, B, D + 1 + P), dtype),
            empty((D + 1 + P, len(b_ih)), dtype),
            weights["weight_hr"].copy() if P < H else none,
            none if isinstance(self.text, LSTMKernel) else np.stack(self.text.peephole_weights(weights)),
            empty((T + 1, B, 9, H), dtype),
        )
        output, last = empty((T, B, P), dtype), (empty((B, P), dtype), empty((B, H), dtype))
        forward(ascontiguousarray(x), h_0, c_0, W_ih, W_hh, b_ih, b_hh, *tape, output, *last)
        return output, last, tape

    def backward(self, tape: CompiledLSTMTape, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as the equations do."""
        (T, B, P), (K, N), dtype = d_output.shape, tape.W.shape, d_output.dtype
        d_h_n, d_c_n = ascontiguousarray(d_state[0]), ascontiguousarray(d_state[1])
        d_x, d_first = empty((T, B, K - 1 - P), dtype), (empty((B, P), dtype), empty(d_c_n.shape, dtype))
        sums = {"weight_hr": np.zeros(tape.W_mh.shape, dtype), "weight_ch": np.zeros(tape.p.shape, dtype)}
        gradients = weight_gradients(N, K - 1 - P, P, dtype) | sums
        backward(*tape, ascontiguousarray(d_output), d_h_n, d_c_n, d_x, *d_first, *gradients.values())
        d_p = gradients.pop("weight_ch")
        if not len(tape.W_mh):
            del gradients["weight_hr"]
        if isinstance(self.text, LSTMVariantKernel) and self.text.peepholes:
            gradients["weight_ch"] = (d_p[::2] if tape.is_coupled else d_p).ravel()
        return d_x, d_first, gradients


@compiled
def fused_forward(t: int, units: Array) -> None:
    """Take step t of all units; those of ``fast/lstm.py``."""
    units_forward(units[t + 1], units[t, C])


@compiled
def fused_backward(t: int, units: Array, d_m: Array, d_c: Array, d_z: Array, per_step: int, per_gate: int) -> None:
    """Compute d_z of step t from d_m and d_c (B, H)."""
    n = t * per_step
    d_z_i, d_z_f, d_z_g, d_z_o = d_z[n], d_z[n + per_gate], d_z[n + 2 * per_gate], d_z[n + 3 * per_gate]
    units_backward(units[t + 1], units[t, C], d_m.ravel(), d_c.ravel(), d_z_i, d_z_f, d_z_g, d_z_o)


class FusedLSTM(FastLSTM):
    """The fast kernel with one pass over all units between two products."""

    negated = 0

    def activate(self, t: int, memory: LSTMMemory) -> None:
        """Compute gates, c and m of step t from the pre-activations."""
        fused_forward(t, memory.units)

    def differentiate(self, t: int, memory: LSTMMemory, d_m: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_m and d_c (B, H), which ends as the gradient of c_prev."""
        fused_backward(t, memory.units, d_m, d_c, *memory.units_of_d_z)
