"""The layout of a user's arrays: checked on the way in, restored on the way out.

Inside a stack, a sequence is (T, B, …) and a state has a (B, …) array for each layer and direction. Their rows are in
the schedule's order.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from manual.arrays import Array, Parts, check_array
from manual.sweep import Schedule

#: A part of a state: its argument's name, and the letter and size of its last axis.
Part = tuple[str, str, int]


class Layout(NamedTuple):
    """How the arrays of a forward pass, and of its backward pass, are laid out.

    What checks an array raises a TypeError if it is none, or of another dtype, and a ValueError if it is of another
    shape.
    """

    axes: str  #: the first axes of a sequence: ``T, B``, ``B, T`` or, for one sequence without a batch axis, ``T``
    schedule: Schedule

    @classmethod
    def of(
        cls, x: Array, D: int, dtype: np.dtype[Any], batch_first: bool, lengths: Sequence[int] | Array | None
    ) -> "Layout":
        """Check x, and return its layout; ``lengths`` are the numbers of steps in each row."""
        unbatched = isinstance(x, np.ndarray) and x.ndim == 2
        if unbatched and lengths is not None:
            raise ValueError("lengths: expected none for an x of shape (T, D), which has no padding")
        axes = "T" if unbatched else "B, T" if batch_first else "T, B"
        shape = check_array("x", x, f"{axes}, D", (-1, D) if unbatched else (-1, -1, D), dtype).shape
        if 0 in shape:
            raise ValueError(f"x: expected at least one time step and one row, got {shape}")
        T, B = (shape[0], 1) if unbatched else shape[1::-1] if batch_first else shape[:2]
        return _full(axes, T, B) if lengths is None else cls(axes, Schedule.of(lengths, T, B))

    def sequence(self, argument: str, array: Array, letter: str, size: int, dtype: np.dtype[Any]) -> Array:
        """Check a sequence whose last axis has this letter and size, and return it as (T, B, size)."""
        axes, (T, B, *_) = self.axes, self.schedule
        shape = (T, B, size) if axes == "T, B" else (B, T, size) if axes == "B, T" else (T, size)
        return self.time_major(check_array(argument, array, f"{axes}, {letter}", shape, dtype))

    def time_major(self, array: Array) -> Array:
        """Return a sequence of the user's as (T, B, …)."""
        if self.axes == "T":
            return array[:, None]
        return self.schedule.sorted(array if self.axes == "T, B" else array.swapaxes(0, 1))

    def as_given(self, array: Array) -> Array:
        """Return a (T, B, …) array in the user's layout. The inverse of ``time_major``."""
        if self.axes == "T":
            return array[:, 0]
        array = self.schedule.unsorted(array)
        return array if self.axes == "T, B" else array.swapaxes(0, 1)

    def state(self, parts: list[Part], given: Parts, K: int, dtype: np.dtype[Any]) -> list[Array]:
        """Check a state of K layers and directions, and return its parts as (K, B, size)."""
        if len(given) != len(parts):
            raise ValueError(f"state: expected ({', '.join(name for name, _, _ in parts)}), got {len(given)} arrays")
        arrays = []
        for (name, letter, size), array in zip(parts, given):
            if self.axes == "T":
                array = check_array(name, array, f"layers * directions, {letter}", (K, size), dtype)[:, None]
            else:
                shape = (K, self.schedule.B, size)
                array = self.schedule.sorted(
                    check_array(name, array, f"layers * directions, B, {letter}", shape, dtype)
                )
            arrays.append(array)
        return arrays

    def state_as_given(self, arrays: list[Array]) -> list[Array]:
        """Return arrays (K, B, …) in the user's layout. The inverse of ``state``."""
        if self.axes == "T":
            return [array[:, 0] for array in arrays]
        return arrays if self.schedule.whole else [self.schedule.unsorted(array) for array in arrays]


@cache
def _full(axes: str, T: int, B: int) -> Layout:
    """Return the layout of B rows of T steps each."""
    return Layout(axes, Schedule.of(None, T, B))
