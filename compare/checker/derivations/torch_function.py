"""A ``torch.autograd.Function`` as a derivation."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from compare.checker.compare import expands
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.probe import listening
from compare.checker.recorder import Recorder, as_float64, unheard
from manual.arrays import state_parts


class TorchFunction:
    """A ``torch.autograd.Function``, or a function of tensors that applies one.

    Args:
        function: the class or the function.
        like: the user's inputs: tensors determine dtype and device, anything else is passed unchanged.
    """

    def __init__(self, function: Any, like: list[Any]):
        self.function, self.like = function, like

    def in_precision(self, dtype: str) -> "TorchFunction":
        """Return the same function on tensors of another precision."""

        def cast(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or not value.is_floating_point():
                return value
            return value.detach().to(getattr(torch, dtype)).requires_grad_(value.requires_grad)

        return TorchFunction(self.function, [cast(value) for value in self.like])

    def precisions(self, problem: Problem) -> set[str]:
        """Return the precisions in which it computes anything."""
        with _Precisions() as mode:
            self.solve(problem, None)
        return mode.seen

    def solve(self, problem: Problem, probe: Recorder | None) -> Answer:
        """Run both passes on fresh tensors.

        Raises:
            ValueError: the function does not return a tensor for each output. Its exceptions propagate.
        """

        def tensor(value: Any, like: Any) -> Any:
            if not isinstance(like, torch.Tensor):
                return copy.deepcopy(value)
            made = torch.tensor(value).to(dtype=like.dtype, device=like.device)
            return made.requires_grad_() if name in problem.differentiable else made

        inputs = {}
        for (name, value), like in zip(problem.inputs.items(), self.like, strict=True):
            inputs[name] = tensor(value, like)
        # Copies, because a function may write to its arguments, which it may not to leaves.
        given = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in inputs.items()}
        leaves = {name: inputs[name] for name in problem.differentiable}
        misshapen: Arrays = {}
        function = _lenient(self.function, given, misshapen) if isinstance(self.function, type) else self.function
        with listening(probe or unheard), torch.enable_grad():
            returned = state_parts(function(*given.values()))
            names = list(problem.d_outputs)
            if len(returned) != len(names) or not all(isinstance(value, torch.Tensor) for value in returned):
                got = ", ".join(type(value).__name__ for value in returned)
                raise ValueError(f"function: expected a tensor for each of {', '.join(names)}, got {got}")
            outputs = {name: as_float64(value) for name, value in zip(names, returned)}
            pairs = [
                (value, torch.tensor(problem.d_outputs[name]).to(value))
                for name, value in zip(names, returned)
                if value.requires_grad
            ]
            if probe:
                probe.restore()
            found = _backward(pairs, leaves) | misshapen
        for name, like in zip(problem.inputs, self.like):
            if name in leaves and name not in found and like.requires_grad:
                found[name] = np.zeros(tuple(like.shape))  # as torch reads None where a gradient is required
        changed = [
            name
            for name, now in given.items()
            if isinstance(now, torch.Tensor)
            and not any(now is value for value in returned)  # declared by mark_dirty
            and not torch.equal(now.detach().nan_to_num(), inputs[name].detach().nan_to_num())
        ]
        left_out = [f"d_{name}" for name in leaves if name not in found]
        return Answer(outputs, found, {}, tuple(left_out), tuple(changed))


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
                self.seen.add(str(one.dtype).removeprefix("torch."))
        return result


def _lenient(function: Any, given: Mapping[str, Any], misshapen: Arrays) -> Callable[..., Any]:
    """Return how to apply a ``Function`` without an error from torch where backward returns a wrong shape.

    Args:
        function: the class.
        given: its arguments by name.
        misshapen: filled with the gradients of a wrong shape, by the name of the argument.
    """

    def backward(ctx: Any, *d_outputs: Any) -> Any:
        returned = function.backward(ctx, *d_outputs)
        several = isinstance(returned, tuple)
        gradients = list(returned) if several else [returned]
        for k, (gradient, (name, value)) in enumerate(zip(gradients, given.items())):
            # As a gradient of more axes torch accepts one that it can sum to the right shape.
            if hasattr(gradient, "shape") and not expands(value.shape, gradient.shape):
                misshapen[name], gradients[k] = as_float64(gradient), None
        return tuple(gradients) if several else gradients[0]

    return type(function.__name__, (function,), {"backward": staticmethod(backward)}).apply  # type: ignore[attr-defined]


def _backward(pairs: list[tuple[Any, Any]], leaves: Mapping[str, Any]) -> Arrays:
    """Return the gradients of the leaves that have one, given (output, incoming gradient) pairs."""
    if not pairs:
        return {}
    outputs, d_outputs = zip(*pairs)
    found = torch.autograd.grad(outputs, list(leaves.values()), d_outputs, allow_unused=True)
    return {name: as_float64(d) for name, d in zip(leaves, found) if d is not None}
