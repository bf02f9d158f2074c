"""The forms of the cells written out for autograd, with those that a file may have and ``torch_impl`` has not."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

import torch_impl
from compare.cells import Form
from torch_impl.gru import GRUCell
from torch_impl.lstm import LSTMCell
from torch_impl.recurrent import Recurrent
from torch_impl.tensors import Parts, ProbeAtStep, Weights


class BareOutputLSTM(LSTMCell):
    """An LSTM whose output is o ∘ c, without the tanh."""

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return h and c after the step, from x (B, D), h and c (B, H)."""
        h, c = state
        z = linear(x, weights["weight_ih"], weights["bias_ih"]) + linear(h, weights["weight_hh"], weights["bias_hh"])
        z_i, z_f, z_g, z_o = (probe(f"z_{gate}", block) for gate, block in zip("ifgo", z.chunk(4, dim=1)))
        i, f = probe("i", torch.sigmoid(z_i)), probe("f", torch.sigmoid(z_f))
        g, o = probe("g", torch.tanh(z_g)), probe("o", torch.sigmoid(z_o))
        c = probe("c", f * c + i * g)
        return probe("h", o * c), c


class RenewingGRU(GRUCell):
    """A GRU whose update gate weights the candidate: h = (1 - z) ∘ h_prev + z ∘ n, as in many texts."""

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return h after the step, from x (B, D) and h (B, H)."""
        (h,) = state
        W_hr, W_hz, W_hn = weights["weight_hh"].chunk(3)
        b_hr, b_hz, b_hn = weights["bias_hh"].chunk(3)
        x_r, x_z, x_n = linear(x, weights["weight_ih"], weights["bias_ih"]).chunk(3, dim=1)
        r = probe("r", torch.sigmoid(probe("z_r", x_r + linear(h, W_hr, b_hr))))
        z = probe("z", torch.sigmoid(probe("z_z", x_z + linear(h, W_hz, b_hz))))
        if self.reset_after:
            q = probe("q", linear(h, W_hn, b_hn))
            z_n = probe("z_n", x_n + r * q)
        else:
            q = probe("q", r * h)
            z_n = probe("z_n", x_n + linear(q, W_hn, b_hn))
        n = probe("n", torch.tanh(z_n))
        return (probe("h", (1 - z) * h + z * n),)


def twin(form: Form, D: int, H: int) -> Recurrent:
    """Make one layer of a form for autograd, in double precision; a ValueError if its options do not go together."""
    options = dict(form.options)
    equations: Any = None
    if not options.pop("output_tanh", True):
        if options:
            raise ValueError(f"OPTIONS: output_tanh: expected True with {' or '.join(options)}, got False")
        equations = BareOutputLSTM()
    if options.pop("update_gate", "keeps") == "renews":
        equations = RenewingGRU(**options)
    if equations:
        return Recurrent(equations, D, H, dtype=torch.float64)
    layer: Recurrent = form.layer(torch_impl, D, H, dtype=torch.float64)
    return layer
