"""Check any derivation against a torch function or module that the user supplies."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from compare.diagnosis import arguments
from compare.diagnosis.derivations import Arrays, Derivation, Pair, Problem, TorchFunction, flat, nested_as
from compare.diagnosis.diagnose import K, Subject, diagnose
from compare.diagnosis.general_hints import general_hint
from compare.diagnosis.probes import as_float64
from compare.diagnosis.references import Autograd, of_function, of_module
from compare.diagnosis.report import Report
from compare.diagnosis.standards import Trial

#: The scale of the random inputs on the trial that detects clipping and overflow.
LARGE = 10.0


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    reference: Any,
    inputs: Any,
    *,
    parameters: Any = None,
    outputs: tuple[str, ...] | None = None,
    axes: str = "",
    dtype: str | None = None,
    tolerance: float | None = None,
    k: float = K,
    seed: int = 0,
    name: str = "",
) -> Report:
    """Check a forward and a backward pass in NumPy against autograd.

    ``forward([p,] *inputs)`` returns its outputs followed by whatever backward needs. ``backward([p,] tape,
    *d_outputs)`` returns the gradients of the inputs, in order, followed by a dict of the parameters' gradients, if
    there are parameters. None stands for a gradient that was not derived. The passes and the reference may all call
    ``probe``.

    Args:
        forward: the forward pass.
        backward: the backward pass.
        reference: a torch function of the same arguments that returns the same outputs, or a module or its class.
        inputs: a dict by name, in order. Each value is an array, a shape to fill with normally distributed numbers, a
            function of a ``numpy.random.Generator``, or anything else, which is passed unchanged. A function of a
            generator may also return the whole dict. A list of dicts gives several sizes.
        parameters: the first argument of both passes, a dict with the same kinds of values, possibly nested. The
            parameters of a module are drawn at random by default.
        outputs: the names of the outputs.
        axes: the leading axes of the inputs, ``"T B"``, ``"T"`` or ``"B"``, if they are time steps and batch rows.
        dtype: the precision of the passes; read from what they return by default.
        tolerance: the largest relative error that passes in double precision, 1e-12 by default.
        k: below double precision, the permitted error as a multiple of autograd's own in the same precision.
        seed: the seed of all random numbers.
        name: names the derivation in messages; the name of ``forward`` by default.

    Raises:
        ValueError: an argument or a returned value cannot be compared. Exceptions raised by the functions propagate.
    """
    form = {} if parameters is None else parameters
    module = _module(reference)
    takes = parameters is not None or (module is not None and any(True for _ in module.parameters()))

    def derivation(nested: Any) -> Derivation:
        return Pair(forward, backward, nested, name)

    return _check(
        name or getattr(forward, "__name__", "derivation"), derivation, reference, module, inputs, form, takes, outputs,
        axes, dtype or _dtype_of(inputs), tolerance, k, seed,
    )  # fmt: skip


def assert_backward(
    forward: Callable[..., Any], backward: Callable[..., Any], reference: Any, inputs: Any, **options: Any
) -> None:
    """Assert that a forward and a backward pass in NumPy agree with autograd. Arguments as for ``check_backward``.

    Raises:
        AssertionError: they do not agree; the message is the report.
        ValueError: an argument or a returned value cannot be compared.
    """
    __tracebackhide__ = True
    report = check_backward(forward, backward, reference, inputs, **options)
    if not report.agrees:
        raise AssertionError(f"\n{report}")


def check_function(
    function: Any,
    reference: Any,
    *inputs: Any,
    outputs: tuple[str, ...] | None = None,
    axes: str = "",
    tolerance: float | None = None,
    k: float = K,
    seed: int = 0,
) -> Report:
    """Check a ``torch.autograd.Function`` against autograd.

    Args:
        function: the class, or a function of tensors that applies it.
        reference: a function of the same arguments, in torch operations that autograd can differentiate.
        inputs: the arguments: tensors of any precision on any device, functions of a ``numpy.random.Generator`` that
            return one, or anything else, which is passed unchanged. If no tensor requires a gradient, all
            floating-point tensors do.
        outputs: the names of the outputs.
        axes: the leading axes of the inputs, ``"T B"``, ``"T"`` or ``"B"``.
        tolerance: the largest relative error that passes in double precision, 1e-12 by default.
        k: below double precision, the permitted error as a multiple of autograd's own in the same precision.
        seed: the seed of all random numbers.

    Raises:
        ValueError: the arguments cannot be compared. Exceptions raised by the functions propagate.
    """
    like = [value(np.random.default_rng(seed)) if callable(value) else value for value in inputs]
    floating = [isinstance(value, torch.Tensor) and value.is_floating_point() for value in like]
    asked = [value.requires_grad if is_floating else False for value, is_floating in zip(like, floating)]
    names = _argument_names(function, len(like))
    given = {name: as_float64(value) if isinstance(value, torch.Tensor) else value for name, value in zip(names, like)}
    fixed = frozenset(
        n for n, is_float, wanted in zip(names, floating, asked) if is_float and any(asked) and not wanted
    )
    precisions = {str(value.dtype).removeprefix("torch.") for value, wanted in zip(like, floating) if wanted}
    dtype = next((one for one in ("bfloat16", "float16", "float32") if one in precisions), "float64")
    subject = getattr(function, "__qualname__", None) or type(function).__name__
    return _check(
        subject, lambda nested: TorchFunction(function, like), reference, _module(reference), given, {}, False, outputs,
        axes, dtype, tolerance, k, seed, fixed,
    )  # fmt: skip


def assert_function(function: Any, reference: Any, *inputs: Any, **options: Any) -> None:
    """Assert that a ``torch.autograd.Function`` agrees with autograd. Arguments as for ``check_function``.

    Raises:
        AssertionError: it does not agree; the message is the report.
        ValueError: the arguments cannot be compared.
    """
    __tracebackhide__ = True
    report = check_function(function, reference, *inputs, **options)
    if not report.agrees:
        raise AssertionError(f"\n{report}")


def _check(
    subject: str,
    derivation: Callable[[Any], Derivation],
    reference: Any,
    module: nn.Module | None,
    inputs: Any,
    parameters: Any,
    takes_parameters: bool,
    outputs: tuple[str, ...] | None,
    axes: str,
    dtype: str | None,
    tolerance: float | None,
    k: float,
    seed: int,
    fixed: frozenset[str] = frozenset(),
) -> Report:
    """Build the trials and run the check."""
    draws = [(one, seed + n, 1.0) for n, one in enumerate(arguments.sizes_of(inputs))]
    first = draws[0][0]
    draws.append((first, seed + len(draws), 1.0))
    if _is_drawn(first):
        draws.append((first, seed + len(draws), LARGE))
    form: Any = None

    def trials(dtype: str) -> list[Trial]:
        nonlocal form
        found = []
        for n, (one, seed, scale) in enumerate(draws):
            rng = np.random.default_rng(seed)
            given = arguments.drawn(one, rng, scale)
            own = (_of_module(module, rng) if module else {}) | arguments.drawn(parameters, rng)
            form = own
            given = {name: arguments.as_dtype(value, dtype) for name, value in given.items()}
            flat_parameters = {name: arguments.as_dtype(value, dtype) for name, value in flat(own).items()}
            try:
                found.append(_trial(given, flat_parameters, own, one, n, scale, dtype, rng))
            except ValueError:
                if scale == 1.0:
                    raise  # where numbers are large, the reference itself may overflow
        return found

    def _trial(
        given: dict[str, Any], own: Arrays, nested: Any, one: Any, n: int, scale: float, dtype: str, rng: Any
    ) -> Trial:
        build = nested_as(nested) if takes_parameters else None
        function = of_module(module) if module is not None else of_function(reference, build)
        returned = Autograd(function, Problem(own, given, {}, fixed)).outputs(outputs)
        d_outputs = {n: arguments.as_dtype(a, dtype) for n, a in arguments.incoming(returned, rng).items()}
        problem = Problem(own, given, d_outputs, fixed)
        sizes = arguments.axes_of(axes, given)
        label = arguments.described(given, sizes)
        if scale != 1.0:
            label += ", large values"
        elif n == len(arguments.sizes_of(inputs)):
            label += ", other values"
        return Trial(label, problem, Autograd(function, problem).run, sizes)

    trials("float64")
    made = derivation(nested_as(form) if takes_parameters else None)
    return diagnose(Subject(subject, made, trials, hint=general_hint, dtype=dtype, tolerance=tolerance, k=k))


def _module(reference: Any) -> nn.Module | None:
    """Return the reference as a module, if it is a module or a class of one."""
    if isinstance(reference, type) and issubclass(reference, nn.Module):
        reference = reference()
    return copy.deepcopy(reference).double() if isinstance(reference, nn.Module) else None


def _of_module(module: nn.Module, rng: np.random.Generator) -> Arrays:
    """Draw parameters for a module."""
    return {name: np.asarray(0.5 * rng.normal(size=tuple(p.shape))) for name, p in module.named_parameters()}


def _is_drawn(inputs: Any) -> bool:
    """Whether all inputs are shapes, so that they can be drawn at a larger scale."""
    return isinstance(inputs, Mapping) and all(isinstance(value, tuple) for value in inputs.values())


def _dtype_of(inputs: Any) -> str | None:
    """Return the precision of the given arrays, if it is below double."""
    for one in arguments.sizes_of(inputs):
        for value in one.values() if isinstance(one, Mapping) else ():
            if isinstance(value, np.ndarray) and str(value.dtype) in ("float32", "float16"):
                return str(value.dtype)
    return None


def _argument_names(function: Any, count: int) -> list[str]:
    """Return the names of a function's arguments; for a ``Function``, those of its forward without ``ctx``."""
    forward = getattr(function, "forward", function) if isinstance(function, type) else function
    try:
        names = [
            n
            for n, p in inspect.signature(forward).parameters.items()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        names = []
    if isinstance(function, type) and len(names) == count + 1:
        names = names[1:]
    return names if len(names) == count else [f"input {n}" for n in range(count)]
