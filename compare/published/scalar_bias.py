"""One number as the bias of a gate, as a write-up declares it: the model of either side, and its gradient.

A gate's one number is the bias of each of its H units: b = (β_i, …, β_i, β_f, …). By the chain rule its gradient is the
sum of theirs. The parameter ``recurrent.bias_l0`` (gates,) takes the place of ``bias_ih_l0`` and ``bias_hh_l0``.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

import manual
from compare.published.networks import Gradients
from manual.arrays import Array, Probe
from manual.model import ModelTape
from manual.recurrent import State

GATES = 4  # of an LSTM


def summed_over_units(gradients: Gradients) -> Gradients:
    """Return LSTM gradients as in ``networks.py``, each entry of the bias (…, 4H) replaced by the sum of its gate."""
    by_unit = gradients["bias"].reshape(*gradients["bias"].shape[:-1], GATES, -1)
    by_gate = by_unit.sum(axis=-1, keepdims=True)  # (W6) (…, 4, 1)
    return gradients | {"bias": np.broadcast_to(by_gate, by_unit.shape).reshape(gradients["bias"].shape)}


class ScalarBiasModel(manual.Model):
    """An LSTM whose gates have one number as their bias, and a readout; the layer's own biases are overwritten."""

    def __init__(self, recurrent: manual.recurrent.Recurrent, readout: manual.Linear):
        super().__init__(recurrent, readout)
        H = recurrent.parameters["weight_hh_l0"].shape[1]
        self.bias = recurrent.parameters["bias_ih_l0"][::H].copy()  # (4,)

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays of both parts, with the four numbers in place of the biases."""
        others = {name: array for name, array in super().parameters.items() if not name.startswith("recurrent.bias")}
        return others | {"recurrent.bias_l0": self.bias}

    def forward(
        self, x: Array, state: State | None = None, out: Any = None, **options: Any
    ) -> tuple[Array, State, ModelTape]:
        """Return the logits (T, B, 1) for x (T, B, D), the final state, and the tape."""
        b_ih = self.recurrent.parameters["bias_ih_l0"]
        b_ih[...] = np.repeat(self.bias, len(b_ih) // GATES)  # (W5)
        return super().forward(x, state, out, **options)

    def backward(
        self, tape: Any, d_logits: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Return d_x, the gradient of the initial state and those of ``parameters`` from d_logits (T, B, 1)."""
        d_x, d_initial, gradients = super().backward(tape, d_logits, d_state, probe)
        d_bias = gradients["recurrent.bias_ih_l0"].reshape(GATES, -1).sum(axis=1)  # (W6) (4,)
        return d_x, d_initial, {n: gradients.get(n, d_bias) for n in self.parameters}


class ScalarBiasModule(nn.Module):
    """The same for autograd; the biases of the layer, of ``torch_impl``, are ignored."""

    def __init__(self, layer: nn.Module, readout: nn.Linear):
        super().__init__()
        self.layers = [layer]  # in a list, so that its biases are not parameters of this module
        self.recurrent, self.readout = nn.Module(), readout
        for name, parameter in layer.named_parameters():
            if name.startswith("weight"):
                self.recurrent.register_parameter(name, parameter)
        self.recurrent.register_parameter("bias_l0", nn.Parameter(torch.zeros(GATES, dtype=torch.float64)))

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        """Return the logits (T, B, 1) for x (T, B, D), and the final state."""
        bias: Tensor = self.recurrent.get_parameter("bias_l0")
        H = self.recurrent.get_parameter("weight_hh_l0").shape[1]
        b_ih = bias.repeat_interleave(H)  # (W5)
        output, state = functional_call(
            self.layers[0], {"bias_ih_l0": b_ih, "bias_hh_l0": torch.zeros_like(b_ih)}, (x,)
        )
        return self.readout(output), state
