"""A ``torch.autograd.Function`` as a derivation."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from compare.checker.compare import expands
from compare.checker.derivations.form import Form, as_complex, in_order, named
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.probe import listening
from compare.checker.recorder import Recorder, as_float64, unheard
from compare.checker.reference import default_dtype, together
from manual.arrays import Array


@dataclass(frozen=True)
class Call:
    """How the function is called."""

    #: lays an input out in memory, given a tensor of its values; None for the layout of the user's own
    inputs: Callable[[torch.Tensor], torch.Tensor] | None = None
    d_outputs: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.contiguous  #: the same for an incoming gradient
    only_output: str = ""  #: the output that alone is used; "" for all
    between: Problem | None = None  #: the arguments of another forward pass before the backward pass
    twice: bool = False  #: whether the backward pass runs twice on one graph; its second result counts


@dataclass(frozen=True, eq=False)
class TorchFunction:
    """A ``torch.autograd.Function``, or a function of tensors that applies one."""

    function: Any
    like: list[Any]  #: the user's inputs: tensors determine dtype, device and layout, anything else is passed unchanged
    form: Form  #: where each of them lies in the arguments
    call: Call = Call()  #: how it is called

    def in_precision(self, dtype: str) -> "TorchFunction":
        """Return the same function on tensors of another precision."""

        def cast(value: Any) -> Any:
            if not is_continuous(value):
                return value
            better = getattr(torch, dtype)
            better = better.to_complex() if value.is_complex() else better
            return value.detach().to(better).requires_grad_(value.requires_grad)

        return replace(self, like=[cast(value) for value in self.like])

    def precisions(self, problem: Problem) -> set[str]:
        """Return the precisions in which it computes anything."""
        with _Precisions() as mode:
            self.solve(problem, None)
        return mode.seen

    @torch.enable_grad()  # the user's file may have disabled it
    def solve(self, problem: Problem, probe: Recorder | None) -> Answer:
        """Run both passes on fresh tensors; a ValueError if an output is no tensor. Other errors propagate."""
        call, (leaves, given) = self.call, self.arguments(problem)
        wanted = {n: v for n, v in leaves.items() if v.requires_grad}
        misshapen: Arrays = {}
        with listening(probe or unheard), default_dtype(self.dtype):
            returned = self._returned(given, problem, misshapen)
            outputs = {name: as_float64(value) for name, value in returned.items()}
            incoming = {
                name: call.d_outputs(tensor_like(problem.d_outputs[name], value))
                for name, value in returned.items()
                if value.requires_grad and call.only_output in ("", name)
            }
            pairs = [(returned[name], d) for name, d in incoming.items()]
            if probe:
                probe.restore()
            if call.between:
                with listening(unheard):
                    self.applied(call.between)
            found = _backward(pairs, wanted, call.twice) | misshapen
        for name, like in zip(problem.inputs, self.like):
            if name in wanted and name not in found and (like.requires_grad or call.only_output):
                found[name] = np.zeros(problem.inputs[name].shape)  # as torch reads None where a gradient is required
        changed = [
            name
            for name, now in given.items()
            if isinstance(now, torch.Tensor)
            and not any(now is value for value in returned.values())  # declared by mark_dirty
            and not _equal(now.detach(), leaves[name].detach())
        ]
        changed += [
            f"d_{name}" for name, d in incoming.items() if not torch.equal(d, _shared(problem.d_outputs[name], d))
        ]
        left_out = [f"d_{name}" for name in problem.differentiable if name not in found]
        return Answer(outputs, found, {}, tuple(left_out), tuple(changed))

    @property
    def dtype(self) -> torch.dtype:
        """The highest precision of its arguments."""
        dtypes = [like.dtype.to_real() for like in self.like if is_continuous(like)]
        return max(dtypes, key=lambda one: one.itemsize)

    def _returned(
        self, given: Mapping[str, Any], problem: Problem, misshapen: Arrays | None = None
    ) -> dict[str, torch.Tensor]:
        """Return what the function returns by name: that of the reference, or by order where neither has names."""
        function, leaves = self.function, list(given.values())
        if isinstance(function, type):
            arguments = {id(leaf): name for name, leaf in given.items()}
            positions = [arguments.get(id(value), "") for value in self.form.arguments(leaves)[0]]
            function = _lenient(function, positions, given, {} if misshapen is None else misshapen)
        with default_dtype(self.dtype):
            returned = in_order([*problem.d_outputs], named(self.form.apply(function, leaves)))
        for name, value in returned.items():
            if not isinstance(value, torch.Tensor):
                raise ValueError(f"function: {name}: expected a tensor, got {type(value).__name__}")
        return returned

    def applied(self, problem: Problem) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Run the forward pass on fresh leaves; return these and what it returned, by name."""
        leaves, given = self.arguments(problem)
        return leaves, self._returned(given, problem)

    def arguments(self, problem: Problem) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return a fresh leaf for each tensor, and all arguments by the names of their leaves.

        The tensors among these are copies, as the call lays them out: a function may write to these, but not to leaves.
        """
        leaves: dict[str, torch.Tensor] = {}
        given: dict[str, Any] = {}
        for (name, value), like in zip(problem.inputs.items(), self.like, strict=True):
            if not isinstance(like, torch.Tensor):
                given[name] = copy.deepcopy(value)
                continue
            leaf = leaves[name] = _shared(value, like).requires_grad_(name in problem.differentiable)
            layout = self.call.inputs or partial(_laid_out_like, like=like)
            laid = layout(leaf.detach())
            overlaps = any(step == 0 and size > 1 for size, step in zip(laid.shape, laid.stride()))
            given[name] = _Laid.apply(leaf, layout) if overlaps else laid.copy_(leaf)  # type: ignore[no-untyped-call]
        return leaves, given


def is_continuous(value: Any) -> bool:
    """Return whether a value is a tensor of real or complex floating-point numbers."""
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


def tensor_like(value: Array, like: torch.Tensor) -> torch.Tensor:
    """Return an array as a new tensor of the dtype and on the device of another; complex numbers from their parts."""
    return _shared(np.array(value), like)


def _shared(value: Array, like: torch.Tensor) -> torch.Tensor:
    """Return an array as a tensor like another, in its own memory where it can be."""
    tensor = torch.as_tensor(value)
    return (as_complex(tensor) if like.is_complex() else tensor).to(dtype=like.dtype, device=like.device)


def _laid_out_like(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the values in the strides and at the offset of another tensor, if they fit."""
    if value.shape != like.shape or (like.is_contiguous() and not like.storage_offset()):
        return value.clone()
    first = value[tuple(slice(0, 1) if step == 0 else slice(None) for step in like.stride())]
    if not torch.equal(first.expand(value.shape), value):  # other values are not the same along an expanded axis
        return value.clone()
    steps = zip(like.shape, like.stride())
    base = value.new_zeros(like.storage_offset() + 1 + sum((size - 1) * step for size, step in steps))
    laid = base.as_strided(first.shape, like.stride(), like.storage_offset())
    return laid.copy_(first).expand(value.shape)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other) or torch.equal(one.nan_to_num(), other.nan_to_num())


class _Laid(torch.autograd.Function):
    """The identity, with another layout of what it returns."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, layout: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        ctx.set_materialize_grads(False)
        return layout(value)

    @staticmethod
    def backward(ctx: Any, d_value: torch.Tensor) -> tuple[torch.Tensor, None]:
        return d_value, None


class _Precisions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, collects the dtypes that operations return."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, torch.Tensor):
                self.seen.add(str(one.dtype.to_real()).removeprefix("torch."))
        return result


def _lenient(function: Any, names: list[str], given: Mapping[str, Any], misshapen: Arrays) -> Callable[..., Any]:
    """Return how to apply a ``Function`` without an error from torch where backward returns a wrong shape.

    ``names`` are those of its arguments, "" where one is no tensor; ``misshapen`` gets the gradients of a wrong shape.
    """
    # The class outlives the call, and the tensors.
    shapes = {name: getattr(value, "shape", ()) for name, value in given.items()}

    def backward(ctx: Any, *d_outputs: Any) -> Any:
        returned = function.backward(ctx, *d_outputs)
        several = isinstance(returned, tuple)
        gradients = list(returned) if several else [returned]
        for k, (gradient, name) in enumerate(zip(gradients, names)):
            # As a gradient of more axes torch accepts one that it can sum to the right shape.
            if name and hasattr(gradient, "shape") and not expands(shapes[name], gradient.shape):
                misshapen[name], gradients[k] = as_float64(gradient), None
        return tuple(gradients) if several else gradients[0]

    return type(function.__name__, (function,), {"backward": staticmethod(backward)}).apply  # type: ignore[attr-defined]


def _backward(pairs: list[tuple[Any, Any]], leaves: Mapping[str, Any], twice: bool) -> Arrays:
    """Return the gradients of the leaves that have one, given (output, incoming gradient) pairs."""
    if not pairs or not leaves:
        return {}
    total = together(*zip(*pairs))
    if twice:
        with listening(unheard):
            torch.autograd.grad(total, list(leaves.values()), allow_unused=True, retain_graph=True)
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {name: as_float64(d) for name, d in zip(leaves, found) if d is not None}
