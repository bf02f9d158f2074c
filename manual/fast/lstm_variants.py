"""The equations of ``manual/lstm_variants.py``, without probes, in few, large operations.

The last argument of add, multiply, … is where the result goes. An output gate with a peephole waits for the cell, so
the gates are activated one kind after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import add, copyto, multiply, subtract, tanh

from manual.activations import sigmoid
from manual.arrays import Array
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.memory import Memory, by_step
from manual.fast.products import FromGates, ToGates, sums_of_outer_products
from manual.lstm_variants import LSTMVariantStep, LSTMVariantTape

#: The blocks of a step; a gate's holds first its pre-activation. Neighbours are operated on together: all gates, which
#: where they are coupled are only g o i; i f; and the factors and products of each kind of derivative.
TANH_C, G, O, I, F, M, I_G, F_C, C = range(9)


@dataclass(slots=True)
class LSTMVariantViews:
    """One step's memory by name: (B, H) blocks, and neighbouring blocks, (blocks, B, H)."""

    row: Array  # (B, H + D + 1), as ``to_gates`` multiplies it
    z_out: Array  # all gates, as ``to_gates`` fills them
    sigmoids: Array  # i f, or i alone
    i: Array
    f: Array
    g: Array
    o: Array
    o_i: Array
    o_i_f: Array
    m: Array
    m_ig: Array
    m_ig_fc: Array
    i_g: Array
    f_c: Array
    c_prev: Array
    c: Array
    tanh_c: Array
    tanh_c_g: Array
    next_h_prev: Array
    d_gates: Array  # (gates, B, H), in the equations' order
    d_z: Array  # the same, as ``to_h_prev`` multiplies them


class LSTMVariantMemory(Memory):
    """The memory of a run."""

    def __init__(self, T: int, B: int, D: int, H: int, P: int, dtype: np.dtype[Any], peepholes: bool, coupled: bool):
        gates = 3 if coupled else 4
        super().__init__((T, B, D, H, P, dtype, peepholes, coupled), quantities=9, adjoints=gates)
        self.gates = gates
        self.to_gates = ToGates(gates, B, H + D + 1, H, dtype, hoisted=D + 1)
        self.to_h_prev = FromGates(gates, B, H, H, dtype)
        self.to_x = FromGates(gates, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.operand(self.d_z)
        all_peepholes = np.zeros((3, B, H), dtype)  # i f o, those of a row in each row
        self.units_of_peepholes = all_peepholes.reshape(3, -1)
        self.peepholes = all_peepholes[:: 2 if coupled else 1] if peepholes else all_peepholes[:0]
        self.seen = np.zeros((max(0, len(self.peepholes) - 1), B, H), dtype)  # what i f see of the cell
        self.z, self.m, self.cells = self.blocks[1:, G : G + gates], self.blocks[1:, M], self.blocks[:, C]
        self.derivatives = np.zeros((5, B, H), dtype)  # of one step
        s = self.blocks[1:]
        self.steps = by_step(
            LSTMVariantViews,
            row=self.to_gates.rows(self.rows),
            z_out=self.to_gates.out(self.z),
            sigmoids=s[:, I : G + gates],
            i=s[:, I],
            f=s[:, F],
            g=s[:, G],
            o=s[:, O],
            o_i=s[:, O:F],
            o_i_f=s[:, O:M],
            m=self.m,
            m_ig=s[:, M:F_C],
            m_ig_fc=s[:, M:C],
            i_g=s[:, I_G],
            f_c=s[:, F_C],
            c_prev=self.cells[:-1],
            c=s[:, C],
            tanh_c=s[:, TANH_C],
            tanh_c_g=s[:, TANH_C:O],
            next_h_prev=self.h_prev[1:],
            d_gates=self.d_z.swapaxes(0, 1),
            d_z=self.to_h_prev.operands(self.d_z),
        )

    def load(self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array]) -> None:
        """Copy the arguments of a run; of the pre-activations, compute what is hoisted out of the loop."""
        self.x[...] = x
        self.h_prev[0], self.cells[0] = state
        bias = weights["bias_ih"] + weights["bias_hh"]
        first = self.gates - 2  # g: i f g o becomes g o i f, and i g o becomes g o i
        self.to_gates.load(weights["weight_hh"], weights["weight_ih"], bias[:, None], first=first)
        self.to_h_prev.load(weights["weight_hh"])
        self.to_x.load(weights["weight_ih"])
        if len(self.peepholes):
            self.peepholes[...] = weights["weight_ch"].reshape(len(self.peepholes), 1, -1)
        self.to_gates.hoist(self.rows, self.z)

    def read_by_backward(self) -> list[Array]:
        """Return the arrays that backward reads and does not write first."""
        return [*super().read_by_backward(), self.to_h_prev.weights, self.to_x.weights, self.peepholes]

    def equations_tape(self) -> LSTMVariantTape:
        """Return the run as the equations record it, views of this memory."""
        weights = {
            "weight_ih": self.to_x.plain,
            "weight_hh": self.to_h_prev.plain,
            "weight_ch": self.peepholes[:, 0].ravel(),
        }
        steps = [LSTMVariantStep(h, s.c_prev, s.i, s.f, s.g, s.o, s.c) for h, s in zip(self.h_prev, self.steps)]
        return LSTMVariantTape(self.x, weights, steps)


class FastLSTMVariant:
    """One LSTM layer with peepholes, coupled gates, or both, in one direction; the weights come with each call.

    Args:
        peepholes: whether the gates i f o see the cell.
        coupled: whether f = 1 - i.
    """

    def __init__(self, peepholes: bool = False, coupled: bool = False):
        self.peepholes, self.coupled = peepholes, coupled

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], LSTMVariantMemory]:
        """Run as ``LSTMVariantKernel.forward`` does; ``out`` is an earlier run's memory, overwritten if it fits."""
        T, B, D = x.shape
        H = weights["weight_hh"].shape[1]
        memory = LSTMVariantMemory.reuse(out, T, B, D, H, H, x.dtype, self.peepholes, self.coupled)
        memory.load(x, state, weights)
        product, W = memory.to_gates.multiply, memory.to_gates.weights
        for t, s in enumerate(memory.steps):
            product(s.row, W, s.z_out)  # (L1) (G, B, H)
            self.activate(t, memory)
            copyto(s.next_h_prev, s.m)
        return memory.m.copy(), (memory.m[-1].copy(), memory.cells[-1].copy()), memory

    def activate(self, t: int, memory: LSTMVariantMemory) -> None:
        """Compute gates, c and m of step t from the pre-activations."""
        s, seen = memory.steps[t], memory.seen
        if self.peepholes:
            multiply(memory.peepholes[:-1], s.c_prev, seen)
            add(s.sigmoids, seen, s.sigmoids)
        sigmoid(s.sigmoids, s.sigmoids)  # (L24), (L25)
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

    def backward(
        self, memory: LSTMVariantMemory, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``LSTMVariantKernel.backward`` does."""
        T, B, D, H, _, dtype = memory.sizes
        d_h, d_c = (np.array(d, order="C") for d in d_state)  # what the next step passes back
        for t in reversed(range(T)):
            add(d_h, d_output[t], d_h)  # (L8) (B, H)
            self.differentiate(t, memory, d_h, d_c)
            memory.to_h_prev(memory.steps[t].d_z, d_h)  # (L15)

        d_W_h, d_W_x = sums_of_outer_products(memory.d_z, memory.rows, H)  # (F4) (G H, H), (G H, D + 1)
        gradients = {
            "weight_ih": d_W_x[:, :-1].copy(),  # (L17) (G H, D)
            "weight_hh": d_W_h,  # (L18) (G H, H)
            "bias_ih": d_W_x[:, -1].copy(),  # (L19) (G H,)
            "bias_hh": d_W_x[:, -1].copy(),  # (L20) (G H,)
        }
        if self.peepholes:
            seen = [*(memory.cells[:-1] for _ in memory.peepholes[:-1]), memory.cells[1:]]
            d_z = [*memory.d_z[:-2], memory.d_z[-1]]
            sums = [(d * c).sum(axis=(0, 1)) for d, c in zip(d_z, seen)]  # (L29), (L30), (L31) (H,)
            gradients["weight_ch"] = np.concatenate(sums)
        d_x = np.empty((T * B, D), dtype)
        memory.to_x(memory.d_z_to_x, d_x)  # (L16)
        return d_x.reshape(T, B, D), (d_h, d_c), gradients

    def differentiate(self, t: int, memory: LSTMVariantMemory, d_h: Array, d_c: Array) -> None:
        """Compute d_z of step t from d_h and d_c (B, H), which ends as the gradient of c_prev."""
        s, peepholes = memory.steps[t], memory.peepholes
        m_by_o, c_by_i, c_by_f, m_by_c, c_by_g = memory.derivatives  # ∂m/∂z_o, ∂c/∂z_i, ∂c/∂z_f, ∂m/∂c, ∂c/∂z_g
        by_sigmoids, by_tanhs = memory.derivatives[:3], memory.derivatives[3:]
        if self.coupled:  # f takes what i gives
            product_by_sigmoid(s.m_ig, s.o_i, by_sigmoids[:2])
            multiply(s.f_c, s.i, c_by_f)
            subtract(c_by_i, c_by_f, c_by_i)
        else:
            product_by_sigmoid(s.m_ig_fc, s.o_i_f, by_sigmoids)
        product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, by_tanhs)
        d_z_o, d_z_g = s.d_gates[-1], s.d_gates[-2]
        multiply(d_h, m_by_o, d_z_o)  # (L13)
        multiply(d_h, m_by_c, m_by_c)
        add(d_c, m_by_c, d_c)
        if self.peepholes:
            d_c += peepholes[-1] * d_z_o  # (L27)
        multiply(d_c, c_by_g, d_z_g)  # (L12)
        multiply(d_c, memory.derivatives[1 : memory.gates - 1], s.d_gates[:-2])  # (L10) and (L11), or (L33)
        multiply(d_c, s.f, d_c)
        if self.peepholes:
            d_c += (peepholes[:-1] * s.d_gates[:-2]).sum(axis=0)  # (L28), or (L34)
