"""Right derivations: activations, losses, quantisation, and what lies on their branches."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from .case import case, normal, ties

# What has branches, on ties.


@case(x=ties(5, 6))
class Relu:
    reference = torch.relu

    def forward(x):
        return x.clamp(min=0), x > 0

    def backward(there, d_y):
        return d_y * there


@case(x=lambda rng: np.array([[1.0, 2.0, 3.0], [1.0, 1.5, 7.0], [4.0, -1.0, 3.0], [2.5, 2.0, 1.5]]))
class AboveTheMean:
    def reference(x):
        return torch.where(x >= x.mean(1, keepdim=True), 3 * x, x)

    def forward(x):
        above = x >= x.sum(1, keepdim=True) / x.shape[1]
        return torch.where(above, 3 * x, x), above

    def backward(above, d_y):
        return torch.where(above, 3 * d_y, d_y)


@case(x=lambda rng: np.round(rng.normal(size=(7, 5)) * 4) / 4, scale=(5,))
class FakeQuantisation:
    def reference(x, scale):
        y = x * scale
        return y + (torch.round(y) - y).detach()

    def forward(x, scale):
        return torch.round(x * scale), (x, scale)

    def backward(tape, d_y):
        x, scale = tape
        return d_y * scale, (d_y * x).sum(0)


@case(x=lambda rng: np.concatenate([rng.normal(size=11), [1.0, -1.0, 0.0, 1.0]]))
class Huber:
    def reference(x):
        return F.huber_loss(x, torch.zeros_like(x), reduction="sum")

    def forward(x):
        size = x.abs()
        return torch.where(size <= 1, x * x / 2, size - 0.5).sum(), x

    def backward(x, d_y):
        return d_y * torch.where(x.abs() <= 1, x, x.sign())


@case(x=lambda rng: np.round(2 * rng.normal(size=(6, 4))) / 2, y=lambda rng: np.round(2 * rng.normal(size=(6, 4))) / 2)
class Margin:
    """The margin is hit exactly in places, where relu has no slope."""

    def reference(x, y):
        return torch.relu(0.5 + x - y).sum(1)

    def forward(x, y):
        far = 0.5 + x - y
        return torch.where(far > 0, far, 0 * far).sum(1), far > 0

    def backward(there, d_y):
        d = torch.where(there, d_y[:, None], 0 * d_y[:, None])
        return d, -d


@case(x=lambda rng: np.concatenate([rng.normal(size=9) * 2, [1.0, -1.0, 0.5]]).reshape(4, 3))
class Clamp:
    def reference(x):
        return x.clamp(-1, 1)

    def forward(x):
        return x.clamp(-1, 1), (x >= -1) & (x <= 1)

    def backward(inside, d_y):
        return d_y * inside


@case(x=ties(4, 7))
class Absolute:
    reference = torch.abs

    def forward(x):
        return x.abs(), x.sign()

    def backward(sign, d_y):
        return d_y * sign


# Smooth activations.


@case(x=(4, 9))
class Gelu:
    def reference(x):
        return F.gelu(x, approximate="tanh")

    def forward(x):
        inner = 0.7978845608028654 * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + torch.tanh(inner)), (x, torch.tanh(inner))

    def backward(tape, d_y):
        x, t = tape
        slope = 0.7978845608028654 * (1 + 3 * 0.044715 * x**2)
        return d_y * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


@case(x=normal(3, 8, scale=6))
class Silu:
    reference = F.silu

    def forward(x):
        s = 1 / (1 + torch.exp(-x))
        return x * s, (x, s)

    def backward(tape, d_y):
        x, s = tape
        return d_y * (s + x * s * (1 - s))


@case(x=normal(3, 8, scale=3))
class Softplus:
    reference = F.softplus

    def forward(x):
        return torch.log(1 + torch.exp(x)), x

    def backward(x, d_y):
        return d_y / (1 + torch.exp(-x))


@case(x=(5, 6), w=(6,))
class Gated:
    def reference(x, w):
        return torch.tanh(x) * torch.sigmoid(x * w)

    def forward(x, w):
        t, s = torch.tanh(x), torch.sigmoid(x * w)
        return t * s, (x, w, t, s)

    def backward(tape, d_y):
        x, w, t, s = tape
        d_z = d_y * t * s * (1 - s)
        return d_y * s * (1 - t * t) + d_z * w, (d_z * x).sum(0)


# Softmax and its losses.


@case(x=normal(4, 7, scale=2))
class Softmax:
    def reference(x):
        return torch.softmax(x, 1)

    def forward(x):
        e = torch.exp(x - x.amax(1, keepdim=True))
        p = e / e.sum(1, keepdim=True)
        return p, p

    def backward(p, d_y):
        return p * (d_y - (p * d_y).sum(1, keepdim=True))


@case(x=normal(5, 4, scale=2))
class LogSumExp:
    def reference(x):
        return torch.logsumexp(x, 1)

    def forward(x):
        e = torch.exp(x)
        return torch.log(e.sum(1)), e / e.sum(1, keepdim=True)

    def backward(p, d_y):
        return p * d_y[:, None]


def confident(rng):
    """Return logits over 20 steps, of which a third are sure of the class 0."""
    z = rng.normal(size=(20, 3, 5))
    z[::3, :, 0] += 14
    return z


@case(
    axes="T B", z=confident, labels=lambda rng: np.where(np.arange(20)[:, None] % 3, rng.integers(5, size=(20, 3)), 0)
)
class CrossEntropyOverSteps:
    def reference(z, labels):
        return F.cross_entropy(z.movedim(2, 1), labels, reduction="none")

    def forward(z, labels):
        p = torch.softmax(z, 2)
        y = F.one_hot(labels, z.shape[2]).to(z.dtype)
        return torch.logsumexp(z, 2) - (y * z).sum(2), (p, y)

    def backward(tape, d_y):
        p, y = tape
        return d_y[..., None] * (p - y)


@case(z=lambda rng: np.array([[10.0, 0.0, 0.0]]))
class NaiveCrossEntropy:
    """Loses digits: the logarithm of a probability of nearly one."""

    def reference(z):
        return F.cross_entropy(z, torch.zeros(1, dtype=torch.long))

    def forward(z):
        p = torch.exp(z) / torch.exp(z).sum(1, keepdim=True)
        return -torch.log(p[0, 0]), p

    def backward(p, d_y):
        y = torch.zeros_like(p)
        y[0, 0] = 1
        return d_y * (p - y)


@case(x=(4, 6), y=(4, 6))
class Divergence:
    def reference(x, y):
        return F.kl_div(torch.log_softmax(x, 1), torch.softmax(y, 1), reduction="batchmean")

    def forward(x, y):
        p, q = torch.softmax(y, 1), torch.softmax(x, 1)
        ratio = torch.log(p) - torch.log(q)
        return (p * ratio).sum() / len(x), (p, q, ratio)

    def backward(tape, d_y):
        p, q, ratio = tape
        d = p * (ratio - (p * ratio).sum(1, keepdim=True))
        return d_y * (q - p) / len(p), d_y * d / len(p)


@case(x=normal(6, 5, scale=2), target=lambda rng: rng.uniform(size=(6, 5)))
class BinaryCrossEntropy:
    def reference(x, target):
        return F.binary_cross_entropy_with_logits(x, target)

    def forward(x, target):
        loss = x.clamp(min=0) - x * target + torch.log1p(torch.exp(-x.abs()))
        return loss.mean(), (x, target)

    def backward(tape, d_y):
        x, target = tape
        return d_y * (torch.sigmoid(x) - target) / x.numel(), -d_y * x / x.numel()
