"""One GRU layer, in one direction, over a whole sequence: forward, and directly below it backward.

Two forms: PyTorch's, in which the reset gate acts on a product with the hidden state (``reset_after``), and the
original one, in which it acts on the hidden state itself (Cho et al., "Learning Phrase Representations using RNN
Encoder–Decoder for Statistical Machine Translation").

Legend: T time steps, B batch rows, D input size, H hidden size; gates r (reset), z (update), n (candidate) in
PyTorch's order, with pre-activations z_r, z_z, z_n; q is what the reset gate lets through to the candidate; h hidden;
d_a is the gradient of the loss with respect to a. Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manual.activations import sigmoid, sigmoid_derivative, tanh_derivative
from manual.arrays import Array, Probe


@dataclass(frozen=True)
class Tape:
    """What the backward pass needs of the forward pass."""

    x: Array  # (T, B, D)
    h_prev: Array  # (T, B, H), what each step was given
    gates: Array  # (T, B, 3H), the blocks r z n side by side
    q: Array  # (T, B, H)
    weights: dict[str, Array]


class GRUKernel:
    """The equations of one GRU layer; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    gates: tuple[str, ...] = ("r", "z", "n")

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (3 * H, D), "weight_hh": (3 * H, H), "bias_ih": (3 * H,), "bias_hh": (3 * H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, and its size."""
        return {"h": H}

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (3H, D), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,).

        Returns:
            output (T, B, H), the state (h_n,) after the last step, and the tape.
        """
        T, B, _ = x.shape
        H = weights["weight_hh"].shape[1]
        (h,) = state
        output, h_prev, q = np.empty((3, T, B, H), x.dtype)
        W_hh, b_hh = weights["weight_hh"].T.copy(), weights["bias_hh"]  # (H, 3H)

        # The input's share of (G1) and of (G5) for all time steps in one product. (T, B, 3H)
        z_all = x @ weights["weight_ih"].T + weights["bias_ih"]
        for t in range(T):
            if probe:
                h = probe("h_prev", t, h)
            h_prev[t] = h
            z_rz = z_all[t, :, : 2 * H]
            r, z, n = np.split(z_all[t], 3, axis=1)  # views: the gates replace the pre-activations
            z_rz += h @ W_hh[:, : 2 * H] + b_hh[: 2 * H]  # (G1) (B, 2H)
            if probe:
                r[...], z[...] = probe("z_r", t, r), probe("z_z", t, z)
            r[...] = sigmoid(r)  # (G2) (B, H)
            z[...] = sigmoid(z)  # (G3)
            if probe:
                r[...], z[...] = probe("r", t, r), probe("z", t, z)
            q[t] = h @ W_hh[:, 2 * H :] + b_hh[2 * H :] if self.reset_after else r * h  # (G4) or (G19)
            if probe:
                q[t] = probe("q", t, q[t])
            n += r * q[t] if self.reset_after else q[t] @ W_hh[:, 2 * H :] + b_hh[2 * H :]  # (G5) or (G20)
            if probe:
                n[...] = probe("z_n", t, n)
            n[...] = np.tanh(n)  # (G6)
            if probe:
                n[...] = probe("n", t, n)
            h = n + z * (h - n)  # (G7)
            if probe:
                h = probe("h", t, h)
            output[t] = h
        tape = Tape(x.copy(), h_prev, z_all, q, {name: array.copy() for name, array in weights.items()})
        return output, (h.copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, H = d_output.shape
        d_z = np.empty((T, B, 3 * H), d_output.dtype)  # of the pre-activations z_r z_z z_n
        d_q_all = np.empty_like(d_output)
        W_rz, W_n = tape.weights["weight_hh"][: 2 * H], tape.weights["weight_hh"][2 * H :]
        (d_h_prev,) = d_state  # what step t hands to the step before: here, to the last
        for t in reversed(range(T)):
            r, z, n = np.split(tape.gates[t], 3, axis=1)
            h_prev, q, d_q = tape.h_prev[t], tape.q[t], d_q_all[t]
            d_h = d_output[t] + d_h_prev  # (G8) (B, H)
            if probe:
                d_h = probe("d_h", t, d_h)
            d_z_r, d_z_z, d_z_n = np.split(d_z[t], 3, axis=1)  # views into d_z
            d_z_z[...] = d_h * (h_prev - n) * sigmoid_derivative(z)  # (G9)
            d_z_n[...] = d_h * (1 - z) * tanh_derivative(n)  # (G10)
            if probe:
                d_z_z[...], d_z_n[...] = probe("d_z_z", t, d_z_z), probe("d_z_n", t, d_z_n)
            d_q[...] = d_z_n * r if self.reset_after else d_z_n @ W_n  # (G11) or (G21)
            if probe:
                d_q[...] = probe("d_q", t, d_q)
            d_z_r[...] = (d_z_n * q if self.reset_after else d_q * h_prev) * sigmoid_derivative(r)  # (G12) or (G22)
            if probe:
                d_z_r[...] = probe("d_z_r", t, d_z_r)
            d_h_prev = (
                d_h * z + d_z[t, :, : 2 * H] @ W_rz + (d_q @ W_n if self.reset_after else d_q * r)
            )  # (G13), (G23)
            if probe:
                d_h_prev = probe("d_h_prev", t, d_h_prev)

        rows, h_rows = d_z.reshape(T * B, 3 * H), tape.h_prev.reshape(T * B, H)
        rz_rows, n_rows, q_rows = rows[:, : 2 * H], rows[:, 2 * H :], d_q_all.reshape(T * B, H)
        d_W_rz = rz_rows.T @ h_rows
        if self.reset_after:
            d_W_n, d_b_n = q_rows.T @ h_rows, q_rows.sum(axis=0)  # the rest of (G16) and (G18)
        else:
            d_W_n, d_b_n = n_rows.T @ tape.q.reshape(T * B, H), n_rows.sum(axis=0)  # the rest of (G24) and (G25)
        gradients = {
            "weight_ih": rows.T @ tape.x.reshape(T * B, -1),  # (G15) (3H, D)
            "weight_hh": np.concatenate([d_W_rz, d_W_n]),  # (G16) or (G24) (3H, H)
            "bias_ih": rows.sum(axis=0),  # (G17) (3H,)
            "bias_hh": np.concatenate([rz_rows.sum(axis=0), d_b_n]),  # (G18) or (G25) (3H,)
        }
        return d_z @ tape.weights["weight_ih"], (d_h_prev,), gradients  # d_x is (G14)
