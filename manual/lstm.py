"""One LSTM layer, in one direction, over a whole sequence: forward, and directly below it backward.

Legend: T time steps, B batch rows, D input size, H hidden size; gates i f g o in PyTorch's order; z pre-activations;
c cell; h hidden; m = o tanh(c), which is h unless h is projected to a smaller size P; d_a is the gradient of the loss
with respect to a. Equation numbers are those of DERIVATION.md. The last argument of add, multiply, … is where the
result goes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import add, copyto, dot, matmul, multiply, tanh

from manual import blocks
from manual.activations import by_sigmoid, by_tanh
from manual.arrays import Array, Probe
from manual.blocks import through

#: The blocks of a step. A gate's stands first for its pre-activation, then for the gate. All sigmoids are neighbours,
#: and so are the factors of the two products that c is the sum of: (i f) ∘ (g c_prev) = (new kept).
O, I, F, G, C_PREV, NEW, KEPT, TANH_C = range(8)


class Tape(blocks.Tape):
    """All blocks of all steps, and views of them."""

    def __init__(self, form: tuple[Any, ...]):
        super().__init__(form, gates=4, sigmoids=3, moved=1, quantities=8, adjoints=4)
        T, B, _, H, P, dtype = form
        s, h = self.blocks, self.h_prev[1:]
        self.weight_hr = np.zeros((P, H), dtype)  # of use under projection only, as the next two are
        self.d_h = np.zeros((T, B, P), dtype)
        self.m = np.zeros((T, B, H), dtype) if P < H else h
        self.steps = list(  # as the loop of forward names them
            zip(
                self.h_prev,
                s[:, :G],  # sigmoids
                s[:, :C_PREV],  # z, all gates
                s[:, I:G],  # i f
                s[:, G:NEW],  # g c_prev
                s[:, NEW:TANH_C],  # new kept
                s[:, NEW],
                s[:, KEPT],
                s[:, C_PREV],
                s[1:, C_PREV],  # c: what the step after finds as its c_prev
                s[:, TANH_C],
                s[:, O],
                self.m,
                h,
            )
        )
        self.m_by_c = np.zeros((max(len(local) for _, local, _, _ in self.spans), B, H), dtype)
        self.back = []  # as the loops of backward name them
        for span, local, by_row, rows in self.spans:
            by_gate = local.swapaxes(0, 1)  # (4, n, B, H), gates i f g o
            steps = zip(range(T)[span], *by_gate, self.m_by_c, s[span, F], by_row, rows, self.d_z[span])
            self.back.append((s[span].swapaxes(0, 1), by_gate, self.m_by_c[: len(local)], list(steps)[::-1]))


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
        form = T, B, D, rows // 4, P, x.dtype
        tape = out if isinstance(out, Tape) and out.form == form else Tape(form)
        tape.load(x, state[0], weights, weights["bias_ih"] + weights["bias_hh"])
        tape.blocks[0, C_PREV] = state[1]
        if self.proj_size:
            tape.weight_hr[...] = weights["weight_hr"]

        x_1, w_x, z_x = tape.input_product
        matmul(x_1, w_x, z_x)  # the input's share of (L1), and both biases, for all time steps at once
        product, w_h, z_h_out = tape.recurrent_product()
        z_h, half, W_hr = tape.z_h, tape.half, tape.weight_hr.T
        output = np.zeros((T, B, P), x.dtype)
        for t, views in enumerate(tape.steps):
            h_prev, sigmoids, z, i_f, g_c_prev, new_kept, new, kept, c_prev, c, tanh_c, o, m, h = views
            if probe:
                through(probe, t, h_prev=h_prev, c_prev=c_prev)
            product(h_prev, w_h, z_h_out)
            add(z, z_h, z)  # (L1) (4, B, H)
            if probe:
                multiply(sigmoids, 2, sigmoids)
                through(probe, t, z_i=z[I], z_f=z[F], z_g=z[G], z_o=z[O])
                multiply(sigmoids, half, sigmoids)
            tanh(z, z)  # (L4), and with the next two lines (L2), (L3), (L5)
            multiply(sigmoids, half, sigmoids)
            add(sigmoids, half, sigmoids)
            if probe:
                through(probe, t, i=z[I], f=z[F], g=z[G], o=z[O])
            multiply(i_f, g_c_prev, new_kept)
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
            output[t] = h
        return output, (tape.h_prev[T].copy(), tape.blocks[T, C_PREV].copy()), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, P), d_h_n (B, P) and d_c_n (B, H) back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0, d_c_0), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, P, dtype = tape.form
        weight_hh = tape.weight_hh
        d_h, d_c = (np.array(d, order="C") for d in d_state)  # what step t hands to the step before: here, to the last
        d_m = np.zeros((B, H), dtype) if self.proj_size else d_h
        for s, local, m_by_c, steps in tape.back:
            # Local derivatives wait for no gradient: those of c = i g + f c_prev and of m = o tanh(c). (n, B, H) each
            by_sigmoid(s[NEW : KEPT + 1], s[I : F + 1], local[:2])  # of c by z_i and z_f
            by_tanh(s[NEW], s[I], s[G], local[2])  # of c by z_g
            multiply(s[O], s[TANH_C], m_by_c)  # m
            by_sigmoid(m_by_c, s[O], local[3])  # of m by z_o
            by_tanh(m_by_c, s[O], s[TANH_C], m_by_c)  # of m by c
            for t, d_z_i, d_z_f, d_z_g, d_z_o, d_c_by_m, f, d_z_by_row, d_z_rows, d_z in steps:
                add(d_h, d_output[t], d_h)  # (L8) (B, P)
                if probe:
                    through(probe, t, d_h=d_h)
                if self.proj_size:
                    tape.d_h[t] = d_h
                    dot(d_h, tape.weight_hr, d_m)  # (L22) (B, H)
                    if probe:
                        through(probe, t, d_m=d_m)
                multiply(d_m, d_z_o, d_z_o)  # (L13)
                multiply(d_m, d_c_by_m, d_c_by_m)
                add(d_c, d_c_by_m, d_c)  # (L9)
                if probe:
                    through(probe, t, d_c=d_c)
                multiply(d_c, d_z_i, d_z_i)  # (L10)
                multiply(d_c, d_z_f, d_z_f)  # (L11)
                multiply(d_c, d_z_g, d_z_g)  # (L12)
                if probe:
                    through(probe, t, d_z_i=d_z_i, d_z_f=d_z_f, d_z_g=d_z_g, d_z_o=d_z_o)
                if B > 1:
                    copyto(d_z_rows, d_z_by_row)
                multiply(d_c, f, d_c)  # (L14)
                dot(d_z, weight_hh, d_h)  # (L15)
                if probe:
                    through(probe, t, d_c_prev=d_c, d_h_prev=d_h)

        d_z, M = tape.d_z.reshape(T * B, 4 * H), T * B  # what is left are products over all steps and rows at once
        d_w_x = dot(d_z.T, tape.x_1.reshape(M, D + 1))  # (F4) (4H, D + 1)
        gradients = {
            "weight_ih": d_w_x[:, :D].copy(),  # (L17) (4H, D)
            "weight_hh": dot(d_z.T, tape.h_prev[:T].reshape(M, P)),  # (L18) (4H, P)
            "bias_ih": d_w_x[:, D].copy(),  # (L19) (4H,)
            "bias_hh": d_w_x[:, D].copy(),  # (L20) (4H,)
        }
        if self.proj_size:
            gradients["weight_hr"] = dot(tape.d_h.reshape(M, P).T, tape.m.reshape(M, H))  # (L23) (P, H)
        return dot(d_z, tape.weight_ih).reshape(T, B, D), (d_h, d_c), gradients  # d_x is (L16)
