"""One LSTM layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o in PyTorch's order; z pre-activations;
c cell; h hidden; m = o tanh(c), which is h unless h is projected to a smaller size P; d_a is the gradient of the loss
with respect to a. Equation numbers are those of DERIVATION.md.
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
    h_prev: Array  # (T, B, P), what each step was given
    c_prev: Array  # (T, B, H)
    gates: Array  # (T, B, 4H), the blocks i f g o side by side
    tanh_c: Array  # (T, B, H)
    m: Array  # (T, B, H)
    weights: dict[str, Array]


class LSTMKernel:
    """The equations of one LSTM layer; the weights come with each call.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.
    """

    gates: tuple[str, ...] = ("i", "f", "g", "o")

    def __init__(self, proj_size: int = 0):
        self.proj_size = proj_size

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (4 * H, D),
            "weight_hh": (4 * H, self.proj_size or H),
            "bias_ih": (4 * H,),
            "bias_hh": (4 * H,),
        }
        return shapes | ({"weight_hr": (self.proj_size, H)} if self.proj_size else {})

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, and its size."""
        return {"h": self.proj_size or H, "c": H}

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` h_0 (B, P) and c_0 (B, H).

        ``weights``: weight_ih (4H, D), weight_hh (4H, P), bias_ih (4H,), bias_hh (4H,); where h is projected, also
        weight_hr (P, H).

        Returns:
            output (T, B, P), the state (h_n, c_n) after the last step, and the tape.
        """
        T = len(x)
        h, c = state
        output, h_prev = np.empty((2, T, *h.shape), x.dtype)
        tanh_c, c_prev, m = np.empty((3, T, *c.shape), x.dtype)
        W_hh = weights["weight_hh"].T.copy()  # (P, 4H)

        # The input's share of (L1), and both biases, for all time steps in one product. (T, B, 4H)
        z = x @ weights["weight_ih"].T + (weights["bias_ih"] + weights["bias_hh"])
        for t in range(T):
            if probe:
                h, c = probe("h_prev", t, h), probe("c_prev", t, c)
            h_prev[t], c_prev[t] = h, c
            z[t] += h @ W_hh  # (L1) (B, 4H)
            i, f, g, o = blocks = np.split(z[t], 4, axis=1)  # views: the gates replace the pre-activations
            if probe:
                for name, block in zip(self.gates, blocks):
                    block[...] = probe(f"z_{name}", t, block)
            i[...] = sigmoid(i)  # (L2) (B, H)
            f[...] = sigmoid(f)  # (L3)
            g[...] = np.tanh(g)  # (L4)
            o[...] = sigmoid(o)  # (L5)
            if probe:
                for name, block in zip(self.gates, blocks):
                    block[...] = probe(name, t, block)
            c = f * c + i * g  # (L6)
            if probe:
                c = probe("c", t, c)
            tanh_c[t] = np.tanh(c)
            m[t] = o * tanh_c[t]  # (L7)
            if probe and self.proj_size:
                m[t] = probe("m", t, m[t])
            h = m[t] @ weights["weight_hr"].T if self.proj_size else m[t]  # (L21)
            if probe:
                h = probe("h", t, h)
            output[t] = h
        tape = Tape(x.copy(), h_prev, c_prev, z, tanh_c, m, {name: array.copy() for name, array in weights.items()})
        return output, (h.copy(), c.copy()), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, P), d_h_n (B, P) and d_c_n (B, H) back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0, d_c_0), and the gradients, with the names and shapes of the weights.
        """
        T, B, P = d_output.shape
        d_h_all, d_z = np.empty_like(d_output), np.empty_like(tape.gates)
        d_h_prev, d_c_prev = d_state  # what step t hands to the step before: here, to the last
        for t in reversed(range(T)):
            i, f, g, o = np.split(tape.gates[t], 4, axis=1)
            tanh_c = tape.tanh_c[t]
            d_h = d_output[t] + d_h_prev  # (L8) (B, P)
            if probe:
                d_h = probe("d_h", t, d_h)
            d_h_all[t] = d_h
            d_m = d_h @ tape.weights["weight_hr"] if self.proj_size else d_h  # (L22) (B, H)
            if probe and self.proj_size:
                d_m = probe("d_m", t, d_m)
            d_c = d_c_prev + d_m * o * tanh_derivative(tanh_c)  # (L9)
            if probe:
                d_c = probe("d_c", t, d_c)
            d_z_i, d_z_f, d_z_g, d_z_o = blocks = np.split(d_z[t], 4, axis=1)  # views into d_z
            d_z_i[...] = d_c * g * sigmoid_derivative(i)  # (L10)
            d_z_f[...] = d_c * tape.c_prev[t] * sigmoid_derivative(f)  # (L11)
            d_z_g[...] = d_c * i * tanh_derivative(g)  # (L12)
            d_z_o[...] = d_m * tanh_c * sigmoid_derivative(o)  # (L13)
            if probe:
                for name, block in zip(self.gates, blocks):
                    block[...] = probe(f"d_z_{name}", t, block)
            d_c_prev = d_c * f  # (L14)
            d_h_prev = d_z[t] @ tape.weights["weight_hh"]  # (L15)
            if probe:
                d_c_prev, d_h_prev = probe("d_c_prev", t, d_c_prev), probe("d_h_prev", t, d_h_prev)
        rows = d_z.reshape(T * B, -1)
        gradients = {
            "weight_ih": rows.T @ tape.x.reshape(T * B, -1),  # (L17) (4H, D)
            "weight_hh": rows.T @ tape.h_prev.reshape(T * B, P),  # (L18) (4H, P)
            "bias_ih": rows.sum(axis=0),  # (L19) (4H,)
            "bias_hh": rows.sum(axis=0),  # (L20) (4H,)
        }
        if self.proj_size:
            gradients["weight_hr"] = d_h_all.reshape(T * B, P).T @ tape.m.reshape(T * B, -1)  # (L23) (P, H)
        return d_z @ tape.weights["weight_ih"], (d_h_prev, d_c_prev), gradients  # d_x is (L16)
