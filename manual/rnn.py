"""One Elman RNN layer in one direction over a whole sequence: forward, and directly below it backward.

This file is for reading, beside DERIVATION.md, which derives each numbered equation. It is also what runs whenever a
probe is passed; ``fast/rnn.py`` computes the same without probes.

Legend: T time steps, B batch rows, D input size, H hidden size; z_h pre-activation; h hidden; d_a the gradient of the
loss with respect to a.
"""

from typing import NamedTuple

import numpy as np

from manual.activations import ACTIVATIONS
from manual.arrays import Array, Backward, Forward, Parts, Probe, Weights, unprobed


class RNNStep(NamedTuple):
    """What backward needs of one time step, (B, H) each."""

    h_prev: Array
    h: Array


class RNNTape(NamedTuple):
    """What backward needs of a forward pass: x (T, B, D), the weights by name, and each step."""

    x: Array
    weights: dict[str, Array]
    steps: list[RNNStep]


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
        self.nonlinearity = nonlinearity
        self.activation, self.derivative = ACTIVATIONS[nonlinearity]

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        return {"weight_ih": (H, D), "weight_hh": (H, H), "bias_ih": (H,), "bias_hh": (H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": H}

    def forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None = None) -> Forward[RNNTape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (H, D), weight_hh (H, H), bias_ih (H,), bias_hh (H,).

        Returns:
            output (T, B, H), the final state (h_n,), (B, H), and the tape.
        """
        probe = probe or unprobed
        tape = RNNTape(x.copy(), {name: W.copy() for name, W in weights.items()}, [])
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        b_ih, b_hh = tape.weights["bias_ih"], tape.weights["bias_hh"]
        h = state[0].copy()
        output = []
        for t, x_t in enumerate(tape.x):
            h_prev = probe("h_prev", t, h)
            z_h = probe("z_h", t, x_t @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh)  # (R1) (B, H)
            h = probe("h", t, self.activation(z_h))  # (R2)
            output.append(h)
            tape.steps.append(RNNStep(h_prev, h))
        return np.stack(output), (h.copy(),), tape

    def backward(self, tape: RNNTape, d_output: Array, d_state: Parts, probe: Probe | None = None) -> Backward:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the run on the tape.

        Returns:
            d_x (T, B, D), (d_h_0,), (B, H), and the gradients, with the names and shapes of the weights.
        """
        probe = probe or unprobed
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        (d_h_prev,) = d_state
        d_x = np.empty_like(tape.x)
        shapes = self.parameter_shapes(tape.x.shape[2], d_h_prev.shape[1])
        gradients = {name: np.zeros(shape, d_x.dtype) for name, shape in shapes.items()}  # filled in place
        d_W_ih, d_W_hh = gradients["weight_ih"], gradients["weight_hh"]
        d_b_ih, d_b_hh = gradients["bias_ih"], gradients["bias_hh"]
        for t in reversed(range(len(tape.x))):
            h_prev, h = tape.steps[t]
            d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (R3) (B, H)
            d_z_h = probe("d_z_h", t, d_h * self.derivative(h))  # (R4)
            d_h_prev = probe("d_h_prev", t, d_z_h @ W_hh)  # (R5)
            d_x[t] = d_z_h @ W_ih  # (R6) (B, D)
            d_W_ih += d_z_h.T @ tape.x[t]  # (R7) (H, D)
            d_W_hh += d_z_h.T @ h_prev  # (R8) (H, H)
            d_b_ih += d_z_h.sum(axis=0)  # (R9) (H,)
            d_b_hh += d_z_h.sum(axis=0)  # (R10) (H,)
        return d_x, (d_h_prev.copy(),), gradients
