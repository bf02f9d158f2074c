"""What every file of this package says about arrays: their type, and the check at the door."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

#: Called as ``probe(name, t, value)`` at each named intermediate; the computation goes on with what it returns.
Probe = Callable[[str, int, Array], Array]


def unprobed(name: str, t: int, value: Array) -> Array:
    """Return the value: the probe of a run without one."""
    return value


def state_parts(state: Any) -> tuple[Any, ...]:
    """The parts of a state: ``(h, c)`` of an LSTM, ``(h,)`` of a cell whose state is one array."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: Iterable[Any]) -> Any:
    """The state that has these parts: a tuple of several, one by itself. The inverse of ``state_parts``."""
    state = tuple(parts)
    return state if len(state) > 1 else state[0]


def check_array(argument: str, array: object, letters: str, sizes: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return ``array`` if it is what the argument calls for.

    Args:
        argument: the argument's name, as the caller knows it.
        array: what came.
        letters: the expected shape in the project's letters, as in ``"T, B, D"``.
        sizes: the expected shape; -1 stands for any size.
        dtype: the expected dtype.

    Raises:
        TypeError: it is no ndarray, or one of another dtype.
        ValueError: its shape differs.
    """
    if isinstance(array, np.ndarray) and array.shape == sizes and array.dtype == dtype:
        return array
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{argument}: expected a NumPy array of shape ({letters}), got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{argument}: expected dtype {np.dtype(dtype)}, got {array.dtype}")
    if len(array.shape) != len(sizes) or any(want not in (-1, got) for want, got in zip(sizes, array.shape)):
        expected = str(sizes).replace("-1", "any")
        raise ValueError(f"{argument}: expected shape ({letters}) = {expected}, got {array.shape}")
    return array
