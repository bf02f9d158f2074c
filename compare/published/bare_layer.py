"""A recurrent layer without a readout, whose h is the output, as a model of either side."""

from typing import Any

from torch import Tensor, nn

import manual
from manual.arrays import Array, Probe
from manual.recurrent import State


class BareModel(manual.Model):
    """A layer of ``manual`` as a model."""

    def __init__(self, recurrent: manual.recurrent.Recurrent):
        self.recurrent = recurrent

    @property
    def parameters(self) -> dict[str, Array]:
        """The layer's parameters, under the names that they have in a model."""
        return {f"recurrent.{name}": array for name, array in self.recurrent.parameters.items()}

    def forward(
        self, x: Array, state: State | None = None, out: Any = None, **options: Any
    ) -> tuple[Array, State, Any]:
        """Return h (T, B, H) for x (T, B, D), the final state, and the tape."""
        return self.recurrent.forward(x, state, out=out, **options)

    def backward(
        self, tape: Any, d_logits: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """Return d_x, the gradient of the initial state and those of ``parameters`` from the gradient of h."""
        d_x, d_initial, gradients = self.recurrent.backward(tape, d_logits, d_state, probe)
        return d_x, d_initial, {f"recurrent.{name}": gradient for name, gradient in gradients.items()}


class BareModule(nn.Module):
    """The same for autograd."""

    def __init__(self, recurrent: nn.Module):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        """Return h (T, B, H) for x (T, B, D), and the final state."""
        output, state = self.recurrent(x)
        return output, state
