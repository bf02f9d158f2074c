"""The equations of ``manual/lstm_variants.py``, without probes, in few, large operations.

What they have in common with those of ``manual/lstm.py`` is in ``lstm.py``. An output gate with a peephole waits for
the cell, so the gates are activated one kind after the other.
"""

import numpy as np
from numpy import add, multiply, subtract, tanh

from manual.activations import sigmoid
from manual.arrays import Array, Backward, Parts
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.lstm import FastLSTM, LSTMMemory


class FastLSTMVariant(FastLSTM):
    """One LSTM layer with peepholes, coupled gates, or both, in one direction; the weights come with each call.

    Args:
        peepholes: whether the gates i f o see the cell.
        coupled: whether f = 1 - i.
    """

    negated = 0

    def __init__(self, peepholes: bool = False, coupled: bool = False):
        self.peepholes, self.coupled = peepholes, coupled

    def activate(self, t: int, memory: LSTMMemory) -> None:
        """Compute gates, c and m of step t from the pre-activations."""
        s, seen = memory.steps[t], memory.seen
        if self.peepholes:
            multiply(memory.peepholes[:-1], s.c_prev, seen)
            add(s.i_f, seen, s.i_f)
        sigmoid(s.i_f, s.i_f)  # (L24), (L25)
        if self.coupled:
            subtract(1, s.i, s.f)  # (L32)
        tanh(s.g, s.g)  # (L4)
        multiply(s.i, s.g, s.i_g)
        multiply(s.f, s.c_prev, s.f_c)
        add(s.i_g, s.f_c, s.c)  # (L6) (B, H)
        if self.peepholes:
            multiply(memory.peepholes[-1], s.c, s.m)
            add(s.o, s.m, s.o)
        sigmoid(s.o, s.o)  # (L26)
        tanh(s.c, s.tanh_c)
        multiply(s.o, s.tanh_c, s.m)  # (L7)

    def backward(self, memory: LSTMMemory, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as the equations do."""
        d_x, d_first, gradients = super().backward(memory, d_output, d_state)
        if self.peepholes:
            seen = [*(memory.cells[:-1] for _ in memory.peepholes[:-1]), memory.cells[1:]]
            d_z = [*memory.d_z[:-2], memory.d_z[-1]]
            sums = [(d * c).sum(axis=(0, 1)) for d, c in zip(d_z, seen)]  # (L29), (L30), (L31) (H,)
            gradients["weight_ch"] = np.concatenate(sums)
        return d_x, d_first, gradients

    def differentiate(self, t: int, memory: LSTMMemory, d_h: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_h and d_c (B, H), which ends as the gradient of c_prev."""
        s, peepholes = memory.steps[t], memory.peepholes
        m_by_o, c_by_i, c_by_f, m_by_c, c_by_g = memory.derivatives
        by_sigmoids, by_tanhs = memory.derivatives[:3], memory.derivatives[3:]
        if self.coupled:  # f takes what i gives
            product_by_sigmoid(s.m_ig, s.o_i, by_sigmoids[:2])
            multiply(s.f_c, s.i, c_by_f)
            subtract(c_by_i, c_by_f, c_by_i)
        else:
            product_by_sigmoid(s.m_ig_fc, s.o_i_f, by_sigmoids)
        product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, by_tanhs)
        multiply(d_h, m_by_o, s.d_z_o)  # (L13)
        multiply(d_h, m_by_c, m_by_c)
        add(d_c, m_by_c, d_c)
        if self.peepholes:
            d_c += peepholes[-1] * s.d_z_o  # (L27)
        multiply(d_c, c_by_g, s.d_z_g)  # (L12)
        multiply(d_c, memory.derivatives[1 : 1 + len(s.d_z_i_f)], s.d_z_i_f)  # (L10) and (L11), or (L33)
        multiply(d_c, s.f, d_c)
        if self.peepholes:
            d_c += (peepholes[:-1] * s.d_z_i_f).sum(axis=0)  # (L28), or (L34)
