"""One time step of an Elman RNN, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/rnn.py`` and ``manual/DERIVATION.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


class RNNCell:
    """The forward equations of one step; the weights come with each call.

    Args:
        nonlinearity: a name in ``ACTIVATIONS``.

    Raises:
        ValueError: another nonlinearity.
    """

    def __init__(self, nonlinearity: str = "tanh"):
        if nonlinearity not in ACTIVATIONS:
            raise ValueError(f"nonlinearity: expected one of {', '.join(ACTIVATIONS)}, got {nonlinearity!r}")
        self.activation = ACTIVATIONS[nonlinearity]

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (H, D), "weight_hh": (H, H), "bias_ih": (H,), "bias_hh": (H,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, and its size."""
        return {"h": H}

    def step(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        weights: Mapping[str, Any],
        probe: Callable[[str, Tensor], Tensor],
    ) -> tuple[Tensor, ...]:
        """From x (B, D) and the state (h,) before the step, (B, H), the state after it."""
        (h,) = state
        z = linear(x, weights["weight_ih"], weights["bias_ih"]) + linear(h, weights["weight_hh"], weights["bias_hh"])
        return (probe("h", self.activation(probe("z_h", z))),)  # (R1), (R2)
