"""One time step of a GRU, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/gru.py`` and ``manual/DERIVATION.md``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


class GRUCell:
    """The forward equations of one step; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""
        return {"weight_ih": (3 * H, D), "weight_hh": (3 * H, H), "bias_ih": (3 * H,), "bias_hh": (3 * H,)}

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
        H = h.shape[1]
        W_hh, b_hh = weights["weight_hh"], weights["bias_hh"]
        b_rz, b_n = (None, None) if b_hh is None else (b_hh[: 2 * H], b_hh[2 * H :])
        from_x = linear(x, weights["weight_ih"], weights["bias_ih"])
        z_r, z_z = (from_x[:, : 2 * H] + linear(h, W_hh[: 2 * H], b_rz)).chunk(2, dim=1)  # (G1) (B, H)
        r = probe("r", torch.sigmoid(probe("z_r", z_r)))  # (G2)
        z = probe("z", torch.sigmoid(probe("z_z", z_z)))  # (G3)
        if self.reset_after:
            q = probe("q", linear(h, W_hh[2 * H :], b_n))  # (G4)
            z_n = probe("z_n", from_x[:, 2 * H :] + r * q)  # (G5)
        else:
            q = probe("q", r * h)  # (G19)
            z_n = probe("z_n", from_x[:, 2 * H :] + linear(q, W_hh[2 * H :], b_n))  # (G20)
        n = probe("n", torch.tanh(z_n))  # (G6)
        return (probe("h", (1 - z) * n + z * h),)  # (G7)
