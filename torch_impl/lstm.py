"""One time step of an LSTM, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/lstm.py`` and ``manual/DERIVATION.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


class LSTMCell:
    """The forward equations of one step; the weights come with each call."""

    gates: tuple[str, ...] = ("i", "f", "g", "o")
    states: tuple[str, ...] = ("h", "c")

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (4 * H, D), "weight_hh": (4 * H, H), "bias_ih": (4 * H,), "bias_hh": (4 * H,)}

    def step(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        weights: Mapping[str, Any],
        probe: Callable[[str, Tensor], Tensor],
    ) -> tuple[Tensor, ...]:
        """From x (B, D) and the state (h, c) before the step, each (B, H), the state after it."""
        h, c = state
        z = linear(x, weights["weight_ih"], weights["bias_ih"]) + linear(h, weights["weight_hh"], weights["bias_hh"])
        z_i, z_f, z_g, z_o = (probe(f"z_{gate}", block) for gate, block in zip(self.gates, z.chunk(4, dim=1)))  # (L1)
        i = probe("i", torch.sigmoid(z_i))  # (L2) (B, H)
        f = probe("f", torch.sigmoid(z_f))  # (L3)
        g = probe("g", torch.tanh(z_g))  # (L4)
        o = probe("o", torch.sigmoid(z_o))  # (L5)
        c = probe("c", f * c + i * g)  # (L6)
        h = probe("h", o * torch.tanh(c))  # (L7)
        return h, c
