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
    """Values, recognised by their product with one random vector.

    ``named`` holds the adjoints of the variables of the user's own forward pass, by name.
    """

    def __init__(self) -> None:
        self.named: dict[str, list[Array]] = {}
        self._pairs: list[tuple[Array, Array]] = []
        self._products: dict[int, list[float]] = {}
        self._values: dict[int, list[Array]] = {}
        self._sorted: dict[int, tuple[Array, Array]] = {}
        self._vectors: dict[int, Array] = {}

    def add(self, value: Array) -> None:
        """Add a value."""
        if value.size and np.isfinite(value).all() and value.any():
            self._products.setdefault(value.size, []).append(float(self._vector(value.size) @ value.ravel()))
            self._values.setdefault(value.size, []).append(value)
            self._sorted.pop(value.size, None)

    def add_pair(self, value: Array, adjoint: Array) -> None:
        """Add the adjoint of a value."""
        self.add(adjoint)
        self._pairs.append((value, adjoint))

    def name(self, name: str, value: Array) -> None:
        """Name the adjoints of this value."""
        for one, adjoint in self._pairs:
            if one.shape == value.shape and np.allclose(one, value, rtol=NEAR, atol=0):
                self.named.setdefault(name, []).append(adjoint)

    def scale(self, name: str, value: Array) -> float | None:
        """Return what times an adjoint of a variable a value is; 0 if no multiple, None if no adjoint is known."""
        found = None
        for adjoint in self.named.get(name, []) if value.any() else ():
            if adjoint.shape == value.shape and adjoint.any():
                found = float((adjoint * value).sum() / (adjoint * adjoint).sum())
                if np.abs(value - found * adjoint).max() <= NEAR * np.abs(value).max():
                    return found
        return found and 0.0

    def add_all(self, contributions: Array) -> None:
        """Add what a tape's sweep shows: a value for each of its sums."""
        self.add(contributions[0])

    def values(self, shape: tuple[int, ...], transposed: bool = True) -> Array:
        """Return the values of a size in a shape, (values, *shape), as they are and ``transposed``."""
        found = self._values.get(math.prod(shape), [])
        both = [*found, *(one.swapaxes(-1, -2) for one in found if transposed and one.ndim > 1)]
        return np.reshape([one.reshape(shape) for one in both], (-1, *shape))

    def has(self, value: Array, scaled: bool = False) -> bool:
        """Whether a value is known, as it is or transposed; or, ``scaled``, times a number."""
        products = self._products.get(value.size)
        length = float(np.sqrt((value * value).sum()))
        if products is None or not length:
            return False
        if value.size not in self._sorted:
            lengths = [np.sqrt((one * one).sum()) for one in self._values[value.size]]
            self._sorted[value.size] = np.sort(products), np.sort(np.abs(products) / np.array(lengths))
        known, vector = self._sorted[value.size][scaled], self._vector(value.size)
        within = NEAR * float((1.0 if scaled else length) * np.sqrt(value.size))
        for one in (value, value.swapaxes(-1, -2)) if value.ndim > 1 else (value,):
            product = float(vector @ one.ravel())
            product = abs(product) / length if scaled else product
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
                    value = as_float64(one)
                    self.known.add(value)
                    if one.requires_grad:
                        one.register_hook(lambda d, value=value: self.known.add_pair(value, as_float64(d)))  # type: ignore[no-untyped-call]
                    if one.grad_fn is not None:
                        one.grad_fn.register_hook(lambda parts, _: self._add_parts(parts))
        return result

    def _add_parts(self, parts: Any) -> None:
        """Add what an operation contributes to the adjoint of each operand."""
        for one in parts:
            if one is not None:
                self.known.add(as_float64(one))


def values_of(case: Any, k: int) -> Known:
    """Return every value that the reference computes in a trial, and its arguments."""
    known, problem = Known(), case.trials[k].problem
    with Watching(known):
        right = case.reference(k)
    for value in (*right.answer.outputs.values(), *problem.inputs.values(), *problem.parameters.values()):
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            known.add(value)
    return known
