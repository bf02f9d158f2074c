"""Right derivations: norms, products, long sums, attention."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from .case import case, normal


@case(x=(5, 8), weight=(8,), bias=(8,))
class LayerNorm:
    def reference(x, weight, bias):
        return F.layer_norm(x, (8,), weight, bias)

    def forward(x, weight, bias):
        centred = x - x.mean(1, keepdim=True)
        rstd = torch.rsqrt((centred**2).mean(1, keepdim=True) + 1e-5)
        return centred * rstd * weight + bias, (centred * rstd, rstd, weight)

    def backward(tape, d_y):
        normed, rstd, weight = tape
        d = d_y * weight
        d_x = rstd * (d - d.mean(1, keepdim=True) - normed * (d * normed).mean(1, keepdim=True))
        return d_x, (d_y * normed).sum(0), d_y.sum(0)


@case(x=(4, 7), weight=(7,))
class RmsNorm:
    def reference(x, weight):
        return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6) * weight

    def forward(x, weight):
        r = ((x * x).mean(1, keepdim=True) + 1e-6) ** -0.5
        return x * r * weight, (x, r, weight)

    def backward(tape, d_y):
        x, r, weight = tape
        d = d_y * weight
        return r * d - x * r**3 * (d * x).mean(1, keepdim=True), (d_y * x * r).sum(0)


@case(x=lambda rng: 1.5 + rng.normal(size=(9, 4)), weight=(4,))
class BatchNorm:
    """The variance as the difference of two means, which loses digits."""

    def reference(x, weight):
        return weight * (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + 1e-5)

    def forward(x, weight):
        mean = x.mean(0)
        std = torch.sqrt((x * x).mean(0) - mean * mean + 1e-5)
        return weight * (x - mean) / std, ((x - mean) / std, std, weight)

    def backward(tape, d_y):
        normed, std, weight = tape
        d = d_y * weight
        return (d - d.mean(0) - normed * (d * normed).mean(0)) / std, (d_y * normed).sum(0)


@case(x=(6, 5))
class Normalise:
    def reference(x):
        return x / x.norm(dim=1, keepdim=True)

    def forward(x):
        size = (x * x).sum(1, keepdim=True).sqrt()
        return x / size, (x / size, size)

    def backward(tape, d_y):
        y, size = tape
        return (d_y - y * (y * d_y).sum(1, keepdim=True)) / size


@case(x=(5, 6), y=(5, 6))
class Cosine:
    def reference(x, y):
        return F.cosine_similarity(x, y, 1)

    def forward(x, y):
        a, b = x.norm(dim=1, keepdim=True), y.norm(dim=1, keepdim=True)
        c = (x * y).sum(1, keepdim=True) / (a * b)
        return c[:, 0], (x, y, a, b, c)

    def backward(tape, d):
        x, y, a, b, c = tape
        return d[:, None] * (y / (a * b) - c * x / (a * a)), d[:, None] * (x / (a * b) - c * y / (b * b))


@case(x=(9, 4), w=(3, 4), b=(3,))
class Linear:
    def reference(x, w, b):
        return F.linear(x, w, b)

    def forward(x, w, b):
        return x @ w.T + b, (x, w)

    def backward(tape, d_y):
        x, w = tape
        return d_y @ w, d_y.T @ x, d_y.sum(0)


@case(x=(2, 3, 11), w=(4, 3, 3))
class Convolution:
    def reference(x, w):
        return F.conv1d(x, w)

    def forward(x, w):
        windows = x.unfold(2, 3, 1)
        return torch.einsum("bctk,ock->bot", windows, w), (x, w, windows)

    def backward(tape, d_y):
        x, w, windows = tape
        d_x = torch.zeros_like(x)
        for k in range(3):
            d_x[:, :, k : k + d_y.shape[2]] += torch.einsum("bot,oc->bct", d_y, w[:, :, k])
        return d_x, torch.einsum("bot,bctk->ock", d_y, windows)


@case(x=(3000, 3), b=(3,))
class LongSum:
    """One accumulator over all rows, in its own precision: right, but autograd adds pair by pair."""

    def reference(x, b):
        return torch.tanh(x + b)

    def forward(x, b):
        y = torch.tanh(x + b)
        return y, y

    def backward(y, d_y):
        d = d_y * (1 - y * y)
        return d, d.cumsum(0)[-1:].sum(0)


@case(x=lambda rng: rng.normal(size=(300, 4)) + 2)
class LogMeanSquare:
    def reference(x):
        return torch.log((x * x).mean(0))

    def forward(x):
        mean = (x * x).sum(0) / len(x)
        return torch.log(mean), (x, mean)

    def backward(tape, d_y):
        x, mean = tape
        return 2 * x * d_y / mean / len(x)


def attended(q, k, v, mask=None):
    """Return attention, and what its backward pass needs, by the log-sum-exp, as flash attention has it."""
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    s = s if mask is None else s.masked_fill(mask, -torch.inf)
    p = torch.exp(s - torch.logsumexp(s, -1, keepdim=True))
    return p @ v, (q, k, v, p, p @ v)


def attended_backward(tape, d_o):
    q, k, v, p, o = tape
    d_s = p * (d_o @ v.transpose(-1, -2) - (d_o * o).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5
    return d_s @ k, d_s.transpose(-1, -2) @ q, p.transpose(-1, -2) @ d_o


@case(q=(2, 5, 4), k=(2, 6, 4), v=(2, 6, 3))
class Attention:
    def reference(q, k, v):
        return torch.softmax(q @ k.transpose(1, 2) / 2, 2) @ v

    forward, backward = attended, attended_backward


@case(q=(7, 4), k=(7, 4), v=(7, 5))
class CausalAttention:
    def reference(q, k, v):
        return F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]

    def forward(q, k, v):
        return attended(q, k, v, torch.ones(len(q), len(k), dtype=torch.bool).triu(1))

    backward = attended_backward


def far_apart(rng):
    """Return keys, or queries, that point to one another, so that one probability of each row is 1 to rounding."""
    return 40 * np.eye(5, 8) + rng.normal(size=(5, 8))


@case(q=far_apart, k=far_apart, v=(5, 6))
class SaturatedAttention:
    """The gradients of q and k are zero up to rounding, some 1e-120."""

    def reference(q, k, v):
        return torch.softmax(q @ k.T / 8**0.5, 1) @ v

    forward, backward = attended, attended_backward


@case(x=normal(4, 6), y=normal(5, 6))
class Distances:
    """By the square of the difference written out, which loses digits."""

    def reference(x, y):
        return ((x[:, None] - y) ** 2).sum(2)

    def forward(x, y):
        return (x * x).sum(1, keepdim=True) + (y * y).sum(1) - 2 * x @ y.T, (x, y)

    def backward(tape, d):
        x, y = tape
        return 2 * (x * d.sum(1, keepdim=True) - d @ y), 2 * (y * d.sum(0)[:, None] - d.T @ x)
