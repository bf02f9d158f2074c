"""Losses for the trainers: on both sides, and with a constant factor.

``manual`` and ``torch_impl`` average over all elements. Others sum over the bits of a sum, or halve: the same loss
times a constant, which to plain gradient descent is another learning rate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

import manual
import torch_impl
from manual.arrays import Array


@dataclass(frozen=True)
class Objective:
    """A loss on outputs and targets (T, B, O): its value and gradient in NumPy, and its value in torch."""

    value: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    torch_value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def times(self, scale: float) -> "Objective":
        """Return the loss multiplied by a constant."""
        return Objective(
            lambda z, y: np.asarray(scale * self.value(z, y)),
            lambda z, y: scale * self.gradient(z, y),
            lambda z, y: scale * self.torch_value(z, y),
        )


def _last_only(z: Array, y: Array) -> Array:
    d_z = np.zeros_like(z)
    d_z[-1] = 1
    return d_z


#: Losses on the layer's h, by name. The losses on logits come from ``manual`` and ``torch_impl``.
_ON_H = {
    "squares": Objective(
        lambda h, y: np.mean((h - y) ** 2),
        lambda h, y: 2 * (h - y) / h.size,
        lambda h, y: (h - y).square().mean(),
    ),
    "last": Objective(lambda h, y: h[-1].sum(), _last_only, lambda h, y: h[-1].sum()),
}


def objective(name: str) -> Objective:
    """Return a loss by name.

    Args:
        name: ``bce`` or ``mse``, on logits; ``squares``, the mean of (h - y)²; or ``last``, the sum of the last h.

    Raises:
        ValueError: the name is unknown.
    """
    if name in _ON_H:
        return _ON_H[name]
    if name not in manual.LOSSES:
        raise ValueError(f"loss: expected one of {', '.join([*manual.LOSSES, *_ON_H])}, got {name!r}")
    return Objective(*manual.LOSSES[name], torch_impl.LOSSES[name])
