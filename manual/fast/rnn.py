"""The equations of ``manual/rnn.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/rnn.py``; ``RNNMemory`` names the views of a step. The last argument
of add, multiply, … is where the result goes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import add, copyto, multiply

from manual.activations import ACTIVATIONS
from manual.arrays import Array, Backward, Forward, Parts, Weights
from manual.fast.memory import OneProductMemory, by_step
from manual.rnn import RNNStep, RNNTape


class RNNMemory(OneProductMemory):
    """The memory of an RNN run."""

    def __init__(self, T: int, B: int, D: int, H: int, P: int, dtype: np.dtype[Any]):
        super().__init__((T, B, D, H, P, dtype), quantities=1, gates=1)
        self.h = self.blocks[1:, 0]
        self.steps = by_step(
            row=self.to_gates.rows(self.rows),  # (B, H + D + 1), as ``to_gates`` multiplies it
            h=self.h,  # (B, H): the pre-activation, then h
            h_out=self.to_gates.out(self.z),  # h, as ``to_gates`` fills it
            next_h_prev=self.h_prev[1:],  # (B, H)
            d_z=self.d_z[0],  # (B, H)
        )

    def equations_tape(self) -> RNNTape:
        """Return the run as the equations record it, views of this memory."""
        weights = {"weight_ih": self.to_x.plain, "weight_hh": self.to_h_prev.plain}
        return RNNTape(self.x, weights, [RNNStep(h_prev, h) for h_prev, h in zip(self.h_prev, self.h)])


class FastRNN:
    """One Elman layer in one direction; the weights come with each call.

    Args:
        nonlinearity: a name in ``ACTIVATIONS``.
    """

    def __init__(self, nonlinearity: str = "tanh"):
        self.activation: Callable[..., Any]
        self.derivative: Callable[..., Any]
        self.activation, self.derivative = ACTIVATIONS[nonlinearity]

    def forward(self, x: Array, state: Parts, weights: Weights, out: object = None) -> Forward[RNNMemory]:
        """Run as ``RNNKernel.forward`` does; ``out`` is an earlier run's memory, overwritten if its sizes fit."""
        T, B, D = x.shape
        H = len(weights["weight_hh"])
        memory = RNNMemory.reuse(out, T, B, D, H, H, x.dtype)
        memory.load(x, state, weights)
        product, W, activation = memory.to_gates.multiply, memory.to_gates.weights, self.activation
        for s in memory.steps:
            product(s.row, W, s.h_out)  # (R1) (B, H)
            activation(s.h, s.h)  # (R2)
            copyto(s.next_h_prev, s.h)
        return memory.h.copy(), (memory.h[-1].copy(),), memory

    def backward(self, memory: RNNMemory, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back as ``RNNKernel.backward`` does."""
        to_h_prev = memory.to_h_prev
        d_h = np.array(d_state[0], order="C")  # what the next step passes back
        self.derivative(memory.h, memory.d_z[0])  # ∂h/∂z_h of all steps: it needs no incoming gradient
        for t in reversed(range(len(memory.steps))):
            s = memory.steps[t]
            add(d_h, d_output[t], d_h)  # (R3) (B, H)
            multiply(d_h, s.d_z, s.d_z)  # (R4)
            to_h_prev(s.d_z, d_h)  # (R5)
        return memory.d_x(), (d_h,), memory.gradients()
