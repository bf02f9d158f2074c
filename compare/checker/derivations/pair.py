"""A forward and a backward function in NumPy as a derivation."""

import copy
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from compare.checker.derivations.open import OPEN, NotDerivedError, Open, is_open
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.probe import listening
from compare.checker.recorder import Recorder, as_float64, equal, unheard
from manual.arrays import Array


class Pair:
    """A forward and a backward function in NumPy.

    ``forward([p,] *inputs)`` returns the outputs followed by whatever backward needs; ``backward([p,] tape,
    *d_outputs)`` returns the gradients of the inputs followed by a dict of the parameters' gradients, if there are
    parameters. A ``p`` before the inputs is an empty dict where there are none. Either may take a ``probe``. A gradient
    that was not derived is None, and a list may replace a tuple. The functions receive copies, and what they return is
    copied immediately.

    Args:
        nested: converts parameters by flat name to the form that the functions take; None if they take none.
        dtype: the precision of the arguments; that of the problem if None.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        nested: Callable[[Arrays], Any] | None,
        name: str = "",
        dtype: str | None = None,
    ):
        self.forward, self.backward, self.nested, self.name = forward, backward, nested, name
        self.dtype = dtype

    def in_precision(self, dtype: str) -> "Pair":
        """Return the same functions on arguments of another precision."""
        return Pair(self.forward, self.backward, self.nested, self.name, dtype)

    def solve(self, problem: Problem, probe: Recorder | None) -> Answer:
        """Run both passes; a ValueError if one returns too few or many values. What the functions raise propagates."""
        original = problem.in_precision(self.dtype) if self.dtype else problem
        problem = copy.deepcopy(original)
        before = original.parameters, original.inputs, original.d_outputs
        given = [("", problem.parameters), ("", problem.inputs), ("d_", problem.d_outputs)]
        first = [self.nested(problem.parameters)] if self.nested else [{}] * _takes_parameters(self.forward, problem)
        silent = probe or unheard
        # Overflow alone is no mistake: exp(-z) may be infinite in a right sigmoid. What comes of it is compared.
        with listening(silent), np.errstate(all="ignore"):
            returned = call("forward", self.forward, [*first, *problem.inputs.values()], silent)
            if isinstance(returned, Open):
                returned = [OPEN] * (len(problem.d_outputs) + 1)
            *outputs, tape = _several("forward", returned)
            named = _named("forward", outputs, list(problem.d_outputs), "and what backward needs")
            answered = {name: _array(value) for name, value in named.items() if not is_open(value)}
            if probe:
                probe.restore()
            returned = call("backward", self.backward, [*first, tape, *problem.d_outputs.values()], silent)
        d_inputs, gradients = self.gradients(returned, problem)
        wanted = {name: d_inputs.get(name) for name in problem.differentiable}
        left_out = [f"d_{name}" for name, d in wanted.items() if d is None]
        left_out += [f"d_{n}" for n, d in d_inputs.items() if d is not None and isinstance(problem.inputs[n], float)]
        left_out += [name for name, d in gradients.items() if d is None]
        changed = [
            prefix + name
            for then, (prefix, now) in zip(before, given)
            for name, array in now.items()
            if isinstance(array, np.ndarray) and not equal(array, then[name])
        ]
        still_open = [name for name in named if name not in answered]
        still_open += [f"d_{name}" for name, d in wanted.items() if is_open(d)]
        still_open += [name for name, d in gradients.items() if is_open(d)]
        return Answer(answered, derived(wanted), derived(gradients), tuple(left_out), tuple(changed), tuple(still_open))

    def gradients(self, returned: Any, problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the gradients of inputs and of parameters by name, None where one was not derived."""
        gradients: Any = {}
        if isinstance(returned, Open):
            returned = [OPEN] * (len(problem.inputs) + bool(self.nested))
        if self.nested:
            if isinstance(returned, Mapping):  # nothing but the parameters' gradients
                returned = (*[None] * len(problem.inputs), returned)
            *d_inputs, gradients = _several("backward", returned)
            if isinstance(gradients, Open):
                gradients = dict.fromkeys(problem.parameters, OPEN)
            if not isinstance(gradients, Mapping):
                raise ValueError(f"backward: expected a dict of gradients at the end, got {type(gradients).__name__}")
        else:
            d_inputs = list(returned) if isinstance(returned, tuple | list) else [returned]
            if d_inputs and isinstance(d_inputs[-1], Mapping) and not d_inputs[-1]:  # of no parameters
                d_inputs.pop()
        names = problem.differentiable if len(d_inputs) == len(problem.differentiable) else list(problem.inputs)
        more = "and the gradients" if self.nested else ""
        return _named("backward", d_inputs, names, more, "d_"), flat(gradients)


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts, joining the names with dots."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def nested_as(form: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that turns flat names back into nested dicts of this form."""

    def build(arrays: Mapping[str, Any], form: Mapping[str, Any] = form, prefix: str = "") -> dict[str, Any]:
        return {
            name: build(arrays, value, f"{prefix}{name}.") if isinstance(value, Mapping) else arrays[prefix + name]
            for name, value in form.items()
        }

    return build


def derived(values: Mapping[str, Any]) -> Arrays:
    """Return copies of what was derived."""
    return {name: _array(value) for name, value in values.items() if value is not None and not is_open(value)}


def _array(value: Any) -> Array:
    """Copy what a pass returned; what is no array becomes one of an object, which the comparison reports."""
    if hasattr(value, "detach"):
        return as_float64(value)
    try:
        return np.array(value)
    except ValueError:  # rows of different lengths
        return np.array(None, dtype=object)


def _several(function: str, returned: object) -> list[Any]:
    if not isinstance(returned, tuple | list):
        raise ValueError(f"{function}: expected several values to be returned, got {type(returned).__name__}")
    return list(returned)


def _named(function: str, values: list[Any], names: list[str], more: str, prefix: str = "") -> dict[str, Any]:
    if len(values) != len(names):
        expected = ", ".join(prefix + name for name in names)
        count = len(values) + bool(more)
        got = f"{count} value{'s' if count > 1 else ''}"
        raise ValueError(f"{function}: expected {expected} {more}".rstrip() + f", got {got}")
    return dict(zip(names, values))


def call(name: str, function: Callable[..., Any], arguments: list[Any], probe: Any) -> Any:
    """Call a user's function, with the probe if it takes one: as ``probe`` or as an extra last argument.

    Raises:
        ValueError: it takes another number of arguments.
    """
    signature = _signature(function)
    keywords = {"probe": probe} if "probe" in signature.parameters else {}
    if not keywords and len(_required(function)) == len(arguments) + 1:
        arguments = [*arguments, probe]
    try:
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        raise ValueError(f"{name}: expected a function of {len(arguments)} arguments; {error}") from None
    with suppress(NotDerivedError):
        return function(*arguments, **keywords)
    return OPEN


def as_functions(cls: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the methods of a class as a pair of functions: an instance, made of the parameters, is the tape."""

    def forward(p: Any, *inputs: Any, probe: Any) -> Any:
        one = cls(p)
        returned = call("forward", one.forward, list(inputs), probe)
        return (*(returned if isinstance(returned, tuple | list) else [returned]), one)

    def backward(p: Any, one: Any, *d_outputs: Any, probe: Any) -> Any:
        return call("backward", one.backward, list(d_outputs), probe)

    return forward, backward


def _takes_parameters(forward: Callable[..., Any], problem: Problem) -> bool:
    """Return whether a forward pass takes something before the inputs, as one with parameters does."""
    names = [name for name in _required(forward) if name != "probe"]
    return names[1:] == list(problem.inputs)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return what a function takes: anything, if it does not say, as a ufunc of an older NumPy."""
    try:
        return inspect.signature(function)
    except ValueError:
        return inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)])


def _required(function: Callable[..., Any]) -> list[str]:
    """Return the names of the positional arguments that have no default."""
    positional = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = _signature(function).parameters.items()
    return [name for name, p in parameters if p.kind in positional and p.default is p.empty]
