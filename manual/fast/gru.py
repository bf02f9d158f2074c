"""The equations of ``manual/gru.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/gru.py``; the views of a step are those of ``memory.GRUViews``. The
last argument of add, multiply, … is where the result goes.
"""

from collections.abc import Mapping

import numpy as np
from numpy import add, concatenate, copyto, divide, exp, multiply, subtract, tanh

from manual.arrays import Array
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.memory import D_Q, D_R, GRUMemory
from manual.fast.products import sum_of_outer_products


class FastGRU:
    """One GRU layer in one direction; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    negated = 2  #: how many gates' pre-activations are negated (F1)

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    @np.errstate(over="ignore")  # of a shut gate's exponential (F1)
    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], GRUMemory]:
        """Run as ``GRUKernel.forward`` does; ``out`` is an earlier run's memory, overwritten if its sizes fit."""
        T, B, D = x.shape
        H = weights["weight_hh"].shape[1]
        memory = GRUMemory.reuse(out, T, B, D, H, H, x.dtype, self.reset_after)
        memory.load(x, state, weights, self.negated)
        product, product_n = memory.to_gates.multiply, memory.x_to_n.multiply
        W_rz, W_xn, W_hn = memory.to_gates.weights, memory.x_to_n.weights, memory.h_to_n.weights
        W_hn_q, W_hn_q_out = memory.W_hn_q, memory.h_to_n.out(memory.W_hn_q[None])
        for t, s in enumerate(memory.steps):
            product(s.row, W_rz, s.r_z_out)  # (G1) (2, B, H), negated
            product_n(s.x_1, W_xn, s.n_out)  # the input's share of (G5) or (G20)
            if self.reset_after:
                product_n(s.h_1, W_hn, s.q_out)  # (G4) (B, H)
            self.reset(t, memory)
            if not self.reset_after:
                product_n(s.q, W_hn, W_hn_q_out)
                add(s.n, W_hn_q, s.n)  # (G20)
            self.update(t, memory)
            copyto(s.next_h_prev, s.h)
        return memory.h.copy(), (memory.h[-1].copy(),), memory

    def reset(self, t: int, memory: GRUMemory) -> None:
        """Activate r and z of step t, and compute what r lets through: r ∘ q, and with it z_n, or q."""
        s, one = memory.steps[t], memory.one
        exp(s.r_z, s.r_z)  # with the next two lines (G2) and (G3)
        add(s.r_z, one, s.r_z)
        divide(one, s.r_z, s.r_z)
        if self.reset_after:
            multiply(s.r, s.q, s.reset)
            add(s.n, s.reset, s.n)  # (G5)
        else:
            multiply(s.r, s.h_prev, s.q)  # (G19)

    def update(self, t: int, memory: GRUMemory) -> None:
        """Compute n and h of step t from z_n."""
        s = memory.steps[t]
        tanh(s.n, s.n)  # (G6)
        subtract(s.h_prev, s.n, s.update)
        multiply(s.z, s.update, s.update)
        add(s.n, s.update, s.h)  # (G7)

    def backward(
        self, memory: GRUMemory, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``GRUKernel.backward`` does."""
        T, B, D, H, _, dtype = memory.sizes
        d_h = np.array(d_state[0], order="C")  # what the next step passes back
        d_h_product = np.zeros((B, H), dtype)
        for t in reversed(range(T)):
            s = memory.steps[t]
            add(d_h, d_output[t], d_h)  # (G8) (B, H)
            self.differentiate_update(t, memory, d_h)
            if not self.reset_after:
                memory.to_q(s.d_z_n, s.d_q)  # (G21)
            self.differentiate_reset(t, memory, d_h)
            memory.to_h_prev(s.d_z, d_h_product)
            add(d_h, d_h_product, d_h)  # (G13) or (G23)

        d_z, rows = memory.d_z, memory.rows
        d_W_rz = sum_of_outer_products(d_z[D_R:D_Q], rows)  # (F4) (2H, H + 1 + D + 1)
        d_W_n = sum_of_outer_products(d_z[:D_R], rows[:, :, H + 1 :])  # (H, D + 1)
        if self.reset_after:
            d_W_q = sum_of_outer_products(d_z[D_Q:], rows[:, :, : H + 1])  # (H, H + 1)
            d_b_hn, d_W_hn = d_W_q[:, -1], d_W_q[:, :-1]
        else:
            d_b_hn, d_W_hn = d_W_n[:, D], sum_of_outer_products(d_z[:D_R], memory.reset)
        gradients = {
            "weight_ih": concatenate((d_W_rz[:, H + 1 : -1], d_W_n[:, :D])),  # (G15) (3H, D)
            "weight_hh": concatenate((d_W_rz[:, :H], d_W_hn)),  # (G16) or (G24) (3H, H)
            "bias_ih": concatenate((d_W_rz[:, -1], d_W_n[:, D])),  # (G17) (3H,)
            "bias_hh": concatenate((d_W_rz[:, -1], d_b_hn)),  # (G18) or (G25) (3H,)
        }
        d_x = np.empty((T * B, D), dtype)
        memory.to_x(memory.d_z_to_x, d_x)  # (G14)
        return d_x.reshape(T, B, D), (d_h,), gradients

    def differentiate_update(self, t: int, memory: GRUMemory, d_h: Array) -> None:
        """Compute d_z_z and d_z_n of step t from d_h (B, H), which ends as what z hands back to h_prev."""
        s, (_, h_by_z, h_by_n) = memory.steps[t], memory.derivatives  # ∂h/∂z_z, ∂h/∂z_n
        product_by_sigmoid(s.reset_update, s.r_z, memory.derivatives[:2])  # the first is for ``differentiate_reset``
        subtract(memory.one, s.z, s.d_q)  # 1 - z, for the next two lines only
        multiply(s.d_q, s.n, h_by_n)
        product_by_tanh(h_by_n, s.d_q, s.n, h_by_n)
        multiply(d_h, h_by_z, s.d_z_z)  # (G9)
        multiply(d_h, h_by_n, s.d_z_n)  # (G10)
        multiply(d_h, s.z, d_h)  # the first term of (G13) or (G23)

    def differentiate_reset(self, t: int, memory: GRUMemory, d_h: Array) -> None:
        """Compute d_z_r of step t, and from d_z_n d_q, or from d_q what r hands back to h_prev."""
        s, by_r = memory.steps[t], memory.derivatives[0]  # ∂(r q)/∂z_r or ∂q/∂z_r
        if self.reset_after:
            multiply(s.d_z_n, s.r, s.d_q)  # (G11)
            multiply(s.d_z_n, by_r, s.d_z_r)  # (G12)
        else:
            multiply(s.d_q, by_r, s.d_z_r)  # (G22)
            multiply(s.d_q, s.r, by_r)
            add(d_h, by_r, d_h)  # a term of (G23)
