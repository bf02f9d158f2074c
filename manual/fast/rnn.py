"""The equations of ``manual/rnn.py``, without probes, in few, large operations.

The numbers and the legend are those of ``manual/rnn.py``; the views of a step are those of ``memory.RNNViews``. The
last argument of add, multiply, … is where the result goes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import add, copyto, multiply

from manual.activations import ACTIVATIONS
from manual.arrays import Array
from manual.fast.memory import RNNMemory
from manual.fast.products import sums_of_outer_products


class FastRNN:
    """One Elman layer in one direction; the weights come with each call.

    Args:
        nonlinearity: a name in ``ACTIVATIONS``.
    """

    def __init__(self, nonlinearity: str = "tanh"):
        self.activation: Callable[..., Any]
        self.derivative: Callable[..., Any]
        self.activation, self.derivative = ACTIVATIONS[nonlinearity]

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: object = None
    ) -> tuple[Array, tuple[Array, ...], RNNMemory]:
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

    def backward(
        self, memory: RNNMemory, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back as ``RNNKernel.backward`` does."""
        T, B, D, H, _, dtype = memory.sizes
        to_h_prev = memory.to_h_prev
        d_h = np.array(d_state[0], order="C")  # what the next step passes back
        self.derivative(memory.h, memory.d_z[0])  # ∂h/∂z_h of all steps: it needs no incoming gradient
        for t in reversed(range(T)):
            s = memory.steps[t]
            add(d_h, d_output[t], d_h)  # (R3) (B, H)
            multiply(d_h, s.d_z, s.d_z)  # (R4)
            to_h_prev(s.d_z, d_h)  # (R5)

        d_W_h, d_W_x = sums_of_outer_products(memory.d_z, memory.rows, H)  # (F4) (H, H), (H, D + 1)
        gradients = {
            "weight_ih": d_W_x[:, :-1].copy(),  # (R7) (H, D)
            "weight_hh": d_W_h,  # (R8) (H, H)
            "bias_ih": d_W_x[:, -1].copy(),  # (R9) (H,)
            "bias_hh": d_W_x[:, -1].copy(),  # (R10) (H,)
        }
        d_x = np.empty((T * B, D), dtype)
        memory.to_x(memory.d_z_to_x, d_x)  # (R6)
        return d_x.reshape(T, B, D), (d_h,), gradients
