"""The arguments of a derivation: arrays as given, or random ones drawn for each trial."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manual.arrays import Array

#: Inputs by name: an array, a shape to fill with normally distributed numbers, a function of a generator, or anything
#: else, which is passed unchanged.
Inputs = Mapping[str, Any]


def drawn(inputs: Any, rng: np.random.Generator, scale: float = 1.0) -> dict[str, Any]:
    """Draw the inputs of one trial.

    Args:
        inputs: a dict by name, or a function of a generator that returns one.
        rng: the generator to draw from.
        scale: the standard deviation of arrays given as a shape.
    """
    if callable(inputs):
        inputs = inputs(rng)
    return {name: _value(value, rng, scale) for name, value in inputs.items()}


def _value(value: Any, rng: np.random.Generator, scale: float) -> Any:
    if isinstance(value, Mapping):
        return {name: _value(part, rng, scale) for name, part in value.items()}
    if callable(value):
        value = value(rng)
    elif _is_shape(value):
        return np.asarray(scale * rng.normal(size=tuple(value)))
    if hasattr(value, "detach"):
        return value
    return np.array(value) if isinstance(value, np.ndarray | np.generic | list) else value


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)


def sizes_of(inputs: Any) -> list[Any]:
    """Return the inputs at each size as a list."""
    if (
        isinstance(inputs, Sequence)
        and not isinstance(inputs, str)
        and inputs
        and all(isinstance(one, Mapping) or callable(one) for one in inputs)
    ):
        return list(inputs)
    return [inputs]


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


def as_dtype(values: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Round all floating-point arrays to a dtype below double; bfloat16, which NumPy lacks, becomes float32."""
    if dtype == "float64":
        return dict(values)
    nearest = "float32" if dtype == "bfloat16" else dtype
    return {
        name: value.astype(nearest) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in values.items()
    }


def incoming(outputs: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Draw an incoming gradient for each output."""
    return {name: np.asarray(rng.normal(size=array.shape)) for name, array in outputs.items()}


Draw = Callable[[np.random.Generator], Any]
