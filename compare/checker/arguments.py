"""The arguments of a derivation: arrays as given, or random ones drawn for each trial."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from compare.checker.recorder import equal
from manual.arrays import Array

#: The sizes for a function of a generator and a size: one to locate faults at, one, odd, and one past a power of two.
SIZES = 4, 1, 7, 33

#: Inputs by name: an array, a shape to fill with normally distributed numbers, a function of a generator, or anything
#: else, which is passed unchanged.
Inputs = Mapping[str, Any]

#: Where there are more numbers among the inputs than the first, what does not depend on them is seen on the first rows:
#: about so many numbers, and at least so many rows.
MANY, FEW, ROWS = 1 << 16, 1 << 14, 100


def drawn(inputs: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Draw the inputs of one trial.

    Args:
        inputs: a dict by name, or a function of a generator that returns one.
        rng: the generator to draw from.

    Raises:
        ValueError: a function returns no dict, a size is below 1, an array is complex, or there is a tensor.
    """
    if callable(inputs):
        inputs = inputs(rng)
        if not isinstance(inputs, Mapping):
            raise ValueError(f"inputs: expected a function that returns a dict by name, it returns {_kind(inputs)}")
    return {name: _value(name, value, rng) for name, value in inputs.items()}


def _value(name: str, value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, Mapping):
        return {key: _value(f"{name}.{key}", part, rng) for key, part in value.items()}
    if callable(value):
        value = value(rng)
    elif _is_shape(value):
        if min(value, default=1) < 1:
            raise ValueError(f"{name}: expected sizes of at least 1, got {value}")
        return np.asarray(rng.normal(size=value))
    elif isinstance(value, list):
        value = np.array(value)
    if hasattr(value, "detach"):
        raise ValueError(f"{name}: expected an array, got a tensor")
    if isinstance(value, np.ndarray | np.generic):
        value = np.asarray(value)
        if value.dtype.kind == "c":
            raise ValueError(f"{name}: expected real numbers, got {value.dtype}")
    return value


def as_arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain numbers, in nested dicts as well, into arrays without axes: a parameter has a gradient."""

    def array(value: Any) -> Any:
        if isinstance(value, Mapping):
            return as_arrays(value)
        return np.asarray(float(value)) if type(value) in (int, float) else value

    return {name: array(value) for name, value in values.items()}


def first_rows(inputs: Mapping[str, Any], count: int | None) -> dict[str, Any]:
    """Return the first rows, or all, of each array that has as many as the first array."""
    rows = _rows(inputs)
    return {n: a[:count] if isinstance(a, np.ndarray) and a.ndim and len(a) == rows else a for n, a in inputs.items()}


def few_rows(inputs: Mapping[str, Any]) -> int | None:
    """Return how many rows are few; None if there are no more, or not many numbers."""
    many, rows = sum(np.size(value) for value in inputs.values()), _rows(inputs)
    few = max(ROWS, rows * FEW // many) if many > MANY else rows
    return few if few < rows else None


def _rows(inputs: Mapping[str, Any]) -> int:
    return next((len(a) for a in inputs.values() if isinstance(a, np.ndarray) and a.ndim), 0)


def shuffled(
    values: Mapping[str, Any], rng: np.random.Generator, first: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return other values of the same domain: floating-point arrays in another order, indices drawn again.

    Truth values, and whole numbers in an order, stay: they may be masks, lengths or offsets.

    Args:
        values: the values to choose from.
        rng: the generator to draw from.
        first: the first rows of them, in the shapes to return; all if None.
    """

    def other(value: Any, first: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            return first
        if value.dtype.kind != "f" and (np.diff(value.ravel()) >= 0).all():
            return first
        return rng.choice(value.ravel(), first.shape, replace=value.dtype.kind != "f")

    return {name: other(value, (first or values)[name]) for name, value in values.items()}


def tied(inputs: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return values with ties and zeros: in each row of an array with both signs, two that are equal and one zero."""

    def other(value: Any) -> Any:
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim and value.shape[-1] > 2):
            return value
        if not ((value < 0).any() and (value > 0).any()):
            return value
        one, same, zero = rng.permutation(min(value.shape[-1], 1 << 16))[:3]
        value = value.copy()
        value[..., same], value[..., zero] = value[..., one], 0
        return value

    return {name: other(value) for name, value in inputs.items()}


def same(one: Any, other: Any) -> bool:
    """Return whether two draws of an input are the same."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one is other or equal(one, other)
    return not isinstance(one, np.ndarray)


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def sizes_of(inputs: Any) -> list[Any]:
    """Return the inputs at each size as a list.

    Raises:
        ValueError: there are none, or they are neither dicts nor functions.
    """
    if callable(inputs) and _takes_a_size(inputs):
        inputs = [partial(_of_size, inputs, n) for n in SIZES]
    several = isinstance(inputs, list | tuple)
    sizes = list(inputs) if several else [inputs]
    wrong = [_kind(one) for one in sizes if not (isinstance(one, Mapping) or callable(one))]
    if wrong or not sizes:
        got = f"a {type(inputs).__name__} of " if several else ""
        raise ValueError(
            "inputs: expected a dict by name, a function of a generator that returns one, or a list of these for "
            f"several sizes; got {got}{wrong[0] if wrong else 'nothing'}"
        )
    return sizes


def _takes_a_size(inputs: Callable[..., Any]) -> bool:
    """Return whether a function takes a size after the generator."""
    return len([p for p in inspect.signature(inputs).parameters.values() if p.default is p.empty]) == 2


def _of_size(inputs: Callable[..., Any], n: int, rng: np.random.Generator) -> Any:
    return inputs(rng, n)


def described(inputs: Mapping[str, Any], axes: dict[str, int]) -> str:
    """Describe a trial by its axes if they are known, otherwise by the shapes of its inputs."""
    if axes:
        return ", ".join(f"{letter} = {size}" for letter, size in axes.items())
    shapes = [f"{name} {value.shape}" for name, value in inputs.items() if isinstance(value, np.ndarray)]
    return ", ".join(shapes) or "one size"


def axes_of(letters: str, inputs: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the leading axes, such as ``"T B"``, from the first input with enough axes.

    Raises:
        ValueError: a letter is neither T nor B, or no input has enough axes.
    """
    names = letters.split()
    if not set(names) <= {"T", "B"}:
        raise ValueError(f"axes: expected T, B or both, as in 'T B'; got {letters!r}")
    if not names:
        return {}
    arrays = [value for value in inputs.values() if isinstance(value, np.ndarray) and value.ndim >= len(names)]
    if not arrays:
        raise ValueError(f"axes: expected an input with at least {len(names)} axes for {letters!r}, got none")
    return dict(zip(names, arrays[0].shape))


def incoming(outputs: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Draw an incoming gradient for each output."""
    return {name: np.asarray(rng.normal(size=array.shape)) for name, array in outputs.items()}
