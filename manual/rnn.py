"""One Elman RNN layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; z_h pre-activation; h hidden; d_a is the gradient of
the loss with respect to a. Equation numbers are those of DERIVATION.md. The last argument of add, multiply, … is
where the result goes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import add, copyto, dot, matmul, multiply

from manual import blocks
from manual.activations import ACTIVATIONS
from manual.arrays import Array, Probe
from manual.blocks import through


class Tape(blocks.Tape):
    """The one block of every step, which stands first for z and then for h, and views of them."""

    def __init__(self, form: tuple[Any, ...]):
        super().__init__(form, gates=1, sigmoids=0, moved=0, quantities=1, adjoints=1)
        self.steps = list(zip(self.h_prev, self.blocks[:, 0], self.h_prev[1:]))
        self.back = [
            (self.blocks[span, 0], rows[:, :, 0], list(zip(range(len(self.d_z))[span], rows[:, :, 0]))[::-1])
            for span, _, _, rows in self.spans
        ]


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
        tape.load(x, state[0], weights, weights["bias_ih"] + weights["bias_hh"])

        x_1, w_x, z_x = tape.input_product
        matmul(x_1, w_x, z_x)  # the input's share of (R1), and both biases, for all time steps at once
        product, w_h, z_h_out = tape.recurrent_product()
        z_h, activation = tape.z_h[0], self.activation
        output = np.zeros((T, B, H), x.dtype)
        for t, (h_prev, h, h_next) in enumerate(tape.steps):
            if probe:
                through(probe, t, h_prev=h_prev)
            product(h_prev, w_h, z_h_out)
            add(h, z_h, h)  # (R1) (B, H)
            if probe:
                through(probe, t, z_h=h)
            activation(h, h)  # (R2)
            if probe:
                through(probe, t, h=h)
            copyto(h_next, h)
            output[t] = h
        return output, (tape.h_prev[T].copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, _, _ = tape.form
        weight_hh = tape.weight_hh
        d_h = np.array(d_state[0], order="C")  # what step t hands to the step before: here, to the last
        for h, h_by_z, steps in tape.back:
            self.derivative(h, h_by_z)  # it waits for no gradient: of several steps at once, (n, B, H)
            for t, d_z in steps:
                add(d_h, d_output[t], d_h)  # (R3) (B, H)
                if probe:
                    through(probe, t, d_h=d_h)
                multiply(d_h, d_z, d_z)  # (R4)
                if probe:
                    through(probe, t, d_z_h=d_z)
                dot(d_z, weight_hh, d_h)  # (R5)
                if probe:
                    through(probe, t, d_h_prev=d_h)

        d_z, M = tape.d_z.reshape(T * B, H), T * B  # what is left are products over all steps and rows at once
        d_w_x = dot(d_z.T, tape.x_1.reshape(M, D + 1))  # (F4) (H, D + 1)
        gradients = {
            "weight_ih": d_w_x[:, :D].copy(),  # (R7) (H, D)
            "weight_hh": dot(d_z.T, tape.h_prev[:T].reshape(M, H)),  # (R8) (H, H)
            "bias_ih": d_w_x[:, D].copy(),  # (R9) (H,)
            "bias_hh": d_w_x[:, D].copy(),  # (R10) (H,)
        }
        return dot(d_z, tape.weight_ih).reshape(T, B, D), (d_h,), gradients  # d_x is (R6)
