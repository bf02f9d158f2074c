"""Check any derivation against a torch function or module that the user supplies."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, ParamSpec

import numpy as np
import torch
from torch import nn

from compare.checker import arguments
from compare.checker.contract import not_compared
from compare.checker.derivations.file import load
from compare.checker.derivations.form import argument_names, as_real, form_of
from compare.checker.derivations.misfit import misfit
from compare.checker.derivations.octave.folder import Folder
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Derivation
from compare.checker.derivations.torch_function import TorchFunction, is_continuous
from compare.checker.derivations.transforms import backward_of, constants, refused
from compare.checker.diagnose import K, Subject, diagnose, unfit
from compare.checker.recorder import as_float64
from compare.checker.reference import default_dtype
from compare.checker.report.report import Report
from compare.checker.trials import Trial, Trials

P = ParamSpec("P")

#: What is said of a reference whose gradients are differences.
TO = "The reference's gradients are differences of its values, good to {:.0e}: a smaller mistake does not show"


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
    fast: bool = False,
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
        parameters: the first argument of both passes, a dict with the same kinds of values, possibly nested, or a
            function of the inputs that returns one, so that sizes may follow theirs. The parameters of a
            module are drawn at random by default.
        outputs: the names of the outputs.
        axes: the leading axes of the inputs, ``"T B"``, ``"T"`` or ``"B"``, if they are time steps and batch rows.
        dtype: the precision of the passes; read from what they return by default.
        tolerance: the largest relative error that passes in double precision, 1e-12 by default.
        k: below double precision, the permitted error as a multiple of autograd's own in the same precision.
        seed: the seed of all random numbers.
        fast: whether the first size and draw is enough.
        name: names the derivation in messages; the name of ``forward`` by default.

    Raises:
        ValueError: an argument or a returned value cannot be compared. Exceptions raised by the functions propagate,
            except where the shapes of a line's operands do not fit, which is a finding.
    """
    check_callable(forward=forward, backward=backward, reference=reference)
    trials = Trials(reference, inputs, parameters, outputs, axes, seed)
    pair, subject = Pair(forward, backward, trials.nested, name), name or getattr(forward, "__name__", "derivation")
    dtype = dtype or _dtype_of(inputs)
    try:
        return checked_by(subject, pair, trials, dtype, tolerance, k, fast)
    except ValueError as error:
        if (found := misfit(error)) is None:
            raise
    return unfit(Subject(subject, pair, trials, dtype=dtype, tolerance=tolerance, k=k), found)


def check_function(
    function: Any,
    reference: Any,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    more: Sequence[Sequence[Any]] = (),
    outputs: tuple[str, ...] | None = None,
    order: int = 1,
    axes: str = "",
    tolerance: float | None = None,
    k: float = K,
    seed: int = 0,
    fast: bool = False,
) -> Report:
    """Check a ``torch.autograd.Function`` against autograd.

    Args:
        function: the class, a function of tensors or a module that applies it, or a custom operator.
        reference: a function of the same arguments, in torch operations that autograd can differentiate. For a module
            it may be another module, which gets its parameters and buffers by name, or a function that uses its own.
        inputs: the arguments: tensors of any precision on any device, real or complex, functions of a
            ``numpy.random.Generator`` that return one, lists and dicts of these, or anything else, which is passed
            unchanged. If no tensor requires a gradient, all floating-point tensors do, and a gradient of None counts
            as not derived. For a tensor that requires one it counts as zero, as it does in torch.
        keywords: the arguments by keyword.
        more: further lists of arguments by position, such as those of other sizes.
        outputs: the names of the outputs.
        order: 2 to check second derivatives, too: the backward pass as a function of its arguments and of the
            incoming gradients.
        axes: the leading axes of the inputs, ``"T B"``, ``"T"`` or ``"B"``.
        tolerance: the largest relative error that passes in double precision, 1e-12 by default.
        k: below double precision, the permitted error as a multiple of autograd's own in the same precision.
        seed: the seed of all random numbers.
        fast: whether the first size and draw is enough.

    Raises:
        ValueError: the arguments cannot be compared. Exceptions raised by the functions propagate.
    """
    check_callable(function=function, reference=reference)
    applied = getattr(function, "__self__", None)
    if isinstance(applied, type) and issubclass(applied, torch.autograd.Function):
        function = applied  # whose ``apply`` it is
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}")
    if isinstance(function, type) and not issubclass(function, torch.autograd.Function):
        raise ValueError(f"function: expected a torch.autograd.Function or a function, got {function.__name__}")
    module = function if isinstance(function, nn.Module) else None
    parameters = dict(module.named_parameters()) if module else {}
    reference = _with_the_state_of(module, reference() if isinstance(reference, type) else reference)
    names = argument_names(len(inputs), function, reference)
    form, given = form_of(names, inputs, keywords or {}, parameters, lambda leaf: hasattr(leaf, "shape"))
    like = [value(np.random.default_rng(seed)) if callable(value) else value for value in given]
    for name, value in zip(form.names, like):
        if isinstance(value, np.ndarray):
            raise ValueError(f"{name}: expected a tensor, got a ndarray of {value.dtype}")
        if getattr(value, "layout", torch.strided) != torch.strided:
            raise ValueError(f"{name}: expected a dense tensor, got {value.layout}")
    tensors = {name: value for name, value in zip(form.names, like) if is_continuous(value)}
    asked = {name for name, value in tensors.items() if value.requires_grad}
    own = {id(parameter) for parameter in parameters.values()}
    open_to_all = not any(id(value) not in own for name, value in tensors.items() if name in asked)
    if open_to_all:  # no argument requires a gradient, so all do; a parameter says for itself
        asked |= {name for name, value in tensors.items() if id(value) not in own}
    if not asked:
        raise ValueError("inputs: expected a tensor of floating-point numbers, got none")
    complex_names = frozenset(name for name, value in tensors.items() if value.is_complex())
    form = replace(form, module=module, complex_names=complex_names)
    draws = [{name: partial(drawn, value) for name, value in zip(form.names, given)}]
    for values in more:
        expected = f"more: expected lists of {len(inputs)} arguments like the first, got {len(values)}"
        if len(values) != len(inputs):
            raise ValueError(expected)
        other, given = form_of(names, values, keywords or {}, parameters, lambda leaf: hasattr(leaf, "shape"))
        if other.names != form.names:
            raise ValueError(f"{expected} with {', '.join(other.names)} in the place of {', '.join(form.names)}")
        draws.append({name: partial(drawn, value) for name, value in zip(form.names, given)})
    precisions = {str(tensors[name].dtype.to_real()).removeprefix("torch.") for name in asked}
    dtype = next((one for one in ("bfloat16", "float16", "float32") if one in precisions), "float64")
    subject = getattr(function, "__qualname__", None) or getattr(function, "_name", None) or type(function).__name__
    trials = Trials(form.flat(reference), draws, None, outputs, axes, seed, frozenset(tensors.keys() - asked))
    checked = TorchFunction(function, like, form)
    report = checked_by(subject, checked, trials, dtype, tolerance, k, fast)
    first = next(trials("float64"))
    report.notes += not_compared(checked, first.small, function, reference)
    if not report.agrees:
        return report
    second = _second_order(checked, trials, first.small if order == 1 else first, draws[0], report.left_out)
    if order == 1:
        said = f"not checked: {second.refusal}" if second.refusal else "claimed, and not checked: order=2 checks them"
        report.notes.append(f"Second derivatives are {said}")
        return report
    if second.refusal:
        raise ValueError(f"order: expected 1 for {subject}, got 2: {second.refusal}")
    again = diagnose(
        replace(second.subject, name=f"{subject}: backward", dtype=dtype, tolerance=tolerance, k=k, fast=fast)
    )
    if again.agrees:
        report.notes.append(f"Second derivatives agree: {len(again.as_run)} quantities of the backward pass compared")
        return report
    again.notes += second.constants
    return again


class _Second(NamedTuple):
    """The check of a backward pass: what it is, torch's error if it has no derivative, what is constant in it."""

    subject: Subject
    refusal: str
    constants: list[str]


@torch.enable_grad()  # the user's file may have disabled it
def _second_order(
    function: TorchFunction, trials: Trials, trial: Trial, draws: Mapping[str, Any], left_out: Sequence[str]
) -> _Second:
    """Return how the backward pass of a function is checked, as a function of its arguments and incoming gradients."""
    problem = trial.problem
    names, wanted = list(problem.inputs), [n for n in problem.differentiable if f"d_{n}" not in left_out]
    outputs = {f"d_{name}": d for name, d in problem.d_outputs.items()}
    like = [
        as_real(v).detach()[tuple(map(slice, np.shape(value)))] if isinstance(v, torch.Tensor) else v
        for value, v in zip(problem.inputs.values(), function.like)
    ]
    like += [torch.tensor(d, dtype=function.dtype) for d in outputs.values()]
    moving = {*wanted, *outputs}
    like = [v.requires_grad_() if name in moving else v for name, v in zip([*names, *outputs], like)]
    own: Any = function.function
    own = own.apply if isinstance(own, type) else own  # type: ignore[attr-defined]
    sides = [backward_of(flat, names, wanted, list(outputs)) for flat in (function.form.flat(own), trials.reference)]
    labels = [f"{name} in backward" for name in (*names, *outputs)]
    form, _ = form_of(labels, like, {}, {}, lambda leaf: hasattr(leaf, "shape"))
    drawn_too = [partial(lambda rng, shape: rng.normal(size=shape), shape=d.shape) for d in outputs.values()]
    given = dict(zip(labels, [*draws.values(), *drawn_too]))
    fixed = frozenset(f"{name} in backward" for name in names if name not in wanted)
    backward = Trials(sides[1], given, None, None, "", trials.seed, fixed)
    subject = Subject("", TorchFunction(sides[0], like, form), backward, contract=False)
    with default_dtype(function.dtype):
        kept = constants(function.applied(problem)[1].values(), function.like)
        unknown = "the reference's gradients cannot be differentiated" if refused(sides[1], like) else ""
        return _Second(subject, refused(sides[0], like) or unknown, kept)


def _with_the_state_of(module: nn.Module | None, reference: Any) -> Any:
    """Return a reference that is a module in the mode of the one to check, if that is a module."""
    if module is None or not isinstance(reference, nn.Module):
        return reference
    ours, theirs = dict(module.named_parameters()), dict(reference.named_parameters())
    buffers = {name for name, _ in module.named_buffers()}
    wrong = [*(theirs.keys() ^ ours.keys()), *(n for n, _ in reference.named_buffers() if n not in buffers)]
    if wrong:
        raise ValueError(
            f"reference: expected the parameters and buffers {', '.join([*ours, *sorted(buffers)])}, as the module has "
            f"them; only one of the two has {', '.join(sorted(wrong))}"
        )
    return copy.deepcopy(reference).train(module.training)


def asserting(check: Callable[P, Report]) -> Callable[P, None]:
    """Return a function of the arguments of a check that raises an AssertionError, with the report, if it disagrees."""

    def asserted(*inputs: P.args, **options: P.kwargs) -> None:
        __tracebackhide__ = True
        report = check(*inputs, **options)
        if not report.agrees:
            raise AssertionError(report.message)

    asserted.__name__ = asserted.__qualname__ = check.__name__.replace("check", "assert")
    asserted.__module__ = check.__module__
    asserted.__signature__ = inspect.signature(check).replace(return_annotation=None)  # type: ignore[attr-defined]
    asserted.__doc__ = f"""Assert that ``{check.__name__}`` agrees, whose arguments these are.

    Raises:
        AssertionError: it does not agree; the message is the report, the verdict first.
        ValueError: an argument or a returned value cannot be compared.
    """
    return asserted


assert_backward, assert_function = asserting(check_backward), asserting(check_function)


def check_against(file: ModuleType | None, path: Path, where: Path, name: str, seed: int, fast: bool) -> Report:
    """Check the derivation in a file, or a folder if None, against a ``name`` in a file; a ValueError as above."""
    other = load(where)
    says = file or other
    inputs = getattr(says, "INPUTS", None)
    if not inputs or not (isinstance(inputs, dict | list) or callable(inputs)):
        raise ValueError(f"INPUTS: expected the shapes of the inputs by name in {says.__file__}, got {inputs!r}")
    reference: Any = getattr(other, name, None)
    if not callable(reference):
        raise ValueError(f"--reference: expected a torch module or function {name} in {where}, got {reference!r}")
    is_module = isinstance(reference, nn.Module) or (isinstance(reference, type) and issubclass(reference, nn.Module))
    parameters = getattr(says, "PARAMETERS", {} if is_module else None)
    trials = Trials(reference, inputs, parameters, getattr(says, "OUTPUTS", None), getattr(says, "AXES", ""), seed)
    derivation = Pair(file.forward, file.backward, trials.nested, str(path)) if file else Folder(path, trials.nested)
    dtype, tolerance = getattr(says, "DTYPE", None) or _dtype_of(inputs), getattr(says, "TOLERANCE", None)
    return checked_by(str(path), derivation, trials, dtype, tolerance, K, fast)


def drawn(value: Any, rng: np.random.Generator) -> Any:
    """Draw an argument if it is a function of a generator; return anything else as it is, a tuple as well."""
    value = value(rng) if callable(value) else value
    if isinstance(value, tuple) or not hasattr(value, "dtype"):
        return value
    if str(value.dtype) == "bfloat16":  # of JAX, which NumPy lacks
        value = np.asarray(value, np.float32)
    return as_float64(value, copy=False)


def check_callable(**functions: Any) -> None:
    """Raise a ValueError with the name of what is no function."""
    for name, function in functions.items():
        if not callable(function):
            raise ValueError(f"{name}: expected a function, got {function!r}")


def checked_by(
    subject: str,
    derivation: Derivation,
    trials: Trials,
    dtype: str | None,
    tolerance: float | None,
    k: float,
    fast: bool,
) -> Report:
    """Check a derivation on trials."""
    next(trials("float64"))  # an error of the reference comes before any of the derivation
    notes = [TO.format(trials.gradients_to)] if trials.gradients_to else []
    return diagnose(Subject(subject, derivation, trials, dtype=dtype, tolerance=tolerance, k=k, fast=fast, notes=notes))


def _dtype_of(inputs: Any) -> str | None:
    """Return the precision of the given arrays, if it is below double."""
    for one in arguments.sizes_of(inputs):
        for value in one.values() if isinstance(one, Mapping) else ():
            if isinstance(value, np.ndarray) and str(value.dtype) in ("float32", "float16"):
                return str(value.dtype)
    return None
