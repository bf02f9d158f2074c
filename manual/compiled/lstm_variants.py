"""The equations of ``manual/lstm_variants.py`` for the units of a step: forward, and directly below it backward.

The numbers and the legend are those of ``manual/lstm_variants.py``; the loops over steps and rows are in ``lstm.py``.
"""

from manual.arrays import Array
from manual.compiled.activations import ONE, sigmoid, tanh
from manual.compiled.loops import compiled
from manual.fast.lstm import TANH_C, C, F, G, I, LSTMMemory, M, O
from manual.fast.lstm_variants import FastLSTMVariant


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
def fused_forward(t: int, coupled: bool, p: Array, units: Array) -> None:
    """Take step t of all units; those of ``fast/lstm.py``."""
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

    def activate(self, t: int, memory: LSTMMemory) -> None:
        """Compute gates, c and h of step t from the pre-activations."""
        fused_forward(t, self.coupled, memory.units_of_peepholes, memory.units)

    def differentiate(self, t: int, memory: LSTMMemory, d_h: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_h and d_c (B, H), which ends as the gradient of c_prev."""
        fused_backward(t, self.coupled, memory.units_of_peepholes, memory.units, d_h, d_c, *memory.units_of_d_z)
