"""The memory that the fast kernels work in, laid out for few, large operations, and named views of it.

Each quantity of a step is one contiguous (B, H) block; what is activated or multiplied together is contiguous, too.
The views of each step are made once, with the memory, and a later run of the same sizes can overwrite it; so no loop
over time allocates anything.
P is the size of h, which is H unless h is projected.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy import concatenate

from manual.arrays import Array
from manual.fast.products import FromGates, ToGates
from manual.gru import GRUStep, GRUTape
from manual.lstm import LSTMStep, LSTMTape
from manual.rnn import RNNStep, RNNTape

View = TypeVar("View")


class Memory:
    """What all cells store: h_prev, x and a 1 in one row, the blocks of each step, and d_z.

    Copies and pickles are memory of their own, with views of their own.

    ``units`` are the blocks with all rows in one; ``units_of_d_z`` those of d_z, and how steps and adjoints are apart.

    Args:
        plan: T, B, D, H, P and the dtype of everything, and what else the layout depends on.
        quantities: blocks of each step.
        adjoints: blocks of d_z of each step.
        one_after_h: whether there is a 1 after h_prev, too.
    """

    def __init__(self, plan: tuple[Any, ...], quantities: int, adjoints: int, one_after_h: bool = False):
        self.plan = plan
        T, B, D, H, P, dtype = self.sizes = plan[:6]
        self.one = np.array(1, dtype)
        # A 1 multiplies a bias. What may be large comes last, so that few partial sums are rounded at its magnitude.
        all_rows = np.ones((T + 1, B, P + one_after_h + D + 1), dtype)  # at T only h_n counts
        self.rows, self.x, self.h_prev = all_rows[:T], all_rows[:T, :, -1 - D : -1], all_rows[:, :, :P]
        self.blocks = np.zeros((T + 1, quantities, B, H), dtype)  # step t at t + 1; at 0 what the first step reads
        if B == 1:  # the blocks of one step in one row
            self.d_z = np.zeros((T, adjoints, 1, H), dtype).swapaxes(0, 1)
            self.units_of_d_z = self.d_z.swapaxes(0, 1).reshape(-1, H), adjoints, 1
        else:
            self.d_z = np.zeros((adjoints, T, B, H), dtype)
            self.units_of_d_z = self.d_z.reshape(-1, B * H), 1, T
        self.units = self.blocks.reshape(T + 1, quantities, B * H)

    @classmethod
    def reuse(cls, out: object, *plan: Any) -> Self:
        """Return ``out`` if it is memory of the same plan, to be overwritten, and new memory otherwise."""
        return out if isinstance(out, cls) and out.plan == plan else cls(*plan)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.plan, self.read_by_backward())

    def read_by_backward(self) -> list[Array]:
        """Return the arrays that backward reads and does not write first."""
        return [self.rows, self.h_prev, self.blocks]


def _restored(kind: type[Memory], plan: tuple[Any, ...], arrays: list[Array]) -> Memory:
    """Return memory of a plan that holds the arrays that backward reads."""
    memory = kind(*plan)
    for place, array in zip(memory.read_by_backward(), arrays, strict=True):
        np.copyto(place, array)
    return memory


def by_step(views: Callable[..., View], **stacked: Any) -> list[View]:
    """Return the views of each step; ``stacked`` are the views of all steps, (T, …), by the names of the fields."""
    return list(map(views, *(stacked[field] for field in views.__slots__)))  # type: ignore[attr-defined]


#: The blocks of an LSTM step; a gate's holds first its pre-activation. Neighbours are operated on together: all gates;
#: the sigmoids o i f, and the products m, i ∘ g, f ∘ c_prev that they are factors of; o i, and tanh(c) g.
TANH_C, G, O, I, F, M, I_G, F_C, C = range(9)


@dataclass(slots=True)
class LSTMViews:
    """One step's memory by name: (B, H) blocks, and neighbouring blocks, (blocks, B, H)."""

    row: Array  # (B, P + D + 1), as ``to_gates`` multiplies it
    z: Array  # g o i f: pre-activations, then gates
    z_out: Array  # z, as ``to_gates`` fills it
    o_i_f: Array
    o_i: Array
    o: Array
    i: Array
    f: Array
    g: Array
    i_g: Array
    c_prev: Array
    f_c: Array
    c: Array
    tanh_c: Array
    tanh_c_g: Array
    m: Array
    m_ig: Array
    m_ig_fc: Array
    h: Array  # (B, P)
    next_h_prev: Array  # (B, P)
    d_h: Array  # (B, P), stored under projection only
    d_z_i: Array
    d_z_f: Array
    d_z_g: Array
    d_z_o: Array
    d_z: Array  # all four, as ``to_h_prev`` multiplies them


class LSTMMemory(Memory):
    """The memory of an LSTM run."""

    def __init__(self, T: int, B: int, D: int, H: int, P: int, dtype: np.dtype[Any]):
        super().__init__((T, B, D, H, P, dtype), quantities=9, adjoints=4)
        self.projected = P < H
        self.to_gates = ToGates(4, B, P + D + 1, H, dtype, hoisted=D + 1)
        self.to_h_prev = FromGates(4, B, H, P, dtype)
        self.to_x = FromGates(4, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.operand(self.d_z)
        self.weight_hr = np.zeros((P if self.projected else 0, H), dtype)
        self.z, self.m = self.blocks[1:, G:M], self.blocks[1:, M]
        self.h = np.zeros((T, B, P), dtype) if self.projected else self.m
        self.d_h = np.zeros((T, B, P if self.projected else 0), dtype)
        self.derivatives = np.zeros((5, B, H), dtype)  # of one step
        s, d_z = self.blocks[1:], self.d_z
        self.steps = by_step(
            LSTMViews,
            row=self.to_gates.rows(self.rows),
            z=self.z,
            z_out=self.to_gates.out(self.z),
            o_i_f=s[:, O:M],
            o_i=s[:, O:F],
            o=s[:, O],
            i=s[:, I],
            f=s[:, F],
            g=s[:, G],
            i_g=s[:, I_G],
            c_prev=self.blocks[:-1, C],
            f_c=s[:, F_C],
            c=s[:, C],
            tanh_c=s[:, TANH_C],
            tanh_c_g=s[:, TANH_C:O],
            m=self.m,
            m_ig=s[:, M:F_C],
            m_ig_fc=s[:, M:C],
            h=self.h,
            next_h_prev=self.h_prev[1:],
            d_h=self.d_h,
            d_z_i=d_z[0],
            d_z_f=d_z[1],
            d_z_g=d_z[2],
            d_z_o=d_z[3],
            d_z=self.to_h_prev.operands(d_z),
        )

    def load(self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], negated: int) -> None:
        """Copy the arguments of a run, and compute what is hoisted. The last ``negated`` of g o i f get -z."""
        self.x[...] = x
        self.h_prev[0], self.blocks[0, C] = state
        bias = weights["bias_ih"] + weights["bias_hh"]
        self.to_gates.load(weights["weight_hh"], weights["weight_ih"], bias[:, None], first=2, negated=negated)
        self.to_h_prev.load(weights["weight_hh"])
        self.to_x.load(weights["weight_ih"])
        if self.projected:
            self.weight_hr[...] = weights["weight_hr"]
        self.to_gates.hoist(self.rows, self.z)

    def read_by_backward(self) -> list[Array]:
        """Return the arrays that backward reads and does not write first."""
        weights = [self.to_h_prev.weights, self.to_x.weights, self.weight_hr]
        return [*super().read_by_backward(), self.h, *weights]

    def equations_tape(self) -> LSTMTape:
        """Return the run as the equations record it, views of this memory."""
        weights = {"weight_ih": self.to_x.plain, "weight_hh": self.to_h_prev.plain, "weight_hr": self.weight_hr}
        steps = [LSTMStep(h_prev, s.c_prev, s.i, s.f, s.g, s.o, s.c, s.m) for h_prev, s in zip(self.h_prev, self.steps)]
        return LSTMTape(self.x, weights, steps)


#: The blocks of a GRU step: the gates, each holding first its pre-activation; what the gates r and z let through, r ∘ q
#: or, as q itself, r ∘ h_prev, and z ∘ (h_prev - n); q before it is let through; and h.
R, Z, N, RESET, UPDATE, Q, HIDDEN = range(7)

#: The blocks of d_z. Neighbours are n r z, which reach the input, and r z q, which reach the hidden state.
D_N, D_R, D_Z, D_Q = range(4)


@dataclass(slots=True)
class GRUViews:
    """One step's memory by name: (B, H) blocks, and neighbouring blocks, (blocks, B, H)."""

    row: Array  # (B, H + 1 + D + 1), as ``to_gates`` multiplies it
    x_1: Array  # (B, D + 1)
    h_1: Array  # (B, H + 1)
    h_prev: Array
    r_z: Array  # pre-activations, then gates
    r_z_out: Array  # r_z, as ``to_gates`` fills it
    r: Array
    z: Array
    n: Array
    n_out: Array  # n, as ``x_to_n`` fills it
    q: Array
    q_out: Array  # q, as ``h_to_n`` fills it
    reset: Array
    update: Array
    reset_update: Array
    h: Array
    next_h_prev: Array
    d_z_n: Array
    d_z_r: Array
    d_z_z: Array
    d_q: Array
    d_z: Array  # those that h_prev enters, as ``to_h_prev`` multiplies them


class GRUMemory(Memory):
    """The memory of a GRU run, in either form."""

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
            GRUViews,
            row=self.to_gates.rows(self.rows),
            x_1=self.rows[:, :, H + 1 :],
            h_1=self.rows[:, :, : H + 1],
            h_prev=self.blocks[:-1, HIDDEN],
            r_z=self.r_z,
            r_z_out=self.to_gates.out(self.r_z),
            r=s[:, R],
            z=s[:, Z],
            n=s[:, N],
            n_out=self.x_to_n.out(s[:, N:RESET]),
            q=self.q,
            q_out=self.h_to_n.out(self.q[:, None]),
            reset=self.reset,
            update=s[:, UPDATE],
            reset_update=s[:, RESET:Q],
            h=self.h,
            next_h_prev=self.h_prev[1:],
            d_z_n=d_z[D_N],
            d_z_r=d_z[D_R],
            d_z_z=d_z[D_Z],
            d_q=d_z[D_Q],
            d_z=self.to_h_prev.operands(d_z[D_R:] if reset_after else d_z[D_R:D_Q]),
        )

    def load(self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], negated: int) -> None:
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

    def read_by_backward(self) -> list[Array]:
        """Return the arrays that backward reads and does not write first."""
        weights = [self.to_h_prev.weights, self.to_q.weights, self.to_x.weights]
        return [*super().read_by_backward(), *weights]

    def equations_tape(self) -> GRUTape:
        """Return the run as the equations record it, views of this memory."""
        W_hh = self.to_h_prev.plain
        if not self.reset_after:
            W_hh = concatenate((W_hh, self.to_q.plain))
        weights = {"weight_ih": np.roll(self.to_x.plain, -W_hh.shape[1], axis=0), "weight_hh": W_hh}
        return GRUTape(self.x, weights, [GRUStep(s.h_prev, s.r, s.z, s.n, s.q) for s in self.steps])


@dataclass(slots=True)
class RNNViews:
    """One step's memory by name."""

    row: Array  # (B, H + D + 1), as ``to_gates`` multiplies it
    h: Array  # (B, H): the pre-activation, then h
    h_out: Array  # h, as ``to_gates`` fills it
    next_h_prev: Array  # (B, H)
    d_z: Array  # (B, H)


class RNNMemory(Memory):
    """The memory of an RNN run."""

    def __init__(self, T: int, B: int, D: int, H: int, P: int, dtype: np.dtype[Any]):
        super().__init__((T, B, D, H, P, dtype), quantities=1, adjoints=1)
        self.to_gates = ToGates(1, B, H + D + 1, H, dtype, hoisted=D + 1)
        self.to_h_prev = FromGates(1, B, H, H, dtype)
        self.to_x = FromGates(1, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.operand(self.d_z)
        self.z, self.h = self.blocks[1:], self.blocks[1:, 0]
        self.steps = by_step(
            RNNViews,
            row=self.to_gates.rows(self.rows),
            h=self.h,
            h_out=self.to_gates.out(self.z),
            next_h_prev=self.h_prev[1:],
            d_z=self.d_z[0],
        )

    def load(self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array]) -> None:
        """Copy the arguments of a run; of the pre-activations, compute what is hoisted out of the loop."""
        self.x[...] = x
        self.h_prev[0] = state[0]
        bias = weights["bias_ih"] + weights["bias_hh"]
        self.to_gates.load(weights["weight_hh"], weights["weight_ih"], bias[:, None])
        self.to_h_prev.load(weights["weight_hh"])
        self.to_x.load(weights["weight_ih"])
        self.to_gates.hoist(self.rows, self.z)

    def read_by_backward(self) -> list[Array]:
        """Return the arrays that backward reads and does not write first."""
        return [*super().read_by_backward(), self.to_h_prev.weights, self.to_x.weights]

    def equations_tape(self) -> RNNTape:
        """Return the run as the equations record it, views of this memory."""
        weights = {"weight_ih": self.to_x.plain, "weight_hh": self.to_h_prev.plain}
        return RNNTape(self.x, weights, [RNNStep(h_prev, h) for h_prev, h in zip(self.h_prev, self.h)])
