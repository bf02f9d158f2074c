"""The equations of ``manual/lstm.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/lstm.py``; the views of a step are those of ``memory.LSTMViews``. The
last argument of add, multiply, … is where the result goes.
"""

from collections.abc import Mapping

import numpy as np
from numpy import add, copyto, divide, dot, exp, multiply, tanh

from manual.arrays import Array
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.memory import LSTMMemory
from manual.fast.products import sums_of_outer_products


class FastLSTM:
    """One LSTM layer in one direction; the weights come with each call."""

    negated = 3  #: how many gates' pre-activations are negated (F1)

    @np.errstate(over="ignore")  # of a shut gate's exponential (F1)
    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], LSTMMemory]:
        """Run as ``LSTMKernel.forward`` does; ``out`` is an earlier run's memory, overwritten if its sizes fit."""
        T, B, D = x.shape
        rows, P = weights["weight_hh"].shape
        memory = LSTMMemory.reuse(out, T, B, D, rows // 4, P, x.dtype)
        memory.load(x, state, weights, self.negated)
        product, W, W_mh = memory.to_gates.multiply, memory.to_gates.weights, memory.weight_hr.T
        for t, s in enumerate(memory.steps):
            product(s.row, W, s.z_out)  # (L1) (4, B, H), of the sigmoids negated
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

    def backward(
        self, memory: LSTMMemory, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``LSTMKernel.backward`` does."""
        T, B, D, H, P, dtype = memory.sizes
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

        d_W_h, d_W_x = sums_of_outer_products(memory.d_z, memory.rows, P)  # (F4) (4H, P), (4H, D + 1)
        gradients = {
            "weight_ih": d_W_x[:, :-1].copy(),  # (L17) (4H, D)
            "weight_hh": d_W_h,  # (L18) (4H, P)
            "bias_ih": d_W_x[:, -1].copy(),  # (L19) (4H,)
            "bias_hh": d_W_x[:, -1].copy(),  # (L20) (4H,)
        }
        if memory.projected:
            m = memory.m.reshape(T * B, H)
            gradients["weight_hr"] = dot(memory.d_h.reshape(T * B, P).T, m)  # (L23) (P, H)
        d_x = np.empty((T * B, D), dtype)
        memory.to_x(memory.d_z_to_x, d_x)  # (L16)
        return d_x.reshape(T, B, D), (d_h, d_c), gradients

    def differentiate(self, t: int, memory: LSTMMemory, d_m: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_m and d_c (B, H), which ends as the gradient of c_prev."""
        s = memory.steps[t]
        m_by_o, c_by_i, c_by_f, m_by_c, c_by_g = memory.derivatives  # ∂m/∂z_o, ∂c/∂z_i, ∂c/∂z_f, ∂m/∂c, ∂c/∂z_g
        product_by_sigmoid(s.m_ig_fc, s.o_i_f, memory.derivatives[:3])
        product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, memory.derivatives[3:])
        multiply(d_m, m_by_o, s.d_z_o)  # (L13)
        multiply(d_m, m_by_c, m_by_c)
        add(d_c, m_by_c, d_c)  # (L9)
        multiply(d_c, c_by_i, s.d_z_i)  # (L10)
        multiply(d_c, c_by_f, s.d_z_f)  # (L11)
        multiply(d_c, c_by_g, s.d_z_g)  # (L12)
        multiply(d_c, s.f, d_c)  # (L14)
