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
from numpy import add, concatenate, copyto, multiply, subtract, tanh

from manual import blocks
from manual.activations import by_sigmoid, by_tanh
from manual.arrays import Array, Probe
from manual.blocks import through
from manual.products import ByGate, OverGates, over_time

#: The blocks of a step: the gates, each standing first for its pre-activation; what the gates r and z let through,
#: r ∘ q or, as q itself, r ∘ h_prev, and z ∘ (h_prev - n); q before it is let through; and h.
R, Z, N, RESET, UPDATE, Q, HIDDEN = range(7)

#: The blocks of d_z lie so that n r z, what the input's side needs, are neighbours, and so are r z q, the other side's.
D_N, D_R, D_Z, D_Q = range(4)


class Tape(blocks.Tape):
    """All blocks of all steps, the weights, and views."""

    def __init__(self, form: tuple[Any, ...], reset_after: bool):
        super().__init__(form, quantities=7, adjoints=4)
        self.reset_after = reset_after
        T, B, D, H, _, dtype = form
        before, s, d_z = self.blocks[:-1], self.blocks[1:], self.d_z
        self.pre_activations = ByGate(2, B, D + 1 + H, H, dtype, known=D + 1)  # r z
        self.candidate_x = ByGate(1, B, D + 1, H, dtype)
        self.candidate_h = ByGate(1, B, 1 + H if reset_after else H, H, dtype)
        self.z_h = np.zeros((B, H), dtype)  # W_hn q
        q = s[:, Q if reset_after else RESET]
        self.steps = list(  # as the loop of forward names them
            zip(
                self.pre_activations.rows(self.x_1_h),
                self.x_1_h[:, :, : D + 1],
                self.x_1_h[:, :, D:],
                self.h_prev,
                before[:, HIDDEN],
                self.pre_activations.out(s[:, :N]),
                self.candidate_x.out(s[:, N:RESET]),
                self.candidate_h.out(q[:, None]),
                s[:, :N],
                s[:, R],
                s[:, Z],
                s[:, N],
                q,
                s[:, RESET],
                s[:, UPDATE],
                s[:, HIDDEN],
                self.h_prev[1:],
            )
        )
        self.to_h_prev = OverGates(3 if reset_after else 2, B, H, H, dtype)
        self.to_q = OverGates(1, B, H, H, dtype)
        self.to_x = OverGates(3, B, H, D, dtype, steps=T)
        self.d_z_to_x = self.to_x.factor(d_z[:D_Q])
        self.local = np.zeros((3, B, H), dtype)  # local derivatives of a step
        to_h_prev = d_z[D_R:] if reset_after else d_z[D_R:D_Q]
        factors = [self.to_h_prev.factor(to_h_prev[:, t : t + 1]) for t in range(T)]
        views = s[:, RESET:Q], s[:, :N], s[:, R], s[:, Z], s[:, N]
        self.back = list(zip(range(T), *views, *d_z, factors))[::-1]  # as the loop of backward names them


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
        if isinstance(out, Tape) and (out.form, out.reset_after) == (form, self.reset_after):
            tape = out
        else:
            tape = Tape(form, self.reset_after)
        tape.load(x, state[0])
        tape.blocks[0, HIDDEN] = state[0]
        W_ih, b_ih, W_hh, b_hh = (weights[name] for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh"))
        rz, n = slice(2 * H), slice(2 * H, None)
        bias = (b_ih + b_hh)[:, None]
        tape.pre_activations.load(W_ih[rz], bias[rz], W_hh[rz], halved=2)  # (F1)
        if self.reset_after:  # b_hn is not added to b_in: it stands within q
            tape.candidate_x.load(W_ih[n], b_ih[n, None])
            tape.candidate_h.load(b_hh[n, None], W_hh[n])
            tape.to_h_prev.load(W_hh)
        else:
            tape.candidate_x.load(W_ih[n], bias[n])
            tape.candidate_h.load(W_hh[n])
            tape.to_h_prev.load(W_hh[rz])
            tape.to_q.load(W_hh[n])
        tape.to_x.load(concatenate((W_ih[n], W_ih[rz])))

        tape.pre_activations.start(tape.x_1_h[:T], tape.blocks[1:, :N])
        product, product_n = tape.pre_activations.multiply, tape.candidate_x.multiply
        W_rz, W_xn, W_hn = tape.pre_activations.weights, tape.candidate_x.weights, tape.candidate_h.weights
        z_h, z_h_out, half = tape.z_h, tape.candidate_h.out(tape.z_h[None]), tape.half
        for t, views in enumerate(tape.steps):
            x_1_h, x_1, one_h, row, h_prev, rz_out, n_out, q_out, r_z, r, z, n, q, reset, update, h, next_row = views
            if probe:
                through(probe, t, h_prev=row)
                h_prev = row
            product(x_1_h, W_rz, rz_out)  # (G1) (2, B, H), halved
            if probe:
                multiply(r_z, 2, r_z)
                through(probe, t, z_r=r, z_z=z)
                multiply(r_z, half, r_z)
            tanh(r_z, r_z)  # with the next two lines (G2) and (G3)
            multiply(r_z, half, r_z)
            add(r_z, half, r_z)
            if probe:
                through(probe, t, r=r, z=z)
            product_n(x_1, W_xn, n_out)  # the input's share of (G5) or (G20)
            if self.reset_after:
                product_n(one_h, W_hn, q_out)  # (G4) (B, H)
                if probe:
                    through(probe, t, q=q)
                multiply(r, q, reset)
                add(n, reset, n)  # (G5)
            else:
                multiply(r, h_prev, q)  # (G19)
                if probe:
                    through(probe, t, q=q)
                product_n(q, W_hn, z_h_out)
                add(n, z_h, n)  # (G20)
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
            copyto(next_row, h)
        return tape.blocks[1:, HIDDEN].copy(), (tape.blocks[T, HIDDEN].copy(),), tape

    def backward(
        self, tape: Tape, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry ``d_output`` (T, B, H) and ``d_state`` (d_h_n,), (B, H), back through the tape's run.

        Returns:
            d_x (T, B, D), (d_h_0,), and the gradients, with the names and shapes of the weights.
        """
        T, B, D, H, _, dtype = tape.form
        d_h = np.array(d_state[0], order="C")  # what step t hands to the step before: here, to the last
        d_h_product, one = np.zeros((B, H), dtype), np.array(1, dtype)
        to_h_prev, to_q, by_r_z = tape.to_h_prev, tape.to_q, tape.local[:2]
        by_r, h_by_z, h_by_n = tape.local
        for t, reset_update, r_z, r, z, n, d_z_n, d_z_r, d_z_z, d_q, d_z in tape.back:
            # Local derivatives: those of h = n + z (h_prev - n) = (1 - z) n + z h_prev, and of what the reset gate
            # lets through, r q, or q = r h_prev
            by_sigmoid(reset_update, r_z, by_r_z)  # by z_r, and of h by z_z
            subtract(one, z, d_q)  # 1 - z, for a moment
            multiply(d_q, n, h_by_n)
            by_tanh(h_by_n, d_q, n, h_by_n)  # of h by z_n
            add(d_h, d_output[t], d_h)  # (G8) (B, H)
            if probe:
                through(probe, t, d_h=d_h)
            multiply(d_h, h_by_z, d_z_z)  # (G9)
            multiply(d_h, h_by_n, d_z_n)  # (G10)
            if probe:
                through(probe, t, d_z_z=d_z_z, d_z_n=d_z_n)
            if self.reset_after:
                multiply(d_z_n, r, d_q)  # (G11)
            else:
                to_q(d_z_n, d_q)  # (G21)
            if probe:
                through(probe, t, d_q=d_q)
            multiply(d_z_n if self.reset_after else d_q, by_r, d_z_r)  # (G12) or (G22)
            if probe:
                through(probe, t, d_z_r=d_z_r)
            to_h_prev(d_z, d_h_product)
            if not self.reset_after:
                multiply(d_q, r, d_q)
                add(d_h_product, d_q, d_h_product)
            multiply(d_h, z, d_h)
            add(d_h, d_h_product, d_h)  # (G13) or (G23)
            if probe:
                through(probe, t, d_h_prev=d_h)

        d_z, x_1_h = tape.d_z, tape.x_1_h[:T]  # what is left are products over all steps and rows at once
        d_w_rz = over_time(d_z[D_R:D_Q], x_1_h)  # (F4) (2H, D + 1 + H)
        d_w_n = over_time(d_z[:D_R], x_1_h[:, :, : D + 1])  # (H, D + 1)
        if self.reset_after:
            d_w_q = over_time(d_z[D_Q:], x_1_h[:, :, D:])  # (H, 1 + H)
            d_bias_hn, d_weight_hn = d_w_q[:, 0], d_w_q[:, 1:]
        else:
            d_bias_hn, d_weight_hn = d_w_n[:, D], over_time(d_z[:D_R], tape.blocks[1:, RESET])
        gradients = {
            "weight_ih": concatenate((d_w_rz[:, :D], d_w_n[:, :D])),  # (G15) (3H, D)
            "weight_hh": concatenate((d_w_rz[:, D + 1 :], d_weight_hn)),  # (G16) or (G24) (3H, H)
            "bias_ih": concatenate((d_w_rz[:, D], d_w_n[:, D])),  # (G17) (3H,)
            "bias_hh": concatenate((d_w_rz[:, D], d_bias_hn)),  # (G18) or (G25) (3H,)
        }
        d_x = np.empty((T * B, D), dtype)
        tape.to_x(tape.d_z_to_x, d_x)  # (G14)
        return d_x.reshape(T, B, D), (d_h,), gradients
