"""The values that a right run computes, to recognise them by."""

import math
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
        self._values: dict[int, list[Array]] = {}
        self._sorted: dict[int, Array] = {}
        self._vectors: dict[int, Array] = {}

    def add(self, value: Array) -> None:
        """Add a value."""
        if value.size and np.isfinite(value).all() and value.any():
            self._products.setdefault(value.size, []).append(float(self._vector(value.size) @ value.ravel()))
            self._values.setdefault(value.size, []).append(value)
            self._sorted.pop(value.size, None)

    def add_all(self, contributions: Array) -> None:
        """Add what a tape's sweep shows: a value for each of its sums."""
        self.add(contributions[0])

    def values(self, shape: tuple[int, ...]) -> Array:
        """Return the values of a size in a shape, (values, *shape), as they are and transposed."""
        found = self._values.get(math.prod(shape), [])
        both = [*found, *(one.swapaxes(-1, -2) for one in found if one.ndim > 1)]
        return np.reshape([one.reshape(shape) for one in both], (-1, *shape))

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


class Watching(TorchFunctionMode):
    """A mode in which the result of every torch operation, and its adjoint, is added to what is known."""

    def __init__(self, known: Known):
        super().__init__()
        self.known = known

    def __torch_function__(self, function: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        result = function(*inputs, **(options or {}))
        for one in result if isinstance(result, tuple | list) else (result,):
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                with torch._C.DisableTorchFunction():
                    self.known.add(as_float64(one))
                    if one.requires_grad:
                        one.register_hook(lambda d: self.known.add(as_float64(d)))  # type: ignore[no-untyped-call]
        return result


def values_of(case: Any, k: int) -> Known:
    """Return every value that the reference computes in a trial, and its arguments."""
    known, problem = Known(), case.trials[k].problem
    with Watching(known):
        right = case.reference(k)
    for value in (*right.answer.outputs.values(), *problem.inputs.values(), *problem.parameters.values()):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            known.add(value)
    return known
