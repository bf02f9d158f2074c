"""Losses as the trainers take them: on both sides, and times a constant.

``manual`` and ``torch_impl`` average over all elements. Others sum over the bits of a problem, or halve: that is the
same loss times a constant, which plain gradient descent feels as another learning rate.
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
        """The loss times a constant."""
        return Objective(
            lambda z, y: np.asarray(scale * self.value(z, y)),
            lambda z, y: scale * self.gradient(z, y),
            lambda z, y: scale * self.torch_value(z, y),
        )


def _last_only(z: Array, y: Array) -> Array:
    d_z = np.zeros_like(z)
    d_z[-1] = 1
    return d_z


#: Losses on the layer's h itself, by name, beside those that both sides have on logits.
_ON_H = {
    "squares": Objective(
        lambda h, y: np.mean((h - y) ** 2),
        lambda h, y: 2 * (h - y) / h.size,
        lambda h, y: (h - y).square().mean(),
    ),
    "last": Objective(lambda h, y: h[-1].sum(), _last_only, lambda h, y: h[-1].sum()),
}


def objective(name: str) -> Objective:
    """A loss by name: one of those on logits, ``bce`` and ``mse``, or one on h itself.

    ``squares`` is the mean of (h - y)², ``last`` the sum of the last step's h.

    Raises:
        ValueError: there is no such loss.
    """
    if name in _ON_H:
        return _ON_H[name]
    if name not in manual.LOSSES:
        raise ValueError(f"loss: expected one of {', '.join([*manual.LOSSES, *_ON_H])}, got {name!r}")
    return Objective(*manual.LOSSES[name], torch_impl.LOSSES[name])
