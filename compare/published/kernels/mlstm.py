"""The mLSTM cell in its parallel form: every step attends to all steps up to its own, weighted by the gates.

B batch rows or heads, T time steps, D size of queries and keys, H size of values. Equation numbers are those of
DERIVATION.md. Source: Beck et al., "xLSTM: Extended Long Short-Term Memory".
"""

import numpy as np
import torch
from torch import Tensor

from compare import probe
from manual.activations import sigmoid
from manual.arrays import Array

INPUTS = [
    {"q": (B, T, D), "k": (B, T, D), "v": (B, T, H), "i": (B, T), "f": (B, T)}
    for B, T, D, H in [(2, 5, 3, 4), (3, 1, 4, 2), (1, 6, 2, 3), (2, 40, 4, 3)]
]
AXES = "B"

Tape = tuple[Array, ...]


def forward(q: Array, k: Array, v: Array, i: Array, f: Array) -> tuple[Array, Tape]:
    """Run the cell over all steps at once.

    Args:
        q: queries (B, T, D).
        k: keys (B, T, D).
        v: values (B, T, H).
        i: pre-activations of the exponential input gate (B, T).
        f: pre-activations of the sigmoid forget gate (B, T).

    Returns:
        h (B, T, H), and what backward needs.
    """
    T, D = q.shape[1:]
    a = probe("a", np.cumsum(-np.logaddexp(0, -f), axis=1))  # (M1) (B, T)
    past = np.tri(T, dtype=bool)
    l = probe("l", np.where(past, a[:, :, None] - a[:, None, :] + i[:, None, :], -np.inf))  # (M2) (B, T, T)
    m = probe("m", l.max(axis=2))  # (M3) (B, T)
    w = probe("w", np.exp(l - m[:, :, None]))  # (M4) (B, T, T)
    s = probe("s", q @ k.swapaxes(1, 2) / np.sqrt(D))  # (M5) (B, T, T)
    c = probe("c", w * s)  # (M6) (B, T, T)
    r = probe("r", c.sum(axis=2))  # (M7) (B, T)
    n = probe("n", np.maximum(np.abs(r), np.exp(-m)))  # (M8) (B, T)
    h = probe("h", c @ v / n[:, :, None])  # (M9) (B, T, H)
    return h, (q, k, v, f, m, w, c, r, n, h)


def backward(tape: Tape, d_h: Array, normaliser: bool = True) -> tuple[Array, ...]:
    """Return the gradients of all inputs.

    Args:
        tape: from forward.
        d_h: gradient of h (B, T, H).
        normaliser: False leaves out the derivative of the normaliser n, as the published backward pass does.

    Returns:
        d_q (B, T, D), d_k (B, T, D), d_v (B, T, H), d_i (B, T), d_f (B, T).
    """
    q, k, v, f, m, w, c, r, n, h = tape
    D = q.shape[2]
    n = n[:, :, None]  # (B, T, 1)
    d_v = c.swapaxes(1, 2) @ (d_h / n)  # (M10) (B, T, H)
    if normaliser:
        d_n = probe("d_n", -(d_h * h).sum(axis=2) / n[:, :, 0])  # (M11) (B, T)
        d_r = probe("d_r", np.where(np.abs(r) > np.exp(-m), np.sign(r) * d_n, 0.0))  # (M12) (B, T)
    else:
        d_r = np.zeros_like(r)
    d_c = probe("d_c", d_h @ v.swapaxes(1, 2) / n + d_r[:, :, None])  # (M13) (B, T, T)
    d_s = probe("d_s", d_c * w)  # (M14) (B, T, T)
    d_q = d_s @ k / np.sqrt(D)  # (M15) (B, T, D)
    d_k = d_s.swapaxes(1, 2) @ q / np.sqrt(D)  # (M16) (B, T, D)
    d_l = probe("d_l", d_c * c)  # (M17) (B, T, T)
    d_i = d_l.sum(axis=1)  # (M18) (B, T)
    d_a = probe("d_a", d_l.sum(axis=2) - d_l.sum(axis=1))  # (M19) (B, T)
    d_f = sigmoid(-f) * d_a[:, ::-1].cumsum(axis=1)[:, ::-1]  # (M20) (B, T)
    return d_q, d_k, d_v, d_i, d_f


def autograd(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """The forward pass in torch, to differentiate; arguments and result as of forward."""
    T, D = q.shape[1:]
    a = probe("a", torch.nn.functional.logsigmoid(f).cumsum(dim=1))
    past = torch.ones(T, T, dtype=torch.bool).tril()
    l = probe("l", (a[:, :, None] - a[:, None, :] + i[:, None, :]).masked_fill(~past, -torch.inf))
    m = probe("m", l.amax(dim=2))
    w = probe("w", torch.exp(l - m[:, :, None]))
    s = probe("s", q @ k.mT / D**0.5)
    c = probe("c", w * s)
    r = probe("r", c.sum(dim=2))
    n = probe("n", torch.maximum(r.abs(), torch.exp(-m)))
    return probe("h", c @ v / n[:, :, None])
