"""The equations of ``manual/lstm.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/lstm.py``; ``LSTMMemory`` names the views of a step. The last argument
of add, multiply, … is where the result goes.
"""

from typing import Any

import numpy as np
from numpy import add, copyto, divide, dot, exp, multiply, tanh

from manual.arrays import Array, Backward, Forward, Parts, Weights
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.memory import OneProductMemory, by_step
from manual.lstm import LSTMStep, LSTMTape

#: The blocks of a step; a gate's holds first its pre-activation. Neighbours are operated on together: all gates, which
#: are only g o i where f is coupled to i; the sigmoids o i f, and the products m, i ∘ g, f ∘ c_prev that they are
#: factors of; o i, and tanh(c) g.
TANH_C, G, O, I, F, M, I_G, F_C, C = range(9)


class LSTMMemory(OneProductMemory):
    """The memory of an LSTM run, in any form; a view of a step is a block (B, H), or neighbouring blocks."""

    def __init__(
        self,
        T: int,
        B: int,
        D: int,
        H: int,
        P: int,
        dtype: np.dtype[Any],
        peepholes: bool = False,
        coupled: bool = False,
    ):
        gates = 3 if coupled else 4
        # i f g o becomes g o i f, and i g o becomes g o i
        super().__init__(
            (T, B, D, H, P, dtype, peepholes, coupled), quantities=9, gates=gates, block=G, first=gates - 2
        )
        self.projected = P < H
        self.weight_hr = np.zeros((P if self.projected else 0, H), dtype)
        all_peepholes = np.zeros((3, B, H), dtype)  # i f o, those of a row in each row
        self.units_of_peepholes = all_peepholes.reshape(3, -1)
        self.peepholes = all_peepholes[:: 2 if coupled else 1] if peepholes else all_peepholes[:0]
        self.seen = np.zeros((max(0, len(self.peepholes) - 1), B, H), dtype)  # what i f see of the cell
        self.m, self.cells = self.blocks[1:, M], self.blocks[:, C]
        self.h = np.zeros((T, B, P), dtype) if self.projected else self.m
        self.d_h = np.zeros((T, B, P if self.projected else 0), dtype)
        self.derivatives = np.zeros((5, B, H), dtype)  # of one step: ∂m/∂z_o, ∂c/∂z_i, ∂c/∂z_f, ∂m/∂c, ∂c/∂z_g
        s, d_z = self.blocks[1:], self.d_z
        self.steps = by_step(
            row=self.to_gates.rows(self.rows),  # (B, P + D + 1), as ``to_gates`` multiplies it
            z_out=self.to_gates.out(self.z),  # the pre-activations of all gates, as ``to_gates`` fills them
            o_i_f=s[:, O:M],
            o_i=s[:, O:F],
            i_f=s[:, I : G + gates],  # i alone where f is coupled to it
            o=s[:, O],
            i=s[:, I],
            f=s[:, F],
            g=s[:, G],
            i_g=s[:, I_G],
            c_prev=self.cells[:-1],
            f_c=s[:, F_C],
            c=s[:, C],
            tanh_c=s[:, TANH_C],
            tanh_c_g=s[:, TANH_C:O],
            m=self.m,
            m_ig=s[:, M:F_C],
            m_ig_fc=s[:, M:C],
            h=self.h,  # (B, P)
            next_h_prev=self.h_prev[1:],  # (B, P)
            d_h=self.d_h,  # (B, P), stored under projection only
            d_z_i_f=d_z[:-2].swapaxes(0, 1),  # as i_f
            d_z_g=d_z[-2],
            d_z_o=d_z[-1],
            d_z=self.to_h_prev.operands(d_z),  # all of them, as ``to_h_prev`` multiplies them
        )

    def load(self, x: Array, state: Parts, weights: Weights, negated: int = 0) -> None:
        """Copy the arguments of a run, and compute what is hoisted. The last ``negated`` of g o i f get -z."""
        super().load(x, state, weights, negated)
        self.cells[0] = state[1]
        if self.projected:
            self.weight_hr[...] = weights["weight_hr"]
        if len(self.peepholes):
            self.peepholes[...] = weights["weight_ch"].reshape(len(self.peepholes), 1, -1)

    def equations_tape(self) -> LSTMTape:
        """Return the run as the equations record it, views of this memory."""
        weights = {"weight_ih": self.to_x.plain, "weight_hh": self.to_h_prev.plain, "weight_hr": self.weight_hr}
        weights["weight_ch"] = self.peepholes[:, 0].ravel()
        steps = [LSTMStep(h_prev, s.c_prev, s.i, s.f, s.g, s.o, s.c, s.m) for h_prev, s in zip(self.h_prev, self.steps)]
        return LSTMTape(self.x, weights, steps)


class FastLSTM:
    """One LSTM layer in one direction; the weights come with each call."""

    negated = 3  #: how many gates' pre-activations are negated (F1)
    peepholes = coupled = False

    @np.errstate(over="ignore")  # of a shut gate's exponential (F1)
    def forward(self, x: Array, state: Parts, weights: Weights, out: object = None) -> Forward[LSTMMemory]:
        """Run as the equations do; ``out`` is an earlier run's memory, overwritten if its sizes fit."""
        T, B, D = x.shape
        P, H = (part.shape[1] for part in state)
        memory = LSTMMemory.reuse(out, T, B, D, H, P, x.dtype, self.peepholes, self.coupled)
        memory.load(x, state, weights, self.negated)
        product, W, W_mh = memory.to_gates.multiply, memory.to_gates.weights, memory.weight_hr.T
        for t, s in enumerate(memory.steps):
            product(s.row, W, s.z_out)  # (L1) (G, B, H), of ``negated`` ones -z
            self.activate(t, memory)
            if memory.projected:
                dot(s.m, W_mh, s.h)  # (L21) (B, P)
            copyto(s.next_h_prev, s.h)
        return memory.h.copy(), (memory.h[-1].copy(), memory.steps[-1].c.copy()), memory

    def activate(self, t: int, memory: LSTMMemory) -> None:
        """Compute gates, c and m of step t from the pre-activations."""
        s, one = memory.steps[t], memory.one
        tanh(s.g, s.g)  # (L4)
        exp(s.o_i_f, s.o_i_f)  # with the next two lines (L2), (L3), (L5)
        add(s.o_i_f, one, s.o_i_f)
        divide(one, s.o_i_f, s.o_i_f)
        multiply(s.i, s.g, s.i_g)
        multiply(s.f, s.c_prev, s.f_c)
        add(s.i_g, s.f_c, s.c)  # (L6) (B, H)
        tanh(s.c, s.tanh_c)
        multiply(s.o, s.tanh_c, s.m)  # (L7)

    def backward(self, memory: LSTMMemory, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as the equations do."""
        T, B, _, H, P, dtype = memory.sizes
        d_h, d_c = (np.array(d, order="C") for d in d_state)  # what the next step passes back
        d_m = np.zeros((B, H), dtype) if memory.projected else d_h
        for t in reversed(range(T)):
            s = memory.steps[t]
            add(d_h, d_output[t], d_h)  # (L8) (B, P)
            if memory.projected:
                copyto(s.d_h, d_h)
                dot(d_h, memory.weight_hr, d_m)  # (L22) (B, H)
            self.differentiate(t, memory, d_m, d_c)
            memory.to_h_prev(s.d_z, d_h)  # (L15)

        gradients = memory.gradients()
        if memory.projected:
            m = memory.m.reshape(T * B, H)
            gradients["weight_hr"] = dot(memory.d_h.reshape(T * B, P).T, m)  # (L23) (P, H)
        return memory.d_x(), (d_h, d_c), gradients

    def differentiate(self, t: int, memory: LSTMMemory, d_m: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_m and d_c (B, H), which ends as the gradient of c_prev."""
        s = memory.steps[t]
        m_by_o, _, _, m_by_c, c_by_g = memory.derivatives
        product_by_sigmoid(s.m_ig_fc, s.o_i_f, memory.derivatives[:3])
        product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, memory.derivatives[3:])
        multiply(d_m, m_by_o, s.d_z_o)  # (L13)
        multiply(d_m, m_by_c, m_by_c)
        add(d_c, m_by_c, d_c)  # (L9)
        multiply(d_c, memory.derivatives[1:3], s.d_z_i_f)  # (L10), (L11)
        multiply(d_c, c_by_g, s.d_z_g)  # (L12)
        multiply(d_c, s.f, d_c)  # (L14)
