"""Losses on logits, averaged over all elements; logits and targets have one shape, (T, B, O).

Equation numbers are those of ``manual/DERIVATION.md``.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of -y log σ(z) - (1 - y) log σ(-z), a scalar. In this form autograd's gradient never cancels."""
    return -(targets * logsigmoid(logits) + (1 - targets) * logsigmoid(-logits)).mean()  # (E1)


def mean_squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of (σ(z) - y)², a scalar."""
    return (torch.sigmoid(logits) - targets).square().mean()  # (E3)


#: Each loss by its name on the command line.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"bce": binary_cross_entropy, "mse": mean_squared_error}
