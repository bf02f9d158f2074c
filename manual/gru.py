"""One GRU layer, in one direction, over a whole sequence: forward, and directly below it backward.

Two forms: PyTorch's, in which the reset gate acts on a product with the hidden state (``reset_after``), and the
original one, in which it acts on the hidden state itself (Cho et al., "Learning Phrase Representations using RNN
Encoder–Decoder for Statistical Machine Translation").

Legend: T time steps, B batch rows, D input size, H hidden size; gates r (reset), z (update), n (candidate) in
PyTorch's order, with pre-activations z_r, z_z, z_n; q is what the reset gate lets through to the candidate; h hidden;
d_a is the gradient of the loss with respect to a. Equation numbers are those of DERIVATION.md. The last argument of
add, multiply, … is where the result goes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import add, concatenate, copyto, dot, matmul, multiply, subtract, tanh

from manual import blocks
from manual.activations import by_sigmoid, by_tanh
from manual.arrays import Array, Probe
from manual.blocks import through

#: The blocks of a step: the gates, each standing first for its pre-activation; q; r ∘ q and z ∘ (h_prev - n), which
#: the gates r and z let through.
R, Z, N, Q, RESET, UPDATE = range(6)

#: The blocks of d_z lie so that n r z, what the input's side needs, are neighbours, and so are r z q, the other side's.
D_N, D_R, D_Z, D_Q = range(4)


class Tape(blocks.Tape):
    """All blocks of all steps, and views of them."""

    def __init__(self, form: tuple[Any, ...]):
        super().__init__(form, gates=3, sigmoids=2, moved=0, quantities=6, adjoints=4)
        T, B, _, H, _, dtype = form
        s, d_z = self.blocks, self.d_z
        self.bias_hn = np.zeros((B, H), dtype)
        views = s[:, :N], s[:, R], s[:, Z], s[:, N], s[:, Q], s[:, RESET], s[:, UPDATE], self.h_prev[1:]
        self.steps = list(zip(self.h_prev, *views))  # as the loop of forward names them
        self.back = []  # as the loops of backward name them
        for span, local, by_row, rows in self.spans:
            by_gate = local.swapaxes(0, 1)  # (4, n, B, H), n r z q
            sides = d_z[span, :, H : 3 * H], d_z[span, :, H:]  # of d_z: r z, and r z q
            steps = zip(range(T)[span], *by_gate, s[span, R], s[span, Z], by_row, rows, *sides)
            self.back.append((s[span].swapaxes(0, 1), by_gate, list(steps)[::-1]))


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
        self,
        x: Array,
        state: tuple[Array, ...],
        weights: Mapping[str, Array],
        probe: Probe | None = None,
        out: object = None,
    ) -> tuple[Array, tuple[Array, ...], Tape]:
        """Run the sequence ``x`` (T, B, D) from the ``state`` (h_0,), (B, H).

        ``weights``: weight_ih (3H, D), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,). ``out``: an earlier run's
        tape, to be written over if its sizes are this run's.

        Returns:
            output (T, B, H), the state (h_n,) after the last step, and the tape.
        """
        T, B, D = x.shape
        H = weights["weight_hh"].shape[1]
        form = T, B, D, H, H, x.dtype
        tape = out if isinstance(out, Tape) and out.form == form else Tape(form)
        bias = weights["bias_ih"] + weights["bias_hh"]
        if self.reset_after:  # b_hn is not added to b_in: it stands within q
            bias[2 * H :] = weights["bias_ih"][2 * H :]
            tape.bias_hn[...] = weights["bias_hh"][2 * H :]
        tape.load(x, state[0], weights, bias)

        x_1, w_x, z_x = tape.input_product
        matmul(x_1, w_x, z_x)  # the input's share of (G1) and of (G5) or (G20), for all time steps at once
        product, w_h, z_h_out = tape.recurrent_product(slice(0, 3 if self.reset_after else 2))
        product_n, w_hn, z_h_n_out = tape.recurrent_product(slice(2, 3))
        z_h_rz, z_h_n, bias_hn, half = tape.z_h[:2], tape.z_h[2], tape.bias_hn, tape.half
        output = np.zeros((T, B, H), x.dtype)
        for t, (h_prev, r_z, r, z, n, q, reset, update, h) in enumerate(tape.steps):
            if probe:
                through(probe, t, h_prev=h_prev)
            product(h_prev, w_h, z_h_out)
            add(r_z, z_h_rz, r_z)  # (G1) (2, B, H)
            if probe:
                multiply(r_z, 2, r_z)
                through(probe, t, z_r=r, z_z=z)
                multiply(r_z, half, r_z)
            tanh(r_z, r_z)  # with the next two lines (G2) and (G3)
            multiply(r_z, half, r_z)
            add(r_z, half, r_z)
            if probe:
                through(probe, t, r=r, z=z)
            if self.reset_after:
                add(z_h_n, bias_hn, q)  # (G4) (B, H)
                if probe:
                    through(probe, t, q=q)
                multiply(r, q, reset)
                add(n, reset, n)  # (G5)
            else:
                multiply(r, h_prev, q)  # (G19)
                if probe:
                    through(probe, t, q=q)
                product_n(q, w_hn, z_h_n_out)
                add(n, z_h_n, n)  # (G20)
            if probe:
                through(probe, t, z_n=n)
            tanh(n, n)  # (G6)
            if probe:
                through(probe, t, n=n)
            subtract(h_prev, n, update)
            multiply(z, update, update)
            add(n, update, h)  # (G7)
            if probe:
                through(probe, t, h=h)
            output[t] = h
        return output, (tape.h_prev[T].copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, _, dtype = tape.form
        W_hh, W_rz, W_n = tape.weight_hh, tape.weight_hh[: 2 * H], tape.weight_hh[2 * H :]
        d_h = np.array(d_state[0], order="C")  # what step t hands to the step before: here, to the last
        d_h_product, one = np.zeros((B, H), dtype), np.array(1, dtype)
        for s, local, steps in tape.back:
            # Local derivatives wait for no gradient: those of h = n + z (h_prev - n) = (1 - z) n + z h_prev, and of
            # what the reset gate lets through, r q, or q = r h_prev. (n, B, H) each
            by_sigmoid(s[UPDATE], s[Z], local[D_Z])  # of h by z_z
            subtract(one, s[Z], local[D_Q])  # 1 - z, for a moment
            multiply(local[D_Q], s[N], local[D_N])
            by_tanh(local[D_N], local[D_Q], s[N], local[D_N])  # of h by z_n
            by_sigmoid(s[RESET if self.reset_after else Q], s[R], local[D_R])  # by z_r
            for t, d_z_n, d_z_r, d_z_z, d_q, r, z, d_z_by_row, d_z_rows, d_rz, d_rzq in steps:
                add(d_h, d_output[t], d_h)  # (G8) (B, H)
                if probe:
                    through(probe, t, d_h=d_h)
                multiply(d_h, d_z_z, d_z_z)  # (G9)
                multiply(d_h, d_z_n, d_z_n)  # (G10)
                if probe:
                    through(probe, t, d_z_z=d_z_z, d_z_n=d_z_n)
                if self.reset_after:
                    multiply(d_z_n, r, d_q)  # (G11)
                else:
                    dot(d_z_n, W_n, d_q)  # (G21)
                if probe:
                    through(probe, t, d_q=d_q)
                multiply(d_z_n if self.reset_after else d_q, d_z_r, d_z_r)  # (G12) or (G22)
                if probe:
                    through(probe, t, d_z_r=d_z_r)
                if B > 1:
                    copyto(d_z_rows, d_z_by_row)
                if self.reset_after:
                    matmul(d_rzq, W_hh, d_h_product)
                else:
                    matmul(d_rz, W_rz, d_h_product)
                    multiply(d_q, r, d_q)
                    add(d_h_product, d_q, d_h_product)
                multiply(d_h, z, d_h)
                add(d_h, d_h_product, d_h)  # (G13) or (G23)
                if probe:
                    through(probe, t, d_h_prev=d_h)

        M = T * B  # what is left are products over all steps and rows at once
        h_prev, d_z = tape.h_prev[:T].reshape(M, H), tape.d_z.reshape(M, 4 * H)
        d_nrz, d_n, d_rz, d_rzq = d_z[:, : 3 * H], d_z[:, :H], d_z[:, H : 3 * H], d_z[:, H:]
        W_nrz = concatenate([tape.weight_ih[2 * H :], tape.weight_ih[: 2 * H]])
        d_x = matmul(d_nrz, W_nrz).reshape(T, B, D)  # (G14)
        d_w_x = matmul(d_nrz.T, tape.x_1.reshape(M, D + 1))  # (F4) (3H, D + 1), n r z
        d_w_x = concatenate([d_w_x[H:], d_w_x[:H]])  # r z n
        d_bias = d_w_x[:, D]
        if self.reset_after:
            d_weight_hh = matmul(d_rzq.T, h_prev)  # (G16) (3H, H)
            d_bias_hh = concatenate([d_bias[: 2 * H], d_z[:, 3 * H :].sum(axis=0)])  # (G18) (3H,)
        else:
            q = tape.blocks[:T, Q].reshape(M, H)
            d_weight_hh = concatenate([matmul(d_rz.T, h_prev), matmul(d_n.T, q)])  # (G24) (3H, H)
            d_bias_hh = d_bias.copy()  # (G25) (3H,)
        gradients = {
            "weight_ih": d_w_x[:, :D].copy(),  # (G15) (3H, D)
            "weight_hh": d_weight_hh,
            "bias_ih": d_bias.copy(),  # (G17) (3H,)
            "bias_hh": d_bias_hh,
        }
        return d_x, (d_h,), gradients
