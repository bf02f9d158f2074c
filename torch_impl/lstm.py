"""One time step of an LSTM, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/lstm.py`` and ``manual/DERIVATION.md``.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from torch_impl.tensors import Cell, Parts, ProbeAtStep, Weights


class LSTMCell(Cell):
    """The forward equations of one step; the weights come with each call.

    Args:
        proj_size: P, the size that h is projected to; 0 for no projection.
    """

    gates = 4

    def __init__(self, proj_size: int = 0):
        self.proj_size = proj_size

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        P, shapes = self.proj_size, super().parameter_shapes(D, H)
        return shapes | ({"weight_hh": (4 * H, P), "weight_hr": (P, H)} if P else {})

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": self.proj_size or H, "c": H}

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return the state h (B, P), c (B, H) after the step, from x (B, D) and the state before it."""
        h_prev, c_prev = state
        W_ih, W_hh = weights["weight_ih"], weights["weight_hh"]
        b_ih, b_hh = weights["bias_ih"], weights["bias_hh"]
        z = linear(x, W_ih, b_ih) + linear(h_prev, W_hh, b_hh)  # (L1) (B, 4H)
        z_i, z_f, z_g, z_o = z.chunk(4, dim=1)
        i = probe("i", torch.sigmoid(probe("z_i", z_i)))  # (L2) (B, H)
        f = probe("f", torch.sigmoid(probe("z_f", z_f)))  # (L3)
        g = probe("g", torch.tanh(probe("z_g", z_g)))  # (L4)
        o = probe("o", torch.sigmoid(probe("z_o", z_o)))  # (L5)
        c = probe("c", f * c_prev + i * g)  # (L6)
        h = m = o * torch.tanh(c)  # (L7)
        if self.proj_size:
            m = probe("m", m)
            h = linear(m, weights["weight_hr"])  # (L21) (B, P)
        return probe("h", h), c
