"""One GRU layer in one direction over a whole sequence: forward, and directly below it backward.

Two forms: PyTorch's, in which the reset gate acts on a product with the hidden state (``reset_after``), and the
original one, in which it acts on the hidden state itself (Cho et al., "Learning Phrase Representations using RNN
Encoder–Decoder for Statistical Machine Translation").

This file is for reading, beside DERIVATION.md, which derives each numbered equation. It is also what runs whenever a
probe is passed; ``fast/gru.py`` computes the same without probes.

Legend: T time steps, B batch rows, D input size, H hidden size; gates r (reset), z (update), n (candidate) in
PyTorch's order, with pre-activations z_r, z_z, z_n; q what the candidate sees of the past; h hidden; d_a the gradient
of the loss with respect to a.
"""

from typing import NamedTuple

import numpy as np

from manual.activations import sigmoid
from manual.arrays import Array, Backward, Forward, Parts, Probe, Weights, unprobed


class GRUStep(NamedTuple):
    """What backward needs of one time step, (B, H) each."""

    h_prev: Array
    r: Array
    z: Array
    n: Array
    q: Array


class GRUTape(NamedTuple):
    """What backward needs of a forward pass: x (T, B, D), the weights by name, and each step."""

    x: Array
    weights: dict[str, Array]
    steps: list[GRUStep]


class GRUKernel:
    """The equations of one GRU layer; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    gates: tuple[str, ...] = ("r", "z", "n")

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        return {"weight_ih": (3 * H, D), "weight_hh": (3 * H, H), "bias_ih": (3 * H,), "bias_hh": (3 * H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": H}

    def forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None = None) -> Forward[GRUTape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (3H, D), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,).

        Returns:
            output (T, B, H), the final state (h_n,), (B, H), and the tape.
        """
        probe = probe or unprobed
        tape = GRUTape(x.copy(), {name: W.copy() for name, W in weights.items()}, [])
        W_ir, W_iz, W_in = np.split(tape.weights["weight_ih"], 3)
        W_hr, W_hz, W_hn = np.split(tape.weights["weight_hh"], 3)
        b_ir, b_iz, b_in = np.split(tape.weights["bias_ih"], 3)
        b_hr, b_hz, b_hn = np.split(tape.weights["bias_hh"], 3)
        h = state[0].copy()
        output = []
        for t, x_t in enumerate(tape.x):
            h_prev = probe("h_prev", t, h)
            z_r = probe("z_r", t, x_t @ W_ir.T + b_ir + h_prev @ W_hr.T + b_hr)  # (G1) (B, H)
            z_z = probe("z_z", t, x_t @ W_iz.T + b_iz + h_prev @ W_hz.T + b_hz)  # (G1)
            r = probe("r", t, sigmoid(z_r))  # (G2)
            z = probe("z", t, sigmoid(z_z))  # (G3)
            if self.reset_after:
                q = probe("q", t, h_prev @ W_hn.T + b_hn)  # (G4)
                z_n = probe("z_n", t, x_t @ W_in.T + b_in + r * q)  # (G5)
            else:
                q = probe("q", t, r * h_prev)  # (G19)
                z_n = probe("z_n", t, x_t @ W_in.T + b_in + q @ W_hn.T + b_hn)  # (G20)
            n = probe("n", t, np.tanh(z_n))  # (G6)
            h = probe("h", t, (1 - z) * n + z * h_prev)  # (G7)
            output.append(h)
            tape.steps.append(GRUStep(h_prev, r, z, n, q))
        return np.stack(output), (h.copy(),), tape

    def backward(self, tape: GRUTape, d_output: Array, d_state: Parts, probe: Probe | None = None) -> Backward:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the run on the tape.

        Returns:
            d_x (T, B, D), (d_h_0,), (B, H), and the gradients, with the names and shapes of the weights.
        """
        probe = probe or unprobed
        W_ih = tape.weights["weight_ih"]
        W_hr, W_hz, W_hn = np.split(tape.weights["weight_hh"], 3)
        (d_h_prev,) = d_state
        d_x = np.empty_like(tape.x)
        shapes = self.parameter_shapes(tape.x.shape[2], d_h_prev.shape[1])
        gradients = {name: np.zeros(shape, d_x.dtype) for name, shape in shapes.items()}  # filled in place
        d_W_ih, d_W_hh = gradients["weight_ih"], gradients["weight_hh"]
        d_b_ih, d_b_hh = gradients["bias_ih"], gradients["bias_hh"]
        for t in reversed(range(len(tape.x))):
            h_prev, r, z, n, q = tape.steps[t]
            d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (G8) (B, H)
            d_z_z = probe("d_z_z", t, d_h * (h_prev - n) * z * (1 - z))  # (G9)
            d_z_n = probe("d_z_n", t, d_h * (1 - z) * (1 - n**2))  # (G10)
            if self.reset_after:
                d_q = probe("d_q", t, d_z_n * r)  # (G11)
                d_z_r = probe("d_z_r", t, d_z_n * q * r * (1 - r))  # (G12)
                d_h_prev = d_h * z + d_z_r @ W_hr + d_z_z @ W_hz + d_q @ W_hn  # (G13)
                d_z_hh = np.concatenate([d_z_r, d_z_z, d_q], axis=1)  # (B, 3H)
                d_W_hh += d_z_hh.T @ h_prev  # (G16) (3H, H)
                d_b_hh += d_z_hh.sum(axis=0)  # (G18) (3H,)
            else:
                d_q = probe("d_q", t, d_z_n @ W_hn)  # (G21)
                d_z_r = probe("d_z_r", t, d_q * h_prev * r * (1 - r))  # (G22)
                d_h_prev = d_h * z + d_z_r @ W_hr + d_z_z @ W_hz + d_q * r  # (G23)
                d_W_hh += np.concatenate([d_z_r.T @ h_prev, d_z_z.T @ h_prev, d_z_n.T @ q])  # (G24)
                d_b_hh += np.concatenate([d_z_r, d_z_z, d_z_n], axis=1).sum(axis=0)  # (G25)
            d_h_prev = probe("d_h_prev", t, d_h_prev)
            d_z = np.concatenate([d_z_r, d_z_z, d_z_n], axis=1)  # (B, 3H)
            d_x[t] = d_z @ W_ih  # (G14) (B, D)
            d_W_ih += d_z.T @ tape.x[t]  # (G15) (3H, D)
            d_b_ih += d_z.sum(axis=0)  # (G17) (3H,)
        return d_x, (d_h_prev.copy(),), gradients
