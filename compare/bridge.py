"""A hand-derived layer as a module of a torch model, whose forward and backward pass autograd calls."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from manual.arrays import as_state, state_parts
from manual.recurrent import Recurrent

#: The warning about a device.
COPIED = "HandDerived: a layer of manual computes on the CPU; tensors are copied from {device} and back at every call"


class HandDerived(nn.Module):
    """A module whose forward and backward pass are those of a layer of ``manual``.

    Its parameters have the names and initial values of the layer's, and any torch optimiser can train them. It runs in
    the layer's dtype and is differentiable once. It computes on the CPU: tensors on another device are copied there,
    results and gradients back, and the first such call warns of it.

    Args:
        layer: a ``manual.LSTM``, ``GRU`` or ``RNN``. Each call overwrites its parameters with the module's.
    """

    def __init__(self, layer: Recurrent):
        super().__init__()
        self.layer, self.has_warned = layer, False
        for name, array in layer.parameters.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(array)))

    def forward(
        self,
        input: Tensor,
        hx: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Sequence[int] | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Run the layer on tensors.

        Args:
            input: x, (T, B, D) or as the layer's options say.
            hx: the initial state, one tensor or (h_0, c_0), (layers * directions, B, H) each; zeros if None.
            lengths: the length of each sequence, if they differ.
            masks: the layer's dropout masks.

        Returns:
            The output (T, B, H) and the final state, shaped as ``hx``.

        Raises:
            TypeError, ValueError: as the layer's ``forward``.
        """
        state = () if hx is None else state_parts(hx)
        options = {
            "lengths": lengths,
            "training": self.training,
            "masks": None if masks is None else masks.detach().cpu().numpy(),
        }
        if input.device.type != "cpu" and not self.has_warned:
            warnings.warn(COPIED.format(device=input.device), stacklevel=2)
            self.has_warned = True
        tensors = (input, *state, *self.parameters())
        output, *last = _Apply.apply(self.layer, options, len(state), *tensors)  # type: ignore[no-untyped-call]
        return output, as_state(last)


class _Apply(Function):
    """One call of the layer. Its tape is saved for autograd's backward pass."""

    @staticmethod
    def forward(ctx: Any, layer: Recurrent, options: dict[str, Any], states: int, *tensors: Tensor) -> Any:
        x, *rest = (tensor.detach().cpu().numpy() for tensor in tensors)
        for array, value in zip(layer.parameters.values(), rest[states:]):
            array[...] = value
        output, last, tape = layer.forward(x, as_state(rest[:states]) if states else None, **options)
        ctx.layer, ctx.tape, ctx.states = layer, tape, states
        ctx.devices = [tensor.device for tensor in tensors]
        return tuple(torch.tensor(array, device=ctx.devices[0]) for array in (output, *state_parts(last)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor, *d_last: Tensor) -> Any:
        d_state = as_state(d.cpu().numpy() for d in d_last)
        d_x, d_initial, gradients = ctx.layer.backward(ctx.tape, d_output.cpu().numpy(), d_state)
        arrays = [d_x, *state_parts(d_initial)[: ctx.states], *gradients.values()]
        return (
            None,
            None,
            None,
            *(torch.tensor(a, device=device) for a, device in zip(arrays, ctx.devices, strict=True)),
        )
