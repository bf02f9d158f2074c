"""The reference: a torch function, run on a problem and differentiated by autograd, with its intermediates recorded."""

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compare.checker.derivations.exercised import Sides, sides_in
from compare.checker.derivations.form import named
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.derivations.transforms import nodes
from compare.checker.probe import listening
from compare.checker.recorder import Record, as_float64, unheard
from compare.checker.tensor_recorder import TensorRecorder
from manual.arrays import Array, as_state, state_parts

#: The step of differences, and the largest relative error of a slope that they give of a smooth function.
STEP, SMOOTH = 1e-6, 1e-3


@dataclass(frozen=True)
class Reference:
    """The correct values: each named intermediate with its adjoint, the answer, and which sides branches take."""

    record: Record
    answer: Answer
    sides: Sides = field(default_factory=dict)


class Autograd:
    """A torch function with its problem; it can be run repeatedly.

    Args:
        function: called with the parameters by name, a list of the inputs and a recorder; returns the outputs in order.
        problem: the arguments.
    """

    def __init__(self, function: Callable[..., Any], problem: Problem):
        self.function, self.problem = function, problem
        self._known: dict[torch.dtype, Reference] = {}
        self._started: Any = None  # the forward pass with which the first run begins

    @torch.enable_grad()  # the user's file may have disabled it
    def run(
        self,
        recorder: TensorRecorder | None = None,
        dtype: torch.dtype = torch.float64,
        perturb: Callable[[Array], Array] | None = None,
    ) -> Reference:
        """Run the function and differentiate it, once for each dtype unless there is a probe or a perturbation.

        Args:
            recorder: the probe.
            dtype: the dtype of all floating-point tensors.
            perturb: applied to each floating-point argument.

        Raises:
            ValueError: the number of outputs is not that of the problem, or none of them depends on the arguments.
        """
        plain = recorder is None and perturb is None
        if plain and dtype in self._known:
            return self._known[dtype]
        perturb = perturb or _unchanged
        if plain and dtype == torch.float64 and self._started:
            (recorder, forward), self._started = self._started, None
        else:
            recorder = recorder or TensorRecorder()
            forward = self._forward(recorder, dtype, perturb)
        parameters, inputs, returned = forward
        names = list(self.problem.d_outputs)
        if len(returned) != len(names):
            raise ValueError(f"reference: expected {len(names)} outputs ({', '.join(names)}), got {len(returned)}")
        outputs = dict(zip(names, returned.values()))
        pairs = [
            (tensor, torch.tensor(perturb(as_float64(self.problem.d_outputs[name], copy=False))).to(tensor))
            for name, tensor in outputs.items()
            if tensor.requires_grad
        ]
        if not pairs and self.problem.differentiable:
            raise ValueError(f"reference: expected {', '.join(names)} to depend on an argument, got a constant")
        sides = sides_in(nodes(returned.values())) if plain else {}
        if pairs:
            tensors, incoming = zip(*pairs)
            together(tensors, incoming).backward()  # type: ignore[no-untyped-call]
        answer = Answer(
            {name: as_float64(tensor, copy=not tensor.requires_grad) for name, tensor in outputs.items()},
            {name: _grad(inputs[name]) for name in self.problem.differentiable},
            {name: _grad(leaf) for name, leaf in parameters.items()},
        )
        found = Reference(recorder.record(), answer, sides)
        if plain:
            self._known[dtype] = found
        return found

    def started(self, names: tuple[str, ...] | None, draw: Callable[[Arrays], Arrays]) -> "Autograd":
        """Return the same with incoming gradients drawn for the outputs; its first run goes on from these.

        Args:
            names: as for ``outputs``.
            draw: returns the incoming gradients, given the outputs.

        Raises:
            ValueError: as ``outputs``.
        """
        recorder = TensorRecorder()
        forward = self._forward(recorder, torch.float64, _unchanged)
        started = Autograd(self.function, replace(self.problem, d_outputs=draw(self._named(names, forward[-1]))))
        started._started = recorder, forward
        return started

    def outputs(self, names: tuple[str, ...] | None) -> Arrays:
        """Return the outputs, under these names or numbered.

        Raises:
            ValueError: the number of outputs is not that of the names, or one is no tensor of real numbers.
        """
        return self._named(names, self._forward(unheard, torch.float64, _unchanged)[-1])

    @staticmethod
    def _named(names: tuple[str, ...] | None, returned: Mapping[str, Any]) -> Arrays:
        names = tuple(returned) if names is None else names
        if len(names) != len(returned):
            count = f"{len(returned)} name{'s' if len(returned) > 1 else ''}"
            raise ValueError(f"outputs: expected {count}, got {names!r}")
        for name, tensor in zip(names, returned.values()):
            if not isinstance(tensor, Tensor) or tensor.is_complex():
                kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                raise ValueError(f"reference: {name}: expected a tensor of real numbers, got {kind}")
        return {n: as_float64(v, copy=not v.requires_grad) for n, v in zip(names, returned.values())}

    def gradient_is_derivative(self, answer: Answer) -> bool:
        """Return whether the gradient is the slope of the output in a random direction, as far as differences tell.

        It is not where a function defines its own, as a straight-through estimator does, and ``ctc_loss``.

        Args:
            answer: what the function returns, with its gradient.
        """
        problem, rng = self.problem, np.random.default_rng(0)
        differentiable = {name: problem.inputs[name] for name in problem.differentiable}

        def ways(arrays: Arrays) -> Arrays:
            return {n: rng.normal(size=a.shape) * max(1.0, np.abs(a).max(initial=0)) for n, a in arrays.items()}

        parameter_ways, input_ways = ways(problem.parameters), ways(differentiable)

        def summed(outputs: Arrays) -> float:
            return sum(float((outputs[name] * d).sum()) for name, d in problem.d_outputs.items())

        def moved(step: float) -> float:
            def at(arrays: Mapping[str, Any], ways: Arrays) -> dict[str, Any]:
                return {n: np.asarray(a + step * ways[n]) if n in ways else a for n, a in arrays.items()}

            parameters, inputs = at(problem.parameters, parameter_ways), at(problem.inputs, input_ways)
            other = Autograd(self.function, replace(problem, parameters=parameters, inputs=inputs))
            return summed(other.outputs(tuple(problem.d_outputs)))

        low, middle, high = moved(-STEP), summed(answer.outputs), moved(STEP)
        before, after, slope = (middle - low) / STEP, (high - middle) / STEP, (high - low) / STEP / 2
        terms = [answer.gradients[n] * way for n, way in parameter_ways.items()]
        terms += [answer.d_inputs[n] * way for n, way in input_ways.items()]
        size = float(np.sqrt(sum((term**2).sum() for term in terms))) + abs(slope)
        if not np.isfinite(size) or abs(before - after) > SMOOTH * size:  # a kink
            return True
        return abs(slope - sum(float(term.sum()) for term in terms)) <= SMOOTH * size

    def other_leaves(self) -> list[Tensor]:
        """Return the tensors that the outputs depend on and that are no argument, such as those of a closure."""
        parameters, inputs, returned = self._forward(unheard, torch.float64, _unchanged)
        own = {id(value) for value in (*parameters.values(), *inputs.values())}
        return [leaf for leaf in leaves(returned.values()) if id(leaf) not in own]

    @torch.enable_grad()
    def _forward(
        self, recorder: Any, dtype: torch.dtype, perturb: Callable[[Array], Array]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the parameters and inputs as leaves, and the outputs by name."""

        def leaf(array: Any, differentiable: bool) -> Any:
            if not isinstance(array, np.ndarray):
                return array
            array = np.asarray(array, order="C")  # torch knows no negative strides
            if array.dtype.kind != "f":
                return torch.tensor(array)
            return torch.as_tensor(perturb(as_float64(array, copy=False))).to(dtype).requires_grad_(differentiable)

        parameters = {name: leaf(array, True) for name, array in self.problem.parameters.items()}
        differentiable = self.problem.differentiable
        inputs = {name: leaf(array, name in differentiable) for name, array in self.problem.inputs.items()}
        # Copies, because a function may write to its arguments, which it may not to leaves.
        given = [v.clone() if isinstance(v, Tensor) else v for v in inputs.values()]
        with listening(recorder), default_dtype(dtype):
            returned = self.function(parameters, given, recorder)
        return parameters, inputs, named(returned)


def together(outputs: Sequence[Tensor], d_outputs: Sequence[Tensor]) -> Tensor:
    """Return a number whose backward pass hands these gradients to the outputs, as they lie in memory.

    Given to ``torch.autograd`` itself, they make it import SymPy.
    """
    total: Tensor = _Together.apply(d_outputs, *outputs)  # type: ignore[no-untyped-call]
    return total


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d_outputs: Sequence[Tensor], *outputs: Tensor) -> Tensor:
        ctx.d_outputs = d_outputs
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.d_outputs


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let torch make new tensors in a dtype: both sides run under the same."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def leaves(outputs: Iterable[Any]) -> list[Tensor]:
    """Return all leaves that require a gradient in the graph of some outputs."""
    return [node.variable for node in nodes(outputs) if hasattr(node, "variable")]


def _unchanged(array: Array) -> Array:
    return array


def _grad(leaf: Tensor) -> Array:
    return np.zeros(tuple(leaf.shape)) if leaf.grad is None else as_float64(leaf.grad, copy=False)


def of_module(module: nn.Module, call: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Wrap a module as a function for ``Autograd``. It uses the problem's parameters; the module is not changed.

    Args:
        module: the reference.
        call: called with the module as a function, the inputs and a probe; ``module(*inputs)`` by default.
    """

    def function(parameters: Mapping[str, Tensor], inputs: list[Any], recorder: TensorRecorder) -> Any:
        own = copy.deepcopy(module).to(torch.get_default_dtype())

        def run(*arguments: Any, **options: Any) -> Any:
            return torch.func.functional_call(own, dict(parameters), arguments, options)

        return call(run, inputs, recorder) if call else run(*inputs, **probe_option(module.forward, recorder))

    return function


def call_recurrent(lengths: list[int] | None = None) -> Callable[..., Any]:
    """Return how ``of_module`` calls a recurrent layer of ``torch_impl``: x and state to output and final state."""

    def call(run: Callable[..., Any], inputs: list[Any], recorder: TensorRecorder) -> tuple[Tensor, ...]:
        x, *state = inputs
        output, last = run(x, as_state(state), lengths=lengths, probe=recorder)
        return output, *state_parts(last)

    return call


def of_function(function: Callable[..., Any], nested: Callable[[Mapping[str, Any]], Any] | None) -> Callable[..., Any]:
    """Wrap a torch function of the inputs, or of parameters and inputs, as a function for ``Autograd``.

    Args:
        function: the reference.
        nested: converts parameters by flat name to the form that the function takes; None if it takes none.
    """

    def call(parameters: Mapping[str, Tensor], inputs: list[Any], recorder: TensorRecorder) -> Any:
        first = [nested(parameters)] if nested else []
        return function(*first, *inputs, **probe_option(function, recorder))

    return call


def probe_option(function: Callable[..., Any], recorder: Any) -> dict[str, Any]:
    """Return the recorder as the argument ``probe``, if the function has one."""
    try:
        has_probe = "probe" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built in
        has_probe = False
    return {"probe": recorder} if has_probe else {}


def check_finite(right: Reference) -> None:
    """Check that the reference is finite. An intermediate may be infinite, such as a masked score.

    Raises:
        ValueError: it is not.
    """
    tensors = {name: (array, np.isfinite) for name, array in right.answer.tensors().items()}
    shown = {
        name if t is None else f"{name} at step {t}": (array, lambda a: np.logical_not(np.isnan(a)))
        for (name, t), array in right.record.items()
    }
    for name, (array, good) in (shown | tensors).items():
        if array.dtype.kind == "f" and array.size and not good([array.max(), array.min()]).all():
            raise ValueError(f"reference: {name}: expected finite numbers, got {array[~good(array)].flat[0]}")
