"""One Elman RNN layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; z_h pre-activation; h hidden; d_a is the gradient of
the loss with respect to a. Equation numbers are those of DERIVATION.md. The last argument of add, multiply, … is
where the result goes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import add, copyto, multiply

from manual import blocks
from manual.activations import ACTIVATIONS
from manual.arrays import Array, Probe
from manual.blocks import through
from manual.products import ByGate, OverGates, over_time


class Tape(blocks.Tape):
    """The one block of every step, which stands first for z and then for h, the weights, and views."""

    def __init__(self, form: tuple[Any, ...]):
        super().__init__(form, quantities=1, adjoints=1)
        T, B, D, H, _, dtype = form
        self.pre_activation = ByGate(1, B, D + 1 + H, H, dtype, known=D + 1)
        self.to_h_prev = OverGates(1, B, H, H, dtype)
        self.to_x = OverGates(1, B, H, D, dtype, steps=T)
        self.h = self.blocks[1:, 0]
        rows, z_out = self.pre_activation.rows(self.x_1_h), self.pre_activation.out(self.blocks[1:])
        self.steps = list(zip(rows, self.h_prev, z_out, self.h, self.h_prev[1:]))  # as the loop of forward names them
        self.back = list(enumerate(self.d_z[0]))[::-1]  # as the loop of backward names them


class RNNKernel:
    """The equations of one Elman layer; the weights come with each call.

    Args:
        nonlinearity: a name in ``ACTIVATIONS``: ``tanh``, ``relu`` or ``sigmoid``.

    Raises:
        ValueError: another nonlinearity.
    """

    gates: tuple[str, ...] = ("h",)

    def __init__(self, nonlinearity: str = "tanh"):
        if nonlinearity not in ACTIVATIONS:
            raise ValueError(f"nonlinearity: expected one of {', '.join(ACTIVATIONS)}, got {nonlinearity!r}")
        self.activation, self.derivative = ACTIVATIONS[nonlinearity]

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (H, D), "weight_hh": (H, H), "bias_ih": (H,), "bias_hh": (H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, and its size."""
        return {"h": H}

    def forward(
        self,
        x: Array,
        state: tuple[Array, ...],
        weights: Mapping[str, Array],
        probe: Probe | None = None,
        out: object = None,
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (H, D), weight_hh (H, H), bias_ih (H,), bias_hh (H,). ``out``: an earlier run's tape, to
        be written over if its sizes are this run's.

        Returns:
            output (T, B, H), the state (h_n,) after the last step, and the tape.
        """
        T, B, D = x.shape
        H = len(weights["weight_hh"])
        form = T, B, D, H, H, x.dtype
        tape = out if isinstance(out, Tape) and out.form == form else Tape(form)
        tape.load(x, state[0])
        bias = weights["bias_ih"] + weights["bias_hh"]
        tape.pre_activation.load(weights["weight_ih"], bias[:, None], weights["weight_hh"])
        tape.to_h_prev.load(weights["weight_hh"])
        tape.to_x.load(weights["weight_ih"])

        tape.pre_activation.start(tape.x_1_h[:T], tape.blocks[1:])
        product, W, activation = tape.pre_activation.multiply, tape.pre_activation.weights, self.activation
        for t, (x_1_h, h_prev, z_out, h, h_next) in enumerate(tape.steps):
            if probe:
                through(probe, t, h_prev=h_prev)
            product(x_1_h, W, z_out)  # (R1) (B, H)
            if probe:
                through(probe, t, z_h=h)
            activation(h, h)  # (R2)
            if probe:
                through(probe, t, h=h)
            copyto(h_next, h)
        return tape.h.copy(), (tape.h[-1].copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, _, dtype = tape.form
        to_h_prev = tape.to_h_prev
        d_h = np.array(d_state[0], order="C")  # what step t hands to the step before: here, to the last
        self.derivative(tape.h, tape.d_z[0])  # of h by z: it waits for no gradient, so of all steps at once
        for t, d_z in tape.back:
            add(d_h, d_output[t], d_h)  # (R3) (B, H)
            if probe:
                through(probe, t, d_h=d_h)
            multiply(d_h, d_z, d_z)  # (R4)
            if probe:
                through(probe, t, d_z_h=d_z)
            to_h_prev(d_z, d_h)  # (R5)
            if probe:
                through(probe, t, d_h_prev=d_h)

        d_w = over_time(tape.d_z, tape.x_1_h[:T])  # (F4) (H, D + 1 + H)
        gradients = {
            "weight_ih": d_w[:, :D].copy(),  # (R7) (H, D)
            "weight_hh": d_w[:, D + 1 :].copy(),  # (R8) (H, H)
            "bias_ih": d_w[:, D].copy(),  # (R9) (H,)
            "bias_hh": d_w[:, D].copy(),  # (R10) (H,)
        }
        d_x = np.empty((T * B, D), dtype)
        tape.to_x(tape.d_z[0].reshape(T * B, H), d_x)  # (R6)
        return d_x.reshape(T, B, D), (d_h,), gradients
