"""Recurrent layers and a linear readout: one logit per time step."""

from typing import Any

from torch import Tensor, nn

from torch_impl.recurrent import State


class Model(nn.Module):
    """``readout(recurrent(x))``.

    Args:
        recurrent: the recurrent layers, this package's or ``torch.nn``'s own.
        readout: turns their output into logits.
    """

    def __init__(self, recurrent: nn.Module, readout: nn.Linear):
        super().__init__()
        self.recurrent, self.readout = recurrent, readout

    def forward(self, x: Tensor, state: State | None = None, **options: Any) -> tuple[Tensor, State]:
        """Return logits (T, B, O) and the final state, from x (T, B, D); ``options`` are the recurrent layers'."""
        output, state = self.recurrent(x, state, **options)
        return self.readout(output), state
