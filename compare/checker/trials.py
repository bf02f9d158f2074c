"""Draw the trials of any derivation: arguments at each size, and autograd's answer for them."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import product
from types import FunctionType, NoneType
from typing import Any

import numpy as np
import torch
from torch import nn

from compare.checker import arguments
from compare.checker.derivations.pair import flat, nested_as
from compare.checker.derivations.problem import Arrays, Problem, in_precision
from compare.checker.reference import Autograd, Reference, check_finite, of_function, of_module

#: The scale of the random inputs on the trial that detects clipping and overflow.
LARGE = 10.0

#: How far two runs of the reference may differ, relative to the scale of an output.
REPEATABLE = 1e-3


@dataclass(frozen=True)
class Trial:
    """A problem at one size, and how to run the reference on it.

    ``label`` describes the size. ``reference`` takes the arguments of ``Autograd.run`` and returns everything under the
    derivation's names and in its layout. ``axes`` holds the sizes of the step and row axes, by letter. ``rows_last``
    says that rows are the last axis, not the first after the steps. ``lacking`` holds pairs of an input and a letter
    whose axis it lacks, known from other sizes, even if its shape looks like it. ``large`` says that its values are
    large, where a right derivation may lose digits or overflow, ``tied`` that ties were made, where it may take another
    side. ``gradients_to`` is the relative error of the reference's gradients beyond rounding. ``on`` puts another
    problem to the reference. ``whole`` draws the trial with all rows, if it has only the first.
    """

    label: str
    problem: Problem
    reference: Callable[..., Reference]
    axes: dict[str, int] = field(default_factory=dict)
    rows_last: bool = False
    lacking: frozenset[tuple[str, str]] = frozenset()
    large: bool = False
    tied: bool = False
    gradients_to: float = 0.0
    on: Callable[[Problem], Autograd] | None = None
    whole: Callable[[], "Trial | None"] | None = None

    def having(self, **changes: Any) -> "Trial":
        """Return a trial of the problem with some parts changed."""
        assert self.on, "only the trials of a function can be changed"
        problem = replace(self.problem, **changes)
        return replace(self, problem=problem, reference=self.on(problem).run)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the axes, by the letter or by what they are in Python."""
        given = self.problem.inputs.items()
        arrays = {name: value for name, value in given if isinstance(value, np.ndarray) and value.ndim}
        lengths = {f"len({name})": len(value) for name, value in arrays.items()}
        more = {f"{name}.shape[{k}]": value.shape[k] for name, value in arrays.items() for k in range(1, value.ndim)}
        return self.axes | lengths | more

    def of_rows(self, count: int) -> "Trial | None":
        """Return a trial of the first rows alone; None if the reference does not take them."""
        problem, given = self.problem, self.problem.d_outputs

        def draw(outputs: Arrays) -> Arrays:
            drawn = arguments.incoming(outputs, np.random.default_rng(0))
            return {n: d.astype(given[n].dtype) for n, d in drawn.items()}

        with suppress(Exception):
            assert self.on, "only the trials of a function can be changed"
            fewer = self.on(replace(problem, inputs=arguments.first_rows(problem.inputs, count)))
            fewer = fewer.started(tuple(given), draw)
            check_finite(fewer.run())
            return replace(self, problem=fewer.problem, reference=fewer.run)
        return None

    @cached_property
    def small(self) -> "Trial":
        """The trial of its first rows where there are many numbers, if the reference takes so few; else itself."""
        few = arguments.few_rows(self.problem.inputs)
        return (few and self.of_rows(few)) or self


@dataclass(eq=False)
class Trials:
    """The trials of a derivation, by dtype.

    There is one for each size, and at the first size one with other values, one with ties and zeros, and, if all inputs
    are drawn from a normal distribution, one with large values. These have the first rows where there are many numbers,
    if the reference takes so few.

    Args:
        reference: a torch function or module, or the class of a module.
        inputs: as for ``check_backward``.
        parameters: as for ``check_backward``; those of a module are drawn if None.
        outputs: the names of the outputs.
        axes: the leading axes of the inputs.
        seed: the seed of all random numbers.
        fixed: the names of inputs that need no gradient.

    Raises:
        ValueError: an argument is not what it should be; from a call, if something cannot be compared. Exceptions
            raised by the reference propagate.
    """

    reference: Any
    inputs: Any
    parameters: Any
    outputs: tuple[str, ...] | None
    axes: str
    seed: int
    fixed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, value, expected, good in (
            (
                "parameters",
                self.parameters,
                "a dict by name, or a function that returns one",
                (Mapping, NoneType, FunctionType),
            ),
            ("outputs", self.outputs, "a tuple of names", (tuple, list, NoneType)),
            ("axes", self.axes, "a string such as 'T B'", str),
            ("seed", self.seed, "a whole number", int),
        ):
            if not isinstance(value, good):
                raise ValueError(f"{name}: expected {expected}, got {value!r}")
        if self.seed < 0:
            raise ValueError(f"seed: expected at least 0, got {self.seed}")
        self._module = _module(self.reference)
        self.gradients_to: float = getattr(self.reference, "gradients_to", 0.0)
        self._sizes = arguments.sizes_of(self.inputs)
        self._first: dict[str, Trial] = {}

    @cached_property
    def nested(self) -> Callable[[Mapping[str, Any]], Any] | None:
        """The function that nests flat parameters as the derivation takes them; None if it takes none."""
        if self.parameters is None and (self._module is None or not any(True for _ in self._module.parameters())):
            return None
        rng = np.random.default_rng(self.seed)
        return nested_as(self._parameters(rng, arguments.drawn(self._sizes[0], rng)))

    def __call__(self, dtype: str) -> Iterator[Trial]:
        """Draw all trials in one dtype, one after the other; the values are the same in each.

        The first is kept, the others are not: each has a reference of its own.
        """
        if dtype not in self._first:
            self._first[dtype] = self._sized(0, dtype)
            _check_repeatable(self._first[dtype].small)
        yield self._first[dtype]
        for n in range(1, len(self._sizes)):
            yield self._sized(n, dtype)
        first = self._first[dtype].problem.inputs
        few = arguments.few_rows(first)
        for n, draw in enumerate((self._other, self._large, self._tied), len(self._sizes)):
            whole = partial(draw, first, self.seed + n, dtype)
            trial = whole(few) if few else None
            trial = replace(trial, whole=whole) if trial else whole()
            if trial:
                yield trial
            del trial  # before the next is drawn

    def _sized(self, n: int, dtype: str) -> Trial:
        """Draw the trial of a size."""
        rng = np.random.default_rng(self.seed + n)
        return self._draw(arguments.drawn(self._sizes[n], rng), rng, "", dtype)

    @cached_property
    def _lacking(self) -> frozenset[tuple[str, str]]:
        """The pairs of an input and a letter whose axis it lacks: its shape is always the same, that axis is not."""
        if len(self._sizes) == 1 or not self.axes:
            return frozenset()
        sizes = [arguments.drawn(one, np.random.default_rng(self.seed + n)) for n, one in enumerate(self._sizes)]
        constant = [name for name in sizes[0] if len({getattr(one.get(name), "shape", ()) for one in sizes}) == 1]
        axes = [arguments.axes_of(self.axes, one) for one in sizes]
        letters = [letter for letter in axes[0] if len({one[letter] for one in axes}) > 1]
        return frozenset(product(constant, letters))

    def _other(self, first: dict[str, Any], seed: int, dtype: str, rows: int | None = None) -> Trial | None:
        """Draw other values at the first size; what is given has its own values in another order."""
        rng = np.random.default_rng(seed)
        drawn = arguments.drawn(self._sizes[0], rng)
        given = {name: value for name, value in drawn.items() if arguments.same(value, first[name])}
        inputs = arguments.first_rows(drawn, rows)
        draw = self._attempt if given or rows else self._draw
        return draw(inputs | arguments.shuffled(given, rng, inputs), rng, ", other values", dtype)

    def _tied(self, first: dict[str, Any], seed: int, dtype: str, rows: int | None = None) -> Trial | None:
        """Draw values with ties and zeros."""
        first, rng = arguments.first_rows(first, rows), np.random.default_rng(seed)
        inputs = arguments.tied(first, rng)
        unchanged = all(arguments.same(value, inputs[name]) for name, value in first.items())
        trial = None if unchanged else self._attempt(inputs, rng, ", ties and zeros", dtype)
        return replace(trial, tied=True) if trial else None

    def _large(self, first: dict[str, Any], seed: int, dtype: str, rows: int | None = None) -> Trial | None:
        """Draw large values, if all inputs are shapes."""
        if not _is_drawn(self._sizes[0]):
            return None
        rng = np.random.default_rng(seed)
        shapes = {name: value.shape for name, value in arguments.first_rows(first, rows).items()}
        inputs = {name: LARGE * value for name, value in arguments.drawn(shapes, rng).items()}
        trial = self._attempt(inputs, rng, ", large values", dtype)
        return replace(trial, large=True) if trial else None

    def _attempt(self, inputs: dict[str, Any], rng: np.random.Generator, remark: str, dtype: str) -> Trial | None:
        """Draw a trial on values that may be outside the domain; None if the reference raises or is not finite."""
        with suppress(Exception):
            trial = self._draw(inputs, rng, remark, dtype)
            return trial if _is_finite(trial, dtype) else None
        return None

    def _draw(self, inputs: dict[str, Any], rng: np.random.Generator, remark: str, dtype: str) -> Trial:
        inputs = in_precision(inputs, dtype)
        parameters = in_precision(flat(self._parameters(rng, inputs)), dtype)
        function = of_module(self._module) if self._module else of_function(self.reference, self.nested)
        on = partial(Autograd, function)
        # By a generator of its own: the user may have drawn the inputs with this seed, too.
        incoming = partial(arguments.incoming, rng=rng.spawn(1)[0])
        given = Problem(parameters, inputs, {}, self.fixed)
        reference = on(given).started(self.outputs, lambda outputs: in_precision(incoming(outputs), dtype))
        axes = arguments.axes_of(self.axes, inputs)
        trial = Trial(arguments.described(inputs, axes) + remark, reference.problem, reference.run, axes, on=on)
        return replace(trial, lacking=self._lacking, gradients_to=self.gradients_to)

    def _parameters(self, rng: np.random.Generator, inputs: Mapping[str, Any]) -> Any:
        drawn: Arrays = {}
        if self._module:
            for name, p in self._module.named_parameters():
                drawn[name] = np.asarray(0.5 * rng.normal(size=tuple(p.shape)))
        own = self.parameters(inputs) if callable(self.parameters) else self.parameters or {}
        if not isinstance(own, Mapping):
            raise ValueError(f"parameters: expected a function that returns a dict by name, it returns {own!r}")
        return drawn | arguments.as_arrays(arguments.drawn(own, rng))


def _module(reference: Any) -> nn.Module | None:
    """Return the reference as a module in double precision, if it is a module or a class of one."""
    if isinstance(reference, type) and issubclass(reference, nn.Module):
        reference = reference()
    return copy.deepcopy(reference).double() if isinstance(reference, nn.Module) else None


def _check_repeatable(trial: Trial) -> None:
    """Check that a second run gives the same outputs: what is random would otherwise count as rounding."""
    assert trial.on, "it was drawn for a function"
    again = trial.on(trial.problem).outputs(tuple(trial.problem.d_outputs))
    for name, array in trial.reference().answer.outputs.items():
        if np.array_equal(array, again[name]):
            continue
        one, other = np.nan_to_num(array.astype(float)), np.nan_to_num(again[name].astype(float))
        if one.shape != other.shape or (np.abs(one - other) > REPEATABLE * np.abs(one).max(initial=0)).any():
            raise ValueError(
                f"reference: {name}: the same arguments give different results; pass random numbers as an input"
            )


def _is_finite(trial: Trial, dtype: str) -> bool:
    """Whether the reference is finite, in double precision and in that of the derivation."""
    try:
        for precision in {"float64", dtype}:
            check_finite(trial.reference(dtype=getattr(torch, precision)))
    except ValueError:
        return False
    return True


def _is_drawn(inputs: Any) -> bool:
    """Whether all inputs are shapes, so that they can be drawn at a larger scale."""
    return isinstance(inputs, Mapping) and all(isinstance(value, tuple) for value in inputs.values())
