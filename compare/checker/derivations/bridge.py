"""A function that is not in torch as one of tensors, which autograd differentiates by asking for its gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from compare.checker.derivations.problem import Arrays
from manual.arrays import Array

#: The gradients of the arguments, in order, given one for each output.
PullBack = Callable[[Arrays], list[Array]]

#: Runs a function on arrays: its outputs by name, and how their gradients are pulled back.
Run = Callable[[list[Array]], tuple[Arrays, PullBack]]


def bridged(run: Run, tensors: list[Tensor]) -> dict[str, Tensor]:
    """Run a function on tensors of real numbers, as a node in autograd's graph; its arrays are never below float32."""
    names: list[str] = []
    outputs = _Bridge.apply(run, names, *tensors)  # type: ignore[no-untyped-call]
    return dict(zip(names, outputs))


class _Bridge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, names: list[str], *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs, ctx.pull_back = run([_array(tensor) for tensor in tensors])
        names += outputs
        ctx.names, ctx.like = names, tensors
        dtype = tensors[0].dtype if tensors else torch.get_default_dtype()
        made = [torch.tensor(a).to(dtype) if a.dtype.kind == "f" else torch.tensor(a) for a in outputs.values()]
        ctx.mark_non_differentiable(*(tensor for tensor in made if not tensor.is_floating_point()))
        return tuple(made)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Any, ...]:
        pulled = ctx.pull_back({name: _array(d) for name, d in zip(ctx.names, d_outputs)})
        return None, None, *(torch.tensor(d).to(like) for d, like in zip(pulled, ctx.like))


def _array(tensor: Tensor) -> Array:
    return (tensor.float() if tensor.dtype.itemsize < 4 else tensor).detach().cpu().numpy().copy()
