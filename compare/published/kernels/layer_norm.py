"""Layer norm over the last axis.

T time steps, B batch rows, D size. Equation numbers are those of DERIVATION.md. Source: Ba, Kiros and Hinton, "Layer
Normalization".
"""

import numpy as np
import torch
from torch import Tensor

from compare import probe
from manual.arrays import Array

INPUTS = [{"x": (T, B, D), "weight": (D,), "bias": (D,)} for T, B, D in [(4, 3, 5), (1, 2, 7), (3, 1, 2)]]
AXES = "T B"

#: Added to the variance, so that a constant row can be divided by its root.
EPSILON = 1e-6

Tape = tuple[Array, ...]


def forward(x: Array, weight: Array, bias: Array, epsilon: float = EPSILON) -> tuple[Array, Tape]:
    """Normalise each row to mean 0 and variance 1, then scale and shift.

    Args:
        x: input (T, B, D), or any other axes before the last.
        weight: scale (D,).
        bias: shift (D,).
        epsilon: added to the variance.

    Returns:
        y, of the shape of x, and what backward needs.
    """
    mu = probe("mu", x.mean(axis=-1, keepdims=True))  # (N1) (T, B, 1)
    u = probe("u", x - mu)  # (N2) (T, B, D)
    r = probe("r", 1 / np.sqrt((u * u).mean(axis=-1, keepdims=True) + epsilon))  # (N3) (T, B, 1)
    x_hat = probe("x_hat", u * r)  # (N4) (T, B, D)
    return weight * x_hat + bias, (weight, u, r, x_hat)  # (N5)


def backward(tape: Tape, d_y: Array) -> tuple[Array, Array, Array]:
    """From d_y (T, B, D): d_x (T, B, D), d_weight (D,), d_bias (D,)."""
    weight, u, r, x_hat = tape
    D = u.shape[-1]
    rows = tuple(range(d_y.ndim - 1))
    d_x_hat = probe("d_x_hat", weight * d_y)  # (N6) (T, B, D)
    d_r = probe("d_r", (d_x_hat * u).sum(axis=-1, keepdims=True))  # (N7) (T, B, 1)
    d_u = probe("d_u", d_x_hat * r - d_r * r**3 * u / D)  # (N8) (T, B, D)
    d_mu = probe("d_mu", -d_u.sum(axis=-1, keepdims=True))  # (N9) (T, B, 1)
    d_x = d_u + d_mu / D  # (N10) (T, B, D)
    d_weight = (d_y * x_hat).sum(axis=rows)  # (N11) (D,)
    d_bias = d_y.sum(axis=rows)  # (N12) (D,)
    return d_x, d_weight, d_bias


def autograd(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The forward pass in torch, to differentiate; arguments and result as of forward."""
    mu = probe("mu", x.mean(dim=-1, keepdim=True))
    u = probe("u", x - mu)
    r = probe("r", torch.rsqrt(u.square().mean(dim=-1, keepdim=True) + EPSILON))
    x_hat = probe("x_hat", u * r)
    return weight * x_hat + bias
