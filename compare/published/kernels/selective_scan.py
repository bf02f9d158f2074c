"""A selective scan: a linear recurrence whose step size and projections depend on the input.

T time steps, B batch rows, D channels, N states of each channel. Equation numbers are those of DERIVATION.md. Source:
Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces".
"""

import numpy as np
import torch
from torch import Tensor

from compare import probe
from manual.activations import sigmoid
from manual.arrays import Array

INPUTS = [
    {"x": (T, B, D), "u": (T, B, D), "a": (D, N), "b": (T, B, N), "c": (T, B, N), "w": (D,)}
    for T, B, D, N in [(5, 2, 3, 4), (1, 3, 2, 3), (4, 1, 2, 1), (40, 2, 3, 2)]
]
AXES = "T B"

Tape = tuple[Array, Array, Array, Array, list[tuple[Array, ...]]]


def forward(x: Array, u: Array, a: Array, b: Array, c: Array, w: Array) -> tuple[Array, Tape]:
    """Run the scan.

    Args:
        x: input (T, B, D).
        u: pre-activations of the step sizes (T, B, D).
        a: logarithms of the decay rates (D, N).
        b: projections into the state (T, B, N).
        c: projections out of the state (T, B, N).
        w: weights of the skip connection (D,).

    Returns:
        y (T, B, D), and what backward needs.
    """
    rates = probe("rates", -np.exp(a))  # (C1) (D, N)
    s = np.zeros((*x.shape[1:], a.shape[1]))
    y, steps = [], list[tuple[Array, ...]]()
    for t in range(len(x)):
        s_prev = s
        delta = probe("delta", np.logaddexp(0, u[t]), t=t)  # (C2) (B, D)
        decay = probe("decay", np.exp(delta[:, :, None] * rates), t=t)  # (C3) (B, D, N)
        s = probe("s", decay * s_prev + (delta * x[t])[:, :, None] * b[t][:, None, :], t=t)  # (C4) (B, D, N)
        y.append((s * c[t][:, None, :]).sum(axis=2) + w * x[t])  # (C5) (B, D)
        steps.append((x[t], b[t], c[t], delta, decay, s_prev, s))
    return np.stack(y), (u, a, w, rates, steps)


def backward(tape: Tape, d_y: Array) -> tuple[Array, ...]:
    """From d_y (T, B, D): d_x, d_u (T, B, D), d_a (D, N), d_b, d_c (T, B, N), d_w (D,)."""
    u, a, w, rates, steps = tape
    d_x, d_u = np.zeros_like(u), np.zeros_like(u)
    d_b, d_c = (np.zeros((*u.shape[:2], a.shape[1])) for _ in range(2))
    d_rates, d_w = np.zeros_like(a), np.zeros_like(w)
    d_s_carried = np.zeros((*u.shape[1:], a.shape[1]))  # what step t + 1 hands back: decay ∘ d_s
    for t in reversed(range(len(steps))):
        x, b, c, delta, decay, s_prev, s = steps[t]
        d_s = probe("d_s", d_y[t][:, :, None] * c[:, None, :] + d_s_carried, t=t)  # (C6) (B, D, N)
        d_c[t] = (d_y[t][:, :, None] * s).sum(axis=1)  # (C7) (B, N)
        d_decay = probe("d_decay", d_s * s_prev, t=t)  # (C8) (B, D, N)
        d_rates += (d_decay * decay * delta[:, :, None]).sum(axis=0)  # (C9) (D, N)
        d_s_b = (d_s * b[:, None, :]).sum(axis=2)  # (B, D)
        d_delta = probe("d_delta", (d_decay * decay * rates).sum(axis=2) + d_s_b * x, t=t)  # (C10) (B, D)
        d_u[t] = d_delta * sigmoid(u[t])  # (C11) (B, D)
        d_b[t] = (d_s * (delta * x)[:, :, None]).sum(axis=1)  # (C12) (B, N)
        d_x[t] = d_s_b * delta + w * d_y[t]  # (C13) (B, D)
        d_w += (d_y[t] * x).sum(axis=0)  # (C14) (D,)
        d_s_carried = decay * d_s
    d_a = probe("d_rates", d_rates) * rates  # (C15) (D, N)
    return d_x, d_u, d_a, d_b, d_c, d_w


def autograd(x: Tensor, u: Tensor, a: Tensor, b: Tensor, c: Tensor, w: Tensor) -> Tensor:
    """The forward pass in torch, to differentiate; arguments and result as of forward."""
    rates = probe("rates", -torch.exp(a))
    s = x.new_zeros(*x.shape[1:], a.shape[1])
    y = []
    for t in range(len(x)):
        delta = probe("delta", torch.logaddexp(u[t], u.new_zeros(())), t=t)
        decay = probe("decay", torch.exp(delta[:, :, None] * rates), t=t)
        s = probe("s", decay * s + (delta * x[t])[:, :, None] * b[t][:, None, :], t=t)
        y.append((s * c[t][:, None, :]).sum(dim=2) + w * x[t])
    return torch.stack(y)
