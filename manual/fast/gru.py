"""The equations of ``manual/gru.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/gru.py``; ``GRUMemory`` names the views of a step. The last argument
of add, multiply, … is where the result goes.
"""

from typing import Any

import numpy as np
from numpy import add, concatenate, copyto, divide, exp, multiply, subtract, tanh

from manual.arrays import Array, Backward, Forward, Parts, Weights
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.memory import Memory, by_step
from manual.fast.products import FromGates, ToGates, sum_of_outer_products
from manual.gru import GRUStep, GRUTape

#: The blocks of a GRU step: the gates, each holding first its pre-activation; what the gates r and z let through, r ∘ q
#: or, as q itself, r ∘ h_prev, and z ∘ (h_prev - n); q before it is let through; and h.
R, Z, N, RESET, UPDATE, Q, HIDDEN = range(7)

#: The blocks of d_z. Neighbours are n r z, which reach the input, and r z q, which reach the hidden state.
D_N, D_R, D_Z, D_Q = range(4)


class GRUMemory(Memory):
    """The memory of a GRU run, in either form; a view of a step is a block (B, H), or neighbouring blocks."""

    def __init__(self, T: int, B: int, D: int, H: int, P: int, dtype: np.dtype[Any], reset_after: bool):
        super().__init__((T, B, D, H, P, dtype, reset_after), quantities=7, adjoints=4, one_after_h=True)
        self.reset_after = reset_after
        self.to_gates = ToGates(2, B, H + 1 + D + 1, H, dtype, hoisted=D + 1)  # r z
        self.x_to_n = ToGates(1, B, D + 1, H, dtype)
        self.h_to_n = ToGates(1, B, H + 1 if reset_after else H, H, dtype)
        self.W_hn_q = np.zeros((B, H), dtype)
        self.to_h_prev = FromGates(3 if reset_after else 2, B, H, H, dtype)
        self.to_q = FromGates(1, B, H, H, dtype)
        self.to_x = FromGates(3, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.operand(self.d_z[:D_Q])
        self.r_z, self.reset, self.h = self.blocks[1:, :N], self.blocks[1:, RESET], self.blocks[1:, HIDDEN]
        self.derivatives = np.zeros((3, B, H), dtype)  # of one step
        s, d_z = self.blocks[1:], self.d_z
        self.q = s[:, Q] if reset_after else s[:, RESET]
        self.steps = by_step(
            row=self.to_gates.rows(self.rows),  # (B, H + 1 + D + 1), as ``to_gates`` multiplies it
            x_1=self.rows[:, :, H + 1 :],  # (B, D + 1)
            h_1=self.rows[:, :, : H + 1],  # (B, H + 1)
            h_prev=self.blocks[:-1, HIDDEN],
            r_z=self.r_z,  # pre-activations, then gates
            r_z_out=self.to_gates.out(self.r_z),  # r_z, as ``to_gates`` fills it
            r=s[:, R],
            z=s[:, Z],
            n=s[:, N],
            n_out=self.x_to_n.out(s[:, N:RESET]),  # n, as ``x_to_n`` fills it
            q=self.q,
            q_out=self.h_to_n.out(self.q[:, None]),  # q, as ``h_to_n`` fills it
            reset=self.reset,
            update=s[:, UPDATE],
            reset_update=s[:, RESET:Q],
            h=self.h,
            next_h_prev=self.h_prev[1:],
            d_z_n=d_z[D_N],
            d_z_r=d_z[D_R],
            d_z_z=d_z[D_Z],
            d_q=d_z[D_Q],
            # those that h_prev enters, as ``to_h_prev`` multiplies them
            d_z=self.to_h_prev.operands(d_z[D_R:] if reset_after else d_z[D_R:D_Q]),
        )

    def load(self, x: Array, state: Parts, weights: Weights, negated: int) -> None:
        """Copy the arguments of a run, and compute what is hoisted. The last ``negated`` of r z get -z."""
        self.x[...] = x
        self.h_prev[0] = self.blocks[0, HIDDEN] = state[0]
        W_ih, b_ih, W_hh, b_hh = (weights[name] for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh"))
        H = W_hh.shape[1]
        rz, n = slice(2 * H), slice(2 * H, None)
        bias = (b_ih + b_hh)[:, None]
        self.to_gates.load(W_hh[rz], 0 * bias[rz], W_ih[rz], bias[rz], negated=negated)
        if self.reset_after:  # b_hn stays apart from b_in: it is a term of q
            self.x_to_n.load(W_ih[n], b_ih[n, None])
            self.h_to_n.load(W_hh[n], b_hh[n, None])
            self.to_h_prev.load(W_hh)
        else:
            self.x_to_n.load(W_ih[n], bias[n])
            self.h_to_n.load(W_hh[n])
            self.to_h_prev.load(W_hh[rz])
            self.to_q.load(W_hh[n])
        self.to_x.load(concatenate((W_ih[n], W_ih[rz])))
        self.to_gates.hoist(self.rows, self.r_z)

    def equations_tape(self) -> GRUTape:
        """Return the run as the equations record it, views of this memory."""
        W_hh = self.to_h_prev.plain
        if not self.reset_after:
            W_hh = concatenate((W_hh, self.to_q.plain))
        weights = {"weight_ih": np.roll(self.to_x.plain, -W_hh.shape[1], axis=0), "weight_hh": W_hh}
        return GRUTape(self.x, weights, [GRUStep(s.h_prev, s.r, s.z, s.n, s.q) for s in self.steps])


class FastGRU:
    """One GRU layer in one direction; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    negated = 2  #: how many gates' pre-activations are negated (F1)

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    @np.errstate(over="ignore")  # of a shut gate's exponential (F1)
    def forward(self, x: Array, state: Parts, weights: Weights, out: object = None) -> Forward[GRUMemory]:
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

    def backward(self, memory: GRUMemory, d_output: Array, d_state: Parts) -> Backward:
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
        return memory.d_x(), (d_h,), gradients

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
