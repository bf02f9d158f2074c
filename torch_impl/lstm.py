"""One time step of an LSTM, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/lstm.py`` and ``manual/DERIVATION.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


class LSTMCell:
    """The forward equations of one step; the weights come with each call.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.
    """

    def __init__(self, proj_size: int = 0):
        self.proj_size = proj_size

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (4 * H, D),
            "weight_hh": (4 * H, self.proj_size or H),
            "bias_ih": (4 * H,),
            "bias_hh": (4 * H,),
        }
        return shapes | ({"weight_hr": (self.proj_size, H)} if self.proj_size else {})

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, and its size."""
        return {"h": self.proj_size or H, "c": H}

    def step(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        weights: Mapping[str, Any],
        probe: Callable[[str, Tensor], Tensor],
    ) -> tuple[Tensor, ...]:
        """From x (B, D) and the state before the step, h (B, P) and c (B, H), the state after it."""
        h, c = state
        z = linear(x, weights["weight_ih"], weights["bias_ih"]) + linear(h, weights["weight_hh"], weights["bias_hh"])
        z_i, z_f, z_g, z_o = (probe(f"z_{gate}", block) for gate, block in zip("ifgo", z.chunk(4, dim=1)))  # (L1)
        i = probe("i", torch.sigmoid(z_i))  # (L2) (B, H)
        f = probe("f", torch.sigmoid(z_f))  # (L3)
        g = probe("g", torch.tanh(z_g))  # (L4)
        o = probe("o", torch.sigmoid(z_o))  # (L5)
        c = probe("c", f * c + i * g)  # (L6)
        m = o * torch.tanh(c)  # (L7)
        if self.proj_size:
            m = linear(probe("m", m), weights["weight_hr"])  # (L21) (B, P)
        return probe("h", m), c
