"""Softmax attention with a mask.

B batch rows or heads, T queries, S keys, D size of queries and keys, H size of values. Equation numbers are those of
DERIVATION.md. Source: Vaswani et al., "Attention Is All You Need"; the backward pass as in Dao et al.,
"FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness".
"""

import numpy as np
import torch
from torch import Tensor

from compare import probe
from manual.arrays import Array

INPUTS = [
    {"q": (B, T, D), "k": (B, S, D), "v": (B, S, H), "mask": np.tri(T, S, S - T, dtype=bool)}
    for B, T, S, D, H in [(2, 4, 6, 3, 5), (3, 1, 2, 4, 2), (1, 7, 7, 2, 3)]
]
AXES = "B"

Tape = tuple[Array, ...]


def forward(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, Tape]:
    """Average the values, weighted by how well their keys match the query.

    Args:
        q: queries (B, T, D).
        k: keys (B, S, D).
        v: values (B, S, H).
        mask: which keys a query may see (T, S); at least one each.

    Returns:
        y (B, T, H), and what backward needs.
    """
    D = q.shape[2]
    s = probe("s", np.where(mask, q @ k.swapaxes(1, 2) / np.sqrt(D), -np.inf))  # (S1) (B, T, S)
    e = np.exp(s - s.max(axis=2, keepdims=True))
    p = probe("p", e / e.sum(axis=2, keepdims=True))  # (S2) (B, T, S)
    y = probe("y", p @ v)  # (S3) (B, T, H)
    return y, (q, k, v, p, y)


def backward(tape: Tape, d_y: Array) -> tuple[Array, Array, Array]:
    """From d_y (B, T, H): d_q (B, T, D), d_k (B, S, D), d_v (B, S, H)."""
    q, k, v, p, y = tape
    D = q.shape[2]
    d_v = p.swapaxes(1, 2) @ d_y  # (S4) (B, S, H)
    d_p = probe("d_p", d_y @ v.swapaxes(1, 2))  # (S5) (B, T, S)
    delta = (d_y * y).sum(axis=2, keepdims=True)  # (S6) (B, T, 1)
    d_s = probe("d_s", p * (d_p - delta))  # (S7) (B, T, S)
    d_q = d_s @ k / np.sqrt(D)  # (S8) (B, T, D)
    d_k = d_s.swapaxes(1, 2) @ q / np.sqrt(D)  # (S9) (B, S, D)
    return d_q, d_k, d_v


def autograd(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """The forward pass in torch, to differentiate; arguments and result as of forward."""
    s = probe("s", (q @ k.mT / q.shape[2] ** 0.5).masked_fill(~mask, -torch.inf))
    p = probe("p", s.softmax(dim=2))
    return probe("y", p @ v)
