"""One LSTM layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o in PyTorch's order; z pre-activations;
c cell; h hidden; m = o tanh(c), which is h unless h is projected to a smaller size P; x_1_h is x, a 1 and h_prev side
by side; d_a is the gradient of the loss with respect to a. Equation numbers are those of DERIVATION.md. The last
argument of add, multiply, … is where the result goes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import add, copyto, dot, multiply, tanh

from manual import blocks
from manual.activations import by_sigmoid, by_tanh
from manual.arrays import Array, Probe
from manual.blocks import through
from manual.products import ByGate, OverGates, over_time

#: The blocks of a step; a gate's stands first for its pre-activation, then for the gate. Neighbours are what is done at
#: one go: all gates, all sigmoids, the sigmoids o i f and the products m, new, kept that they are factors of, and the
#: factors of two of these products, o i and tanh(c) g.
TANH_C, G, O, I, F, M, NEW, KEPT, C = range(9)


class Tape(blocks.Tape):
    """All blocks of all steps, the weights, and views."""

    def __init__(self, form: tuple[Any, ...]):
        super().__init__(form, quantities=9, adjoints=4)
        T, B, D, H, P, dtype = form
        self.pre_activations = ByGate(4, B, D + 1 + P, H, dtype, known=D + 1)
        self.to_h_prev = OverGates(4, B, H, P, dtype)
        self.to_x = OverGates(4, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.factor(self.d_z)
        self.weight_hr = np.zeros((P, H), dtype)  # of use under projection only
        self.d_h = np.zeros((T if P < H else 0, B, P), dtype)
        before, s = self.blocks[:-1], self.blocks[1:]
        self.h = np.zeros((T, B, P), dtype) if P < H else s[:, M]
        z = s[:, G:M]
        self.steps = list(  # as the loop of forward names them
            zip(
                self.pre_activations.rows(self.x_1_h),
                self.h_prev,
                before[:, C],
                self.pre_activations.out(z),
                z,
                s[:, O:M],  # sigmoids
                s[:, I],
                s[:, F],
                s[:, G],
                s[:, O],
                s[:, NEW],
                s[:, KEPT],
                s[:, C],
                s[:, TANH_C],
                s[:, M],
                self.h,
                self.h_prev[1:],
            )
        )
        self.local = np.zeros((5, B, H), dtype)  # local derivatives of a step
        factors = [self.to_h_prev.factor(self.d_z[:, t : t + 1]) for t in range(T)]
        self.back = list(  # as the loop of backward names them
            zip(
                range(T),
                s[:, M:C],  # m new kept
                s[:, O:M],  # o i f
                s[:, M:KEPT],  # m new
                s[:, O:F],  # o i
                s[:, TANH_C:O],  # tanh(c) g
                s[:, F],
                *self.d_z,
                factors,
            )
        )[::-1]


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
        self,
        x: Array,
        state: tuple[Array, ...],
        weights: Mapping[str, Array],
        probe: Probe | None = None,
        out: object = None,
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` h_0 (B, P) and c_0 (B, H).

        ``weights``: weight_ih (4H, D), weight_hh (4H, P), bias_ih (4H,), bias_hh (4H,); where h is projected, also
        weight_hr (P, H). ``out``: an earlier run's tape, to be written over if its sizes are this run's.

        Returns:
            output (T, B, P), the state (h_n, c_n) after the last step, and the tape.
        """
        T, B, D = x.shape
        rows, P = weights["weight_hh"].shape
        H = rows // 4
        form = T, B, D, H, P, x.dtype
        tape = out if isinstance(out, Tape) and out.form == form else Tape(form)
        tape.load(x, state[0])
        tape.blocks[0, C] = state[1]
        bias = weights["bias_ih"] + weights["bias_hh"]
        W = weights["weight_ih"], bias[:, None], weights["weight_hh"]
        tape.pre_activations.load(*W, first=2, halved=3)  # g, and (F1) o i f
        tape.to_h_prev.load(weights["weight_hh"])
        tape.to_x.load(weights["weight_ih"])
        if self.proj_size:
            tape.weight_hr[...] = weights["weight_hr"]

        tape.pre_activations.start(tape.x_1_h[:T], tape.blocks[1:, G:M])
        product, w = tape.pre_activations.multiply, tape.pre_activations.weights
        half, W_hr = tape.half, tape.weight_hr.T
        for t, views in enumerate(tape.steps):
            x_1_h, h_prev, c_prev, z_out, z, sigmoids, i, f, g, o, new, kept, c, tanh_c, m, h, next_row = views
            if probe:
                through(probe, t, h_prev=h_prev, c_prev=c_prev)
            product(x_1_h, w, z_out)  # (L1) (4, B, H), of the sigmoids halved
            if probe:
                multiply(sigmoids, 2, sigmoids)
                through(probe, t, z_i=i, z_f=f, z_g=g, z_o=o)
                multiply(sigmoids, half, sigmoids)
            tanh(z, z)  # (L4), and with the next two lines (L2), (L3), (L5)
            multiply(sigmoids, half, sigmoids)
            add(sigmoids, half, sigmoids)
            if probe:
                through(probe, t, i=i, f=f, g=g, o=o)
            multiply(i, g, new)
            multiply(f, c_prev, kept)
            add(new, kept, c)  # (L6) (B, H)
            if probe:
                through(probe, t, c=c)
            tanh(c, tanh_c)
            multiply(o, tanh_c, m)  # (L7)
            if self.proj_size:
                if probe:
                    through(probe, t, m=m)
                dot(m, W_hr, h)  # (L21) (B, P)
            if probe:
                through(probe, t, h=h)
            copyto(next_row, h)
        return tape.h.copy(), (tape.h[-1].copy(), tape.blocks[T, C].copy()), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, P), d_h_n (B, P) and d_c_n (B, H) back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0, d_c_0), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, P, dtype = tape.form
        d_h, d_c = (np.array(d, order="C") for d in d_state)  # what step t hands to the step before: here, to the last
        d_m = np.zeros((B, H), dtype) if self.proj_size else d_h
        to_h_prev, by_sigmoids, by_tanhs = tape.to_h_prev, tape.local[:3], tape.local[3:]
        m_by_o, c_by_i, c_by_f, m_by_c, c_by_g = tape.local
        for t, m_new_kept, o_i_f, m_new, o_i, tanh_c_g, f, d_z_i, d_z_f, d_z_g, d_z_o, d_z in tape.back:
            # Local derivatives: those of c = i g + f c_prev and of m = o tanh(c)
            by_sigmoid(m_new_kept, o_i_f, by_sigmoids)  # of m by z_o, of c by z_i and by z_f
            by_tanh(m_new, o_i, tanh_c_g, by_tanhs)  # of m by c, of c by z_g
            add(d_h, d_output[t], d_h)  # (L8) (B, P)
            if probe:
                through(probe, t, d_h=d_h)
            if self.proj_size:
                tape.d_h[t] = d_h
                dot(d_h, tape.weight_hr, d_m)  # (L22) (B, H)
                if probe:
                    through(probe, t, d_m=d_m)
            multiply(d_m, m_by_o, d_z_o)  # (L13)
            multiply(d_m, m_by_c, m_by_c)
            add(d_c, m_by_c, d_c)  # (L9)
            if probe:
                through(probe, t, d_c=d_c)
            multiply(d_c, c_by_i, d_z_i)  # (L10)
            multiply(d_c, c_by_f, d_z_f)  # (L11)
            multiply(d_c, c_by_g, d_z_g)  # (L12)
            if probe:
                through(probe, t, d_z_i=d_z_i, d_z_f=d_z_f, d_z_g=d_z_g, d_z_o=d_z_o)
            multiply(d_c, f, d_c)  # (L14)
            to_h_prev(d_z, d_h)  # (L15)
            if probe:
                through(probe, t, d_c_prev=d_c, d_h_prev=d_h)

        d_w = over_time(tape.d_z, tape.x_1_h[:T])  # (F4) (4H, D + 1 + P)
        gradients = {
            "weight_ih": d_w[:, :D].copy(),  # (L17) (4H, D)
            "weight_hh": d_w[:, D + 1 :].copy(),  # (L18) (4H, P)
            "bias_ih": d_w[:, D].copy(),  # (L19) (4H,)
            "bias_hh": d_w[:, D].copy(),  # (L20) (4H,)
        }
        if self.proj_size:
            m = tape.blocks[1:, M].reshape(T * B, H)
            gradients["weight_hr"] = dot(tape.d_h.reshape(T * B, P).T, m)  # (L23) (P, H)
        d_x = np.empty((T * B, D), dtype)
        tape.to_x(tape.d_z_to_x, d_x)  # (L16)
        return d_x.reshape(T, B, D), (d_h, d_c), gradients
