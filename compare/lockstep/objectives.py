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


def objective(name: str) -> Objective:
    """Return a loss on logits by name, ``bce`` or ``mse``; a ValueError if it is another."""
    if name not in manual.LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(manual.LOSSES)}, got {name!r}")
    return Objective(*manual.LOSSES[name], torch_impl.LOSSES[name])
