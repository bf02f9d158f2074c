"""One Elman RNN layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; z_h pre-activation; h hidden; d_a is the gradient of
the loss with respect to a. Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manual.activations import ACTIVATIONS
from manual.arrays import Array, Probe


@dataclass(frozen=True)
class Tape:
    """What the backward pass needs of the forward pass."""

    x: Array  # (T, B, D)
    h_prev: Array  # (T, B, H), what each step was given
    h: Array  # (T, B, H)
    weights: dict[str, Array]


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
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (H, D), weight_hh (H, H), bias_ih (H,), bias_hh (H,).

        Returns:
            output (T, B, H), the state (h_n,) after the last step, and the tape.
        """
        (h,) = state
        W_hh = weights["weight_hh"].T.copy()
        # The input's share of (R1), and both biases, for all time steps in one product. (T, B, H)
        z = x @ weights["weight_ih"].T + (weights["bias_ih"] + weights["bias_hh"])
        h_prev, output = np.empty_like(z), np.empty_like(z)
        for t in range(len(x)):
            h_prev[t] = probe("h_prev", t, h) if probe else h
            z[t] += h_prev[t] @ W_hh  # (R1) (B, H)
            if probe:
                z[t] = probe("z_h", t, z[t])
            h = output[t] = self.activation(z[t])  # (R2)
            if probe:
                h = output[t] = probe("h", t, h)
        tape = Tape(x.copy(), h_prev, output.copy(), {name: array.copy() for name, array in weights.items()})
        return output, (h.copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, H = d_output.shape
        d_z = np.empty_like(d_output)
        (d_h_prev,) = d_state  # what step t hands to the step before: here, to the last
        for t in reversed(range(T)):
            d_h = d_output[t] + d_h_prev  # (R3) (B, H)
            if probe:
                d_h = probe("d_h", t, d_h)
            d_z[t] = d_h * self.derivative(tape.h[t])  # (R4)
            if probe:
                d_z[t] = probe("d_z_h", t, d_z[t])
            d_h_prev = d_z[t] @ tape.weights["weight_hh"]  # (R5)
            if probe:
                d_h_prev = probe("d_h_prev", t, d_h_prev)
        rows = d_z.reshape(T * B, H)
        gradients = {
            "weight_ih": rows.T @ tape.x.reshape(T * B, -1),  # (R7) (H, D)
            "weight_hh": rows.T @ tape.h_prev.reshape(T * B, H),  # (R8) (H, H)
            "bias_ih": rows.sum(axis=0),  # (R9) (H,)
            "bias_hh": rows.sum(axis=0),  # (R10) (H,)
        }
        return d_z @ tape.weights["weight_ih"], (d_h_prev,), gradients  # d_x is (R6)
