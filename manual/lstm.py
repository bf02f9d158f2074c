"""One LSTM layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o in PyTorch's order; z pre-activations;
c cell; h hidden; d_a is the gradient of the loss with respect to a. Equation numbers are those of DERIVATION.md.
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
    h: Array  # (T + 1, B, H): h[t] is what step t was given, h[T] the final state
    c: Array  # (T + 1, B, H)
    gates: Array  # (T, B, 4H), the blocks i f g o side by side
    tanh_c: Array  # (T, B, H)
    weight_ih: Array  # (4H, D)
    weight_hh: Array  # (4H, H)


class LSTMKernel:
    """The equations of one LSTM layer; the weights come with each call."""

    gates: tuple[str, ...] = ("i", "f", "g", "o")
    states: tuple[str, ...] = ("h", "c")

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (4 * H, D), "weight_hh": (4 * H, H), "bias_ih": (4 * H,), "bias_hh": (4 * H,)}

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0, c_0), each (B, H).

        ``weights``: weight_ih (4H, D), weight_hh (4H, H), bias_ih (4H,), bias_hh (4H,).

        Returns:
            output (T, B, H), the state (h_n, c_n) after the last step, and the tape.
        """
        T, B, _ = x.shape
        H = weights["weight_hh"].shape[1]
        h = np.empty((T + 1, B, H), x.dtype)
        c = np.empty_like(h)
        h[0], c[0] = state
        output = np.empty((T, B, H), x.dtype)
        tanh_c = np.empty_like(output)
        W_hh = weights["weight_hh"].T.copy()  # (H, 4H)

        # The input's share of (L1), and both biases, for all time steps in one product. (T, B, 4H)
        z = x @ weights["weight_ih"].T + (weights["bias_ih"] + weights["bias_hh"])
        for t in range(T):
            if probe:
                h[t], c[t] = probe("h_prev", t, h[t]), probe("c_prev", t, c[t])
            z[t] += h[t] @ W_hh  # (L1) (B, 4H)
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
            c[t + 1] = f * c[t] + i * g  # (L6)
            if probe:
                c[t + 1] = probe("c", t, c[t + 1])
            tanh_c[t] = np.tanh(c[t + 1])
            h[t + 1] = o * tanh_c[t]  # (L7)
            if probe:
                h[t + 1] = probe("h", t, h[t + 1])
            output[t] = h[t + 1]
        tape = Tape(x, h, c, z, tanh_c, weights["weight_ih"].copy(), weights["weight_hh"].copy())
        return output, (h[T].copy(), c[T].copy()), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n, d_c_n), each (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0, d_c_0), and the gradients, with the names and shapes of the weights.
        """
        T, B, H = d_output.shape
        d_z = np.empty((T, B, 4 * H), d_output.dtype)
        d_h_prev, d_c_prev = d_state  # what step t hands to the step before: here, to the last
        for t in reversed(range(T)):
            i, f, g, o = np.split(tape.gates[t], 4, axis=1)
            tanh_c = tape.tanh_c[t]
            d_h = d_output[t] + d_h_prev  # (L8) (B, H)
            if probe:
                d_h = probe("d_h", t, d_h)
            d_c = d_c_prev + d_h * o * tanh_derivative(tanh_c)  # (L9)
            if probe:
                d_c = probe("d_c", t, d_c)
            d_z_i, d_z_f, d_z_g, d_z_o = blocks = np.split(d_z[t], 4, axis=1)  # views into d_z
            d_z_i[...] = d_c * g * sigmoid_derivative(i)  # (L10)
            d_z_f[...] = d_c * tape.c[t] * sigmoid_derivative(f)  # (L11)
            d_z_g[...] = d_c * i * tanh_derivative(g)  # (L12)
            d_z_o[...] = d_h * tanh_c * sigmoid_derivative(o)  # (L13)
            if probe:
                for name, block in zip(self.gates, blocks):
                    block[...] = probe(f"d_z_{name}", t, block)
            d_c_prev = d_c * f  # (L14)
            d_h_prev = d_z[t] @ tape.weight_hh  # (L15)
            if probe:
                d_c_prev, d_h_prev = probe("d_c_prev", t, d_c_prev), probe("d_h_prev", t, d_h_prev)
        rows = d_z.reshape(T * B, 4 * H)
        gradients = {
            "weight_ih": rows.T @ tape.x.reshape(T * B, -1),  # (L17) (4H, D)
            "weight_hh": rows.T @ tape.h[:T].reshape(T * B, H),  # (L18) (4H, H)
            "bias_ih": rows.sum(axis=0),  # (L19) (4H,)
            "bias_hh": rows.sum(axis=0),  # (L20) (4H,)
        }
        return d_z @ tape.weight_ih, (d_h_prev, d_c_prev), gradients  # d_x is (L16)
