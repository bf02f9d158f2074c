"""The values that a right run computes, to recognise them by."""

from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from compare.checker.recorder import as_float64
from manual.arrays import Array

#: How near a value is to a known one, relative to its length.
NEAR = 1e-8


class Known:
    """Values, recognised by their product with one random vector."""

    def __init__(self) -> None:
        self._products: dict[int, list[float]] = {}
        self._sorted: dict[int, Array] = {}
        self._vectors: dict[int, Array] = {}

    def add(self, value: Array) -> None:
        """Add a value."""
        if value.size and np.isfinite(value).all() and value.any():
            self._products.setdefault(value.size, []).append(float(self._vector(value.size) @ value.ravel()))
            self._sorted.pop(value.size, None)

    def add_all(self, contributions: Array) -> None:
        """Add what a tape's sweep shows: a value for each of its sums."""
        self.add(contributions[0])

    def has(self, value: Array) -> bool:
        """Whether a value is known, as it is or transposed."""
        products = self._products.get(value.size)
        if products is None or not value.any():
            return False
        if value.size not in self._sorted:
            self._sorted[value.size] = np.sort(products)
        known, vector = self._sorted[value.size], self._vector(value.size)
        within = NEAR * float(np.sqrt((value * value).sum()) * np.sqrt(value.size))
        for one in (value, value.swapaxes(-1, -2)) if value.ndim > 1 else (value,):
            product = float(vector @ one.ravel())
            if np.searchsorted(known, product - within) < np.searchsorted(known, product + within):
                return True
        return False

    def _vector(self, size: int) -> Array:
        if size not in self._vectors:
            self._vectors[size] = np.random.default_rng(size).normal(size=size)
        return self._vectors[size]


class _Watching(TorchFunctionMode):
    """A mode in which the result of every torch operation is added to what is known."""

    def __init__(self, known: Known):
        super().__init__()
        self.known = known

    def __torch_function__(self, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        result = function(*inputs, **(options or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                with torch._C.DisableTorchFunction():
                    self.known.add(as_float64(one))
        return result


def values_of(trial: Any) -> Known:
    """Return every value that the reference computes in a trial, and its arguments."""
    known = Known()
    with _Watching(known):
        right = trial.reference()
    for value in (*right.answer.outputs.values(), *trial.problem.inputs.values(), *trial.problem.parameters.values()):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            known.add(value)
    return known
