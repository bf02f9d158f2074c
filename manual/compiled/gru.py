"""The equations of ``manual/gru.py`` as loops over units: forward, and directly below it backward.

The numbers and the legend are those of ``manual/gru.py``; ``loops.py`` says what W is. What is passed to a loop is
contiguous, as it is compiled anew for each kind of array.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy import empty

from manual.arrays import Array
from manual.compiled.activations import ONE, sigmoid, tanh
from manual.compiled.loops import LoopsOverH, add_outer, add_transposed, compiled, copy, copy_h, load, multiply, unload
from manual.fast.gru import D_N, D_Q, D_R, D_Z, HIDDEN, RESET, FastGRU, GRUMemory, N, Q, R, Z
from manual.gru import GRUKernel, GRUStep, GRUTape


class CompiledGRUTape(NamedTuple):
    """What backward needs of a forward pass."""

    x_1_h: Array  # (T + 1, B, D + 1 + H): x, 1 and h_prev; at T only h_n counts
    W: Array  # (D + 1 + H, 3H)
    blocks: Array  # (T + 1, B, 7, H): those of ``fast/gru.py``; at 0 none counts

    @classmethod
    def new(cls, T: int, B: int, D: int, H: int, dtype: np.dtype[Any]) -> "CompiledGRUTape":
        """Return a tape to be filled."""
        K = D + 1 + H
        return cls(empty((T + 1, B, K), dtype), empty((K, 3 * H), dtype), empty((T + 1, B, 7, H), dtype))

    def equations_tape(self) -> GRUTape:
        """Return the run as the equations record it, views of this tape."""
        D = len(self.W) - 1 - self.blocks.shape[3]
        h, blocks = self.x_1_h[:, :, D + 1 :], self.blocks[1:].swapaxes(1, 2)
        steps = [GRUStep(h_prev, s[R], s[Z], s[N], s[Q]) for h_prev, s in zip(h, blocks)]
        return GRUTape(self.x_1_h[:-1, :, :D], {"weight_ih": self.W[:D].T, "weight_hh": self.W[D + 1 :].T}, steps)


@compiled
def reset_after_forward(r: Array, q: Array, n: Array) -> None:
    """Take the reset of a step of units; r and n hold first z_r and the input's share of z_n, and n ends as z_n."""
    for u in range(len(r)):
        r[u] = r_u = sigmoid(r[u])  # (G2)
        n[u] += r_u * q[u]  # (G5)


@compiled
def reset_before_forward(r: Array, q: Array, h_prev: Array) -> None:
    """Take the reset of a step of units; r holds first z_r."""
    for u in range(len(r)):
        r[u] = r_u = sigmoid(r[u])  # (G2)
        q[u] = r_u * h_prev[u]  # (G19)


@compiled
def update_forward(z: Array, n: Array, h_prev: Array, h: Array) -> None:
    """Take the update of a step of units; z and n hold first z_z and z_n."""
    for u in range(len(h)):
        z[u] = sigmoid(z[u])  # (G3)
        n[u] = tanh(n[u])  # (G6)
        h[u] = (ONE - z[u]) * n[u] + z[u] * h_prev[u]  # (G7)


@compiled
def update_backward(z: Array, n: Array, h_prev: Array, d_h: Array, d_z_z: Array, d_z_n: Array) -> None:
    """Compute d_z_z and d_z_n of units from d_h, which ends as what z hands back to h_prev."""
    for u in range(len(z)):
        z_u, n_u, d_h_u = z[u], n[u], d_h[u]
        d_z_z[u] = d_h_u * (h_prev[u] - n_u) * z_u * (ONE - z_u)  # (G9)
        d_z_n[u] = d_h_u * (ONE - z_u) * (ONE - n_u * n_u)  # (G10)
        d_h[u] = d_h_u * z_u  # the first term of (G13) or (G23)


@compiled
def reset_after_backward(r: Array, q: Array, d_z_n: Array, d_q: Array, d_z_r: Array) -> None:
    """Compute d_q and d_z_r of units from d_z_n."""
    for u in range(len(r)):
        r_u = r[u]
        d_q[u] = d_z_n[u] * r_u  # (G11)
        d_z_r[u] = d_z_n[u] * q[u] * r_u * (ONE - r_u)  # (G12)


@compiled
def reset_before_backward(r: Array, h_prev: Array, d_h: Array, d_q: Array, d_z_r: Array) -> None:
    """Compute d_z_r of units from d_q, and add to d_h what r hands back to h_prev."""
    for u in range(len(r)):
        r_u = r[u]
        d_z_r[u] = d_q[u] * h_prev[u] * r_u * (ONE - r_u)  # (G22)
        d_h[u] += d_q[u] * r_u  # a term of (G23)


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
    blocks: Array,
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
    for t in range(T):
        for b in range(B):
            s, h_prev = blocks[t + 1, b], x_1_h[t, b, D + 1 :]
            r, z, n, q = s[R], s[Z], s[N], s[Q]
            r_z, r_z_n = s[:N].ravel(), s[: N + 1].ravel()
            r_z_n[:] = 0
            add_transposed(W_x, x_1_h[t, b, : D + 1], r_z_n)
            add_transposed(W_h, h_prev, r_z)  # (G1)
            if reset_after:
                q[:] = b_hh[2 * H :]
                add_transposed(W_hn, h_prev, q)  # (G4)
                reset_after_forward(r, q, n)
            else:
                reset_before_forward(r, q, h_prev)
                add_transposed(W_hn, q, n)  # (G20)
            update_forward(z, n, h_prev, s[HIDDEN])
            x_1_h[t + 1, b, D + 1 :] = s[HIDDEN]
    copy_h(x_1_h, output, h_n)


@compiled
def backward(
    reset_after: bool,
    x_1_h: Array,
    W: Array,
    blocks: Array,
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
    d_z_r, d_z_z, d_z_n = d_z[:H], d_z[H : 2 * H], d_z[2 * H :]
    d_x_1, from_gates = np.empty_like(W[: D + 1, 0]), np.empty_like(d_q)
    copy(d_h_n, d_h_prev)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            s, h_prev = blocks[t + 1, b], x_1_h[t, b, D + 1 :]
            for u in range(H):
                d_h_prev[b, u] += d_output[t, b, u]  # (G8)
            update_backward(s[Z], s[N], h_prev, d_h_prev[b], d_z_z, d_z_n)
            if reset_after:
                reset_after_backward(s[R], s[Q], d_z_n, d_q, d_z_r)
            else:
                multiply(W_hn, d_z_n, d_q)  # (G21)
                reset_before_backward(s[R], h_prev, d_h_prev[b], d_q, d_z_r)
            d_from_h[: 2 * H] = d_z[: 2 * H]
            d_from_h[2 * H :] = d_q
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
                d_b_hn[u] += d_q[u] if reset_after else d_z_n[u]
            if not reset_after:
                add_outer(s[Q], d_z_n, d_W_hn)  # (G24) of n
    unload(d_W, d_W_ih, d_W_hh, d_b_ih, d_b_hh)  # with b_hn (G18) or (G25)
    for u in range(H):
        d_b_hh[2 * H + u] = d_b_hn[u]


class CompiledGRU(LoopsOverH):
    """One GRU layer in one direction; the weights come with each call.

    Args:
        text: the kernel whose equations these are.
    """

    #: The number of units in all rows, B H, up to which this is faster than fused passes. Measured at T = 8: 1.2 to 1.5
    #: times as fast at 256 (H = 32, 16). At H = 128 one row takes 1.2 times as long.
    most_units = 250

    def __init__(self, text: GRUKernel):
        super().__init__(text.reset_after, forward, backward, CompiledGRUTape.new)
        self.fused = FusedGRU(text.reset_after)


@compiled
def fused_reset(t: int, reset_after: bool, units: Array) -> None:
    """Take the reset of step t of all units; those of ``fast/gru.py``."""
    s = units[t + 1]
    if reset_after:
        reset_after_forward(s[R], s[Q], s[N])
    else:
        reset_before_forward(s[R], s[RESET], units[t, HIDDEN])


@compiled
def fused_update(t: int, units: Array) -> None:
    """Take the update of step t of all units."""
    s = units[t + 1]
    update_forward(s[Z], s[N], units[t, HIDDEN], s[HIDDEN])


@compiled
def fused_update_backward(t: int, units: Array, d_h: Array, d_z: Array, per_step: int, per_gate: int) -> None:
    """Compute d_z_z and d_z_n of step t from d_h (B, H)."""
    s, d_z_z, d_z_n = units[t + 1], d_z[t * per_step + D_Z * per_gate], d_z[t * per_step + D_N * per_gate]
    update_backward(s[Z], s[N], units[t, HIDDEN], d_h.ravel(), d_z_z, d_z_n)


@compiled
def fused_reset_backward(
    t: int, reset_after: bool, units: Array, d_h: Array, d_z: Array, per_step: int, per_gate: int
) -> None:
    """Compute d_z_r of step t, and from d_z_n d_q, or from d_q what r hands back to h_prev."""
    s, n = units[t + 1], t * per_step
    d_z_r, d_z_n, d_q = d_z[n + D_R * per_gate], d_z[n + D_N * per_gate], d_z[n + D_Q * per_gate]
    if reset_after:
        reset_after_backward(s[R], s[Q], d_z_n, d_q, d_z_r)
    else:
        reset_before_backward(s[R], units[t, HIDDEN], d_h.ravel(), d_q, d_z_r)


class FusedGRU(FastGRU):
    """The fast kernel with one pass over all units between two products."""

    negated = 0

    def reset(self, t: int, memory: GRUMemory) -> None:
        """Activate r of step t, and compute what it lets through: r ∘ q, and with it z_n, or q."""
        fused_reset(t, self.reset_after, memory.units)

    def update(self, t: int, memory: GRUMemory) -> None:
        """Compute z, n and h of step t from z_z and z_n."""
        fused_update(t, memory.units)

    def differentiate_update(self, t: int, memory: GRUMemory, d_h: Array) -> None:
        """Compute d_z_z and d_z_n of step t from d_h (B, H), which ends as what z hands back to h_prev."""
        fused_update_backward(t, memory.units, d_h, *memory.units_of_d_z)

    def differentiate_reset(self, t: int, memory: GRUMemory, d_h: Array) -> None:
        """Compute d_z_r of step t, and from d_z_n d_q, or from d_q what r hands back to h_prev."""
        fused_reset_backward(t, self.reset_after, memory.units, d_h, *memory.units_of_d_z)
