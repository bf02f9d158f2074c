"""One time step of a GRU, written out for autograd to differentiate.

The equations, names and numbers are those of ``manual/gru.py`` and ``manual/DERIVATION.md``.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from torch_impl.tensors import Cell, Parts, ProbeAtStep, Weights


class GRUCell(Cell):
    """The forward equations of one step; the weights come with each call.

    Args:
        reset_after: whether the reset gate acts after the matrix product, as in PyTorch, or before it.
    """

    gates = 3

    def __init__(self, reset_after: bool = True):
        self.reset_after = reset_after

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return the state (h,), (B, H), after the step, from x (B, D) and the state before it."""
        (h_prev,) = state
        H = h_prev.shape[1]
        W_ih, b_ih = weights["weight_ih"], weights["bias_ih"]
        W_hh, b_hh = weights["weight_hh"], weights["bias_hh"]
        W_hrz, W_hn = W_hh[: 2 * H], W_hh[2 * H :]
        b_hrz, b_hn = (None, None) if b_hh is None else (b_hh[: 2 * H], b_hh[2 * H :])
        from_x = linear(x, W_ih, b_ih)  # (B, 3H)
        z_r, z_z = (from_x[:, : 2 * H] + linear(h_prev, W_hrz, b_hrz)).chunk(2, dim=1)  # (G1) (B, H)
        r = probe("r", torch.sigmoid(probe("z_r", z_r)))  # (G2)
        z = probe("z", torch.sigmoid(probe("z_z", z_z)))  # (G3)
        if self.reset_after:
            q = probe("q", linear(h_prev, W_hn, b_hn))  # (G4)
            z_n = probe("z_n", from_x[:, 2 * H :] + r * q)  # (G5)
        else:
            q = probe("q", r * h_prev)  # (G19)
            z_n = probe("z_n", from_x[:, 2 * H :] + linear(q, W_hn, b_hn))  # (G20)
        n = probe("n", torch.tanh(z_n))  # (G6)
        return (probe("h", (1 - z) * n + z * h_prev),)  # (G7)
