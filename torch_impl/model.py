"""Recurrent layers and a readout: one logit per time step, or of the final state alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from torch_impl.recurrent import State
from torch_impl.rnn import ACTIVATIONS
from torch_impl.tensors import state_parts

#: What a readout may end in.
READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda z: z,
    "softmax": partial(torch.softmax, dim=-1),
    **ACTIVATIONS,
}


class Model(nn.Module):
    """``activation(readout(recurrent(x)))``.

    Args:
        recurrent: the recurrent layers, this package's or ``torch.nn``'s own. If they are ``batch_first``, so is the
            model.
        readout: turns their output into logits.
        activation: what the logits go through: linear (nothing), sigmoid, tanh, relu, or softmax over the O logits.
        final: whether the readout reads only the last layer's final h, both directions joined, and not each output. The
            logits are (B, O) then.

    Raises:
        ValueError: another activation.
    """

    def __init__(self, recurrent: nn.Module, readout: nn.Linear, activation: str = "linear", final: bool = False):
        super().__init__()
        if activation not in READOUTS:
            raise ValueError(f"activation: expected one of {', '.join(READOUTS)}, got {activation!r}")
        self.recurrent, self.readout, self.activation, self.final = recurrent, readout, activation, final

    def forward(self, x: Tensor, state: State | None = None, **options: Any) -> tuple[Tensor, State]:
        """Return logits (T, B, O) and the final state, from x (T, B, D); ``options`` are the recurrent layers'.

        With ``batch_first`` layers B comes before T; with ``final`` the logits are (B, O).
        """
        output, state = self.recurrent(x, state, **options)
        if self.final:
            h_n = state_parts(state)[0]  # (layers * directions, B, H)
            output = torch.cat(list(h_n[-2 if self.recurrent.bidirectional else -1 :]), dim=-1)
        return READOUTS[self.activation](self.readout(output)), state
