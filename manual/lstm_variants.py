"""Two variants of an LSTM layer in one direction: forward, and directly below it backward.

With peepholes the gates see the cell: the input and forget gates see the previous one, the output gate the new one.
With coupled gates, f = 1 - i: the cell forgets exactly as much as it takes in, and there is no forget gate. A layer may
have both.

This file is for reading alongside DERIVATION.md, which derives each numbered equation, and ``lstm.py``, which explains
what both have in common. ``fast/lstm_variants.py`` computes the same without probes.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o, or i g o where they are coupled, G their
number; z pre-activation; p peephole weights, one for each unit; c cell; h hidden; d_a the gradient of the loss with
respect to a.
"""

import numpy as np

from manual.activations import sigmoid
from manual.arrays import Array, Backward, Forward, Parts, Probe, Weights, unprobed
from manual.lstm import LSTMStep, LSTMTape


class LSTMVariantKernel:
    """The equations of one LSTM layer with peepholes, coupled gates, or both; the weights come with each call.

    Args:
        peepholes: whether the gates i f o see the cell.
        coupled: whether f = 1 - i.
    """

    proj_size = 0

    def __init__(self, peepholes: bool = False, coupled: bool = False):
        self.peepholes, self.coupled = peepholes, coupled
        self.gates: tuple[str, ...] = ("i", "g", "o") if coupled else ("i", "f", "g", "o")

    @property
    def peephole_gates(self) -> tuple[str, ...]:
        """The gates that see the cell, whose peephole weights are the blocks of weight_ch."""
        return tuple(gate for gate in self.gates if gate != "g") if self.peepholes else ()

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        G = len(self.gates)
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (G * H, D), "weight_hh": (G * H, H)}
        if self.peepholes:
            shapes["weight_ch"] = (len(self.peephole_gates) * H,)
        return shapes | {"bias_ih": (G * H,), "bias_hh": (G * H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": H, "c": H}

    def peephole_weights(self, weights: Weights) -> tuple[Array, Array, Array]:
        """Return p_i, p_f and p_o, (H,) each: views of weight_ch, and zeros where there is none."""
        none = np.zeros_like(weights["weight_hh"][0])
        if not self.peepholes:
            return none, none, none
        p_i, *p_f, p_o = np.split(weights["weight_ch"], len(self.peephole_gates))
        return p_i, p_f[0] if p_f else none, p_o

    def forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None = None) -> Forward[LSTMTape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` h_0 (B, H), c_0 (B, H).

        ``weights``: weight_ih (G H, D), weight_hh (G H, H), bias_ih (G H,), bias_hh (G H,), and with peepholes
        weight_ch, p_i p_f p_o (3H,), or p_i p_o (2H,) where the gates are coupled.

        Returns:
            output (T, B, H), the final state h_n (B, H), c_n (B, H), and the tape.
        """
        probe = probe or unprobed
        tape = LSTMTape(x.copy(), {name: W.copy() for name, W in weights.items()}, [])
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        b_ih, b_hh = tape.weights["bias_ih"], tape.weights["bias_hh"]
        p_i, p_f, p_o = self.peephole_weights(tape.weights)
        h, c = (s.copy() for s in state)
        output = []
        for t, x_t in enumerate(tape.x):
            h_prev, c_prev = probe("h_prev", t, h), probe("c_prev", t, c)
            z = x_t @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh  # (L1) (B, G H)
            z_i, *z_f, z_g, z_o = np.split(z, len(self.gates), axis=1)
            i = probe("i", t, sigmoid(probe("z_i", t, z_i + p_i * c_prev)))  # (L24) or (L2) (B, H)
            if self.coupled:  # noqa: SIM108 - an equation a line
                f = probe("f", t, 1 - i)  # (L32)
            else:
                f = probe("f", t, sigmoid(probe("z_f", t, z_f[0] + p_f * c_prev)))  # (L25)
            g = probe("g", t, np.tanh(probe("z_g", t, z_g)))  # (L4)
            c = probe("c", t, f * c_prev + i * g)  # (L6)
            o = probe("o", t, sigmoid(probe("z_o", t, z_o + p_o * c)))  # (L26) or (L5)
            h = probe("h", t, o * np.tanh(c))  # (L7)
            output.append(h)
            tape.steps.append(LSTMStep(h_prev, c_prev, i, f, g, o, c, h))
        return np.stack(output), (h.copy(), c.copy()), tape

    def backward(self, tape: LSTMTape, d_output: Array, d_state: Parts, probe: Probe | None = None) -> Backward:
        """Carry ``d_output`` (T, B, H), d_h_n (B, H) and d_c_n (B, H) back through the run on the tape.

        Returns:
            d_x (T, B, D), d_h_0 and d_c_0, (B, H) each, and the gradients, with the names and shapes of the weights.
        """
        probe = probe or unprobed
        W_ih, W_hh = tape.weights["weight_ih"], tape.weights["weight_hh"]
        p_i, p_f, p_o = self.peephole_weights(tape.weights)
        d_h_prev, d_c_prev = d_state
        d_x = np.empty_like(tape.x)
        shapes = self.parameter_shapes(tape.x.shape[2], d_c_prev.shape[1])
        gradients = {name: np.zeros(shape, d_x.dtype) for name, shape in shapes.items()}  # filled in place
        d_W_ih, d_W_hh = gradients["weight_ih"], gradients["weight_hh"]
        d_b_ih, d_b_hh = gradients["bias_ih"], gradients["bias_hh"]
        d_p_i, d_p_f, d_p_o = self.peephole_weights(gradients)
        for t in reversed(range(len(tape.x))):
            h_prev, c_prev, i, f, g, o, c, _ = tape.steps[t]
            d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (L8) (B, H)
            d_z_o = probe("d_z_o", t, d_h * np.tanh(c) * o * (1 - o))  # (L13)
            d_c = probe("d_c", t, d_c_prev + d_h * o * (1 - np.tanh(c) ** 2) + d_z_o * p_o)  # (L27) or (L9)
            d_z_g = probe("d_z_g", t, d_c * i * (1 - g**2))  # (L12)
            if self.coupled:
                d_z_i = probe("d_z_i", t, d_c * (g - c_prev) * i * (1 - i))  # (L33)
                d_z = np.concatenate([d_z_i, d_z_g, d_z_o], axis=1)  # (B, 3H)
                d_c_prev = probe("d_c_prev", t, d_c * f + d_z_i * p_i)  # (L34) or (L14)
            else:
                d_z_i = probe("d_z_i", t, d_c * g * i * (1 - i))  # (L10)
                d_z_f = probe("d_z_f", t, d_c * c_prev * f * (1 - f))  # (L11)
                d_z = np.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=1)  # (B, 4H)
                d_c_prev = probe("d_c_prev", t, d_c * f + d_z_i * p_i + d_z_f * p_f)  # (L28)
                d_p_f += (d_z_f * c_prev).sum(axis=0)  # (L30) (H,)
            d_h_prev = probe("d_h_prev", t, d_z @ W_hh)  # (L15) (B, H)
            d_x[t] = d_z @ W_ih  # (L16) (B, D)
            d_W_ih += d_z.T @ tape.x[t]  # (L17) (G H, D)
            d_W_hh += d_z.T @ h_prev  # (L18) (G H, H)
            d_b_ih += d_z.sum(axis=0)  # (L19) (G H,)
            d_b_hh += d_z.sum(axis=0)  # (L20) (G H,)
            d_p_i += (d_z_i * c_prev).sum(axis=0)  # (L29) (H,)
            d_p_o += (d_z_o * c).sum(axis=0)  # (L31) (H,)
        return d_x, (d_h_prev.copy(), d_c_prev.copy()), gradients
