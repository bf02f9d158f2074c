"""One LSTM layer in one direction over a whole sequence: forward, and directly below it backward.

This file is for reading, beside DERIVATION.md, which derives each numbered equation. It is also what runs whenever a
probe is passed; ``fast/lstm.py`` computes the same without probes.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o in PyTorch's order; z pre-activation;
c cell; h hidden; P the size of h, which is H unless h is projected; d_a the gradient of the loss with respect to a.
"""

from typing import NamedTuple

import numpy as np

from manual.activations import sigmoid
from manual.arrays import Array, Backward, Forward, Parts, Probe, Weights, unprobed


class LSTMStep(NamedTuple):
    """What backward needs of one time step: h_prev (B, P), all others (B, H)."""

    h_prev: Array
    c_prev: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    m: Array


class LSTMTape(NamedTuple):
    """What backward needs of a forward pass: x (T, B, D), the weights by name, and each step."""

    x: Array
    weights: dict[str, Array]
    steps: list[LSTMStep]


class LSTMKernel:
    """The equations of one LSTM layer; the weights come with each call.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.
    """

    gates: tuple[str, ...] = ("i", "f", "g", "o")

    def __init__(self, proj_size: int = 0):
        self.proj_size = proj_size

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        P = self.proj_size or H
        shapes = {"weight_ih": (4 * H, D), "weight_hh": (4 * H, P), "bias_ih": (4 * H,), "bias_hh": (4 * H,)}
        return shapes | ({"weight_hr": (P, H)} if self.proj_size else {})

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": self.proj_size or H, "c": H}

    def forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None = None) -> Forward[LSTMTape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` h_0 (B, P), c_0 (B, H).

        ``weights``: weight_ih (4H, D), weight_hh (4H, P), bias_ih (4H,), bias_hh (4H,), and with a projection
        weight_hr (P, H).

        Returns:
            output (T, B, P), the final state h_n (B, P), c_n (B, H), and the tape.
        """
        probe = probe or unprobed
        tape = LSTMTape(x.copy(), {name: W.copy() for name, W in weights.items()}, [])
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        b_ih, b_hh = tape.weights["bias_ih"], tape.weights["bias_hh"]
        h, c = (s.copy() for s in state)
        output = []
        for t, x_t in enumerate(tape.x):
            h_prev, c_prev = probe("h_prev", t, h), probe("c_prev", t, c)
            z = x_t @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh  # (L1) (B, 4H)
            z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
            i = probe("i", t, sigmoid(probe("z_i", t, z_i)))  # (L2) (B, H)
            f = probe("f", t, sigmoid(probe("z_f", t, z_f)))  # (L3)
            g = probe("g", t, np.tanh(probe("z_g", t, z_g)))  # (L4)
            o = probe("o", t, sigmoid(probe("z_o", t, z_o)))  # (L5)
            c = probe("c", t, f * c_prev + i * g)  # (L6)
            h = m = o * np.tanh(c)  # (L7)
            if self.proj_size:
                m = probe("m", t, m)
                h = m @ tape.weights["weight_hr"].T  # (L21) (B, P)
            h = probe("h", t, h)
            output.append(h)
            tape.steps.append(LSTMStep(h_prev, c_prev, i, f, g, o, c, m))
        return np.stack(output), (h.copy(), c.copy()), tape

    def backward(self, tape: LSTMTape, d_output: Array, d_state: Parts, probe: Probe | None = None) -> Backward:
        """Carry ``d_output`` (T, B, P), d_h_n (B, P) and d_c_n (B, H) back through the run on the tape.

        Returns:
            d_x (T, B, D), d_h_0 (B, P) and d_c_0 (B, H), and the gradients, with the names and shapes of the weights.
        """
        probe = probe or unprobed
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        d_h_prev, d_c_prev = d_state
        d_x = np.empty_like(tape.x)
        shapes = self.parameter_shapes(tape.x.shape[2], d_c_prev.shape[1])
        gradients = {name: np.zeros(shape, d_x.dtype) for name, shape in shapes.items()}  # filled in place
        d_W_ih, d_W_hh = gradients["weight_ih"], gradients["weight_hh"]
        d_b_ih, d_b_hh = gradients["bias_ih"], gradients["bias_hh"]
        for t in reversed(range(len(tape.x))):
            h_prev, c_prev, i, f, g, o, c, m = tape.steps[t]
            d_h = d_m = probe("d_h", t, d_output[t] + d_h_prev)  # (L8) (B, P)
            if self.proj_size:
                d_m = probe("d_m", t, d_h @ tape.weights["weight_hr"])  # (L22) (B, H)
                gradients["weight_hr"] += d_h.T @ m  # (L23) (P, H)
            d_c = probe("d_c", t, d_c_prev + d_m * o * (1 - np.tanh(c) ** 2))  # (L9) (B, H)
            d_z_i = probe("d_z_i", t, d_c * g * i * (1 - i))  # (L10)
            d_z_f = probe("d_z_f", t, d_c * c_prev * f * (1 - f))  # (L11)
            d_z_g = probe("d_z_g", t, d_c * i * (1 - g**2))  # (L12)
            d_z_o = probe("d_z_o", t, d_m * np.tanh(c) * o * (1 - o))  # (L13)
            d_z = np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=1)  # (B, 4H)
            d_c_prev = probe("d_c_prev", t, d_c * f)  # (L14)
            d_h_prev = probe("d_h_prev", t, d_z @ W_hh)  # (L15) (B, P)
            d_x[t] = d_z @ W_ih  # (L16) (B, D)
            d_W_ih += d_z.T @ tape.x[t]  # (L17) (4H, D)
            d_W_hh += d_z.T @ h_prev  # (L18) (4H, P)
            d_b_ih += d_z.sum(axis=0)  # (L19) (4H,)
            d_b_hh += d_z.sum(axis=0)  # (L20) (4H,)
        return d_x, (d_h_prev.copy(), d_c_prev.copy()), gradients
