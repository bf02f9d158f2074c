"""One time step of an LSTM with peepholes, coupled gates, or both, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/lstm_variants.py`` and ``manual/DERIVATION.md``.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from torch_impl.tensors import Cell, Parts, ProbeAtStep, Weights


class LSTMVariantCell(Cell):
    """The forward equations of one step; the weights come with each call.

    Args:
        peepholes: whether the gates i f o see the cell.
        coupled: whether f = 1 - i.
    """

    def __init__(self, peepholes: bool = False, coupled: bool = False):
        self.peepholes, self.coupled, self.gates = peepholes, coupled, 3 if coupled else 4

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        W_ih, W_hh, *biases = super().parameter_shapes(D, H).items()
        peepholes = {"weight_ch": ((self.gates - 1) * H,)} if self.peepholes else {}
        return dict([W_ih, W_hh]) | peepholes | dict(biases)

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": H, "c": H}

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return the state h (B, H), c (B, H) after the step, from x (B, D) and the state before it."""
        h_prev, c_prev = state
        W_ih, W_hh = weights["weight_ih"], weights["weight_hh"]
        b_ih, b_hh = weights["bias_ih"], weights["bias_hh"]
        z = linear(x, W_ih, b_ih) + linear(h_prev, W_hh, b_hh)  # (L1) (B, G H)
        z_i, *z_f, z_g, z_o = z.chunk(self.gates, dim=1)
        if self.peepholes:
            p_i, *p_f, p_o = weights["weight_ch"].chunk(2 if self.coupled else 3)
            z_i = z_i + p_i * c_prev
            z_f = [z + p * c_prev for z, p in zip(z_f, p_f)]
        i = probe("i", torch.sigmoid(probe("z_i", z_i)))  # (L24) or (L2) (B, H)
        f = probe("f", 1 - i if self.coupled else torch.sigmoid(probe("z_f", z_f[0])))  # (L32) or (L25)
        g = probe("g", torch.tanh(probe("z_g", z_g)))  # (L4)
        c = probe("c", f * c_prev + i * g)  # (L6)
        if self.peepholes:
            z_o = z_o + p_o * c
        o = probe("o", torch.sigmoid(probe("z_o", z_o)))  # (L26) or (L5)
        h = probe("h", o * torch.tanh(c))  # (L7)
        return h, c
