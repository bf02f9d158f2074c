"""Arrays that remember how they were computed, so that one run of NumPy code gives every adjoint in it.

Each number has an id, and each buffer of numbers a buffer of ids of the same layout. So a view of the one is a view of
the other, whatever moves numbers moves ids, and only arithmetic has to be known: it makes new ids, and notes how they
depend on the old ones. Writing into an array writes ids. The user's code runs as it is: views, in-place operations,
tapes of any kind.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.arrays import Array

#: From the adjoint of a result, (P, *shape), to pairs of the ids of an operand and what it contributes there.
Pull = Callable[[Array], list[tuple[Array, Array]]]


class Tape:
    """What one run computed.

    ``operations`` are pairs of the ids of a result and how its adjoint is handed to its operands. Id 0 is that of all
    constants. ``changed`` are the buffers that were written into.
    """

    def __init__(self) -> None:
        self.operations: list[tuple[Array, Pull]] = []
        self.changed: set[int] = set()
        self.count = 1
        self._buffers: dict[int, tuple[Array, Array, int]] = {}

    def ids(self, thing: Any) -> Array:
        """Return the ids of an array, as a view in which they can be changed; 0 for what is no array of doubles."""
        if not isinstance(thing, np.ndarray) or thing.dtype != np.float64:
            return np.zeros(np.shape(thing), np.int64)
        owner = root(thing)
        if id(owner) not in self._buffers:
            low, high = np.lib.array_utils.byte_bounds(owner)
            self._buffers[id(owner)] = owner, np.zeros(max(high - low, 8) // 8, np.int64), low
        _, ids, low = self._buffers[id(owner)]
        offset = thing.__array_interface__["data"][0] - low if thing.size else 0
        return np.ndarray(thing.shape, np.int64, ids, offset, thing.strides)

    def changed_ids(self, array: Array) -> Array:
        """Return the ids of an array that is written into."""
        self.changed.add(id(root(array)))
        return self.ids(array)

    def is_changed(self, thing: Any) -> bool:
        """Whether the buffer of an array was written into."""
        return isinstance(thing, np.ndarray) and id(root(thing)) in self.changed

    def result(self, shape: tuple[int, ...], pull: Pull) -> Array:
        """Return the ids of a new result, and note how its adjoint is handed on."""
        ids = self.new(shape)
        self.operations.append((ids, pull))
        return ids

    def new(self, shape: tuple[int, ...]) -> Array:
        """Return ids that are not in use."""
        size = math.prod(shape)
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)

    def adjoints(
        self, seeds: list[tuple[Array, Array]], first: int = 0, see: Callable[[Array], Any] | None = None
    ) -> Array:
        """Return the adjoint of each id, (P, ids): the derivatives of P sums.

        Args:
            seeds: pairs of ids and their weights in the sums, (P, *shape).
            first: the operation to stop at.
            see: called with each seed, each contribution to an operand, and what has come together there so far.
        """
        P = len(seeds[0][1])
        adjoints = np.zeros((P, self.count))
        for ids, weights in seeds:
            _add(adjoints, ids, weights)
            if see:
                see(weights)
        for ids, pull in reversed(self.operations[first:]):
            adjoint = adjoints[:, ids]
            if not adjoint.any():
                continue
            for operand, contribution in pull(adjoint):
                if operand.any():
                    _add(adjoints, operand, contribution)
                    if see:
                        see(contribution)
                        see(adjoints[:, operand])
        adjoints[:, 0] = 0
        return adjoints


def _add(adjoints: Array, ids: Array, contribution: Array) -> None:
    P, count = adjoints.shape
    shape = np.broadcast_shapes(ids.shape, contribution.shape[1:])  # einsum fills axes of length one
    where = np.arange(P)[:, None] * count + np.broadcast_to(ids, shape).reshape(1, -1)
    np.add.at(adjoints.reshape(-1), where.reshape(-1), np.broadcast_to(contribution, (P, *shape)).reshape(-1))


def root(array: Array) -> Array:
    """Return the array that owns the memory of this one."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
