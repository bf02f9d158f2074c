"""One time step of an Elman RNN, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/rnn.py`` and ``manual/DERIVATION.md``.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

from torch_impl.tensors import Cell, Parts, ProbeAtStep, Weights

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


class RNNCell(Cell):
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

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return the state (h,), (B, H), after the step, from x (B, D) and the state before it."""
        (h_prev,) = state
        W_ih, W_hh = weights["weight_ih"], weights["weight_hh"]
        b_ih, b_hh = weights["bias_ih"], weights["bias_hh"]
        z_h = probe("z_h", linear(x, W_ih, b_ih) + linear(h_prev, W_hh, b_hh))  # (R1) (B, H)
        return (probe("h", self.activation(z_h)),)  # (R2)
