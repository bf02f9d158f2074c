"""Types and argument checks shared by this package."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

#: The parts of a state, or of its gradient: (B, H) each.
Parts = tuple[Array, ...]

#: The weights of one layer in one direction, by name.
Weights = Mapping[str, Array]

#: What a forward pass returns: the output, the final state, and what backward needs.
Tape = TypeVar("Tape")
Forward = tuple[Array, Parts, Tape]

#: What a backward pass returns: the gradients of x, of the initial state, and of the weights by name.
Backward = tuple[Array, Parts, dict[str, Array]]

#: Called as ``probe(name, t, value)`` at each named intermediate; the computation goes on with what it returns.
Probe = Callable[[str, int, Array], Array]


def unprobed(name: str, t: int, value: Array) -> Array:
    """Return the value unchanged: the probe of a run that has none."""
    return value


def state_parts(state: Any) -> tuple[Any, ...]:
    """Return the parts of a state: ``(h, c)`` of an LSTM, ``(h,)`` of a cell whose state is one array."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: Iterable[Any]) -> Any:
    """Return the state with these parts: a tuple of several, or the only one. The inverse of ``state_parts``."""
    state = tuple(parts)
    return state if len(state) > 1 else state[0]


def check_array(argument: str, array: object, letters: str, sizes: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return ``array`` if it is valid for the argument.

    Args:
        argument: the argument's name in the caller's code.
        array: the value passed.
        letters: the expected shape in letters, such as ``"T, B, D"``.
        sizes: the expected shape; -1, at the front, stands for any size.
        dtype: the expected dtype.

    Raises:
        TypeError: it is not an ndarray, or has another dtype.
        ValueError: it has another shape.
    """
    if isinstance(array, np.ndarray) and array.shape == sizes and array.dtype == dtype:
        return array
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{argument}: expected a NumPy array of shape ({letters}), got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{argument}: expected dtype {np.dtype(dtype)}, got {array.dtype}")
    shape, free = array.shape, sizes.count(-1)
    if len(shape) != len(sizes) or shape[free:] != sizes[free:]:
        expected = str(sizes).replace("-1", "any")
        raise ValueError(f"{argument}: expected shape ({letters}) = {expected}, got {shape}")
    return array
