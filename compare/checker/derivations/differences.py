"""A reference made of values alone: its gradients are complex steps, or differences."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree

from compare.checker.derivations.bridge import bridged
from compare.checker.derivations.form import named
from compare.checker.derivations.problem import Arrays
from manual.arrays import Array

#: The imaginary step, whose square is nothing beside 1 even in float32's complex numbers.
TINY = 1e-20

#: The step of differences relative to the argument, and what their gradients are good to.
STEP, GRADIENTS_TO = float(np.finfo(float).eps ** (1 / 3)), 1e-6

#: How far a difference may be from complex steps, relative to the sum of their magnitudes.
NEAR = 1e-4

#: What is said where a complex step is none.
OTHER = "use compare.differences"

#: A function of arrays of real numbers, and its outputs by name.
Values = Callable[[Sequence[Array]], Arrays]


def complex_step(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a reference of a function in NumPy, differentiated by complex steps: exact to rounding.

    Im f(x + ih) / h is the derivative of an analytic f up to h² (Squire and Trapp, SIAM Review 40, 1998). It takes one
    call for each number among the arguments.

    Args:
        function: a function of arrays that computes with complex numbers as it does with real ones, without a
            comparison, ``abs`` or conjugate of what is to be differentiated.

    Raises:
        ValueError: from a call, if an argument is complex, or a difference shows that it is not analytic.
    """

    def slopes(values: Values, arrays: list[Array], d_outputs: Arrays) -> list[Array]:
        def moved(ways: list[Any]) -> complex:
            try:
                outputs = values([array + way for array, way in zip(arrays, ways)])
            except TypeError as error:
                raise ValueError(f"complex_step: the function takes no complex numbers: {error}; {OTHER}") from error
            return sum(complex((outputs[name] * d).sum()) for name, d in d_outputs.items())

        def slope(k: int, index: tuple[int, ...]) -> float:
            ways = [np.zeros(array.shape, np.result_type(array, np.complex64)) for array in arrays]
            ways[k][index] = 1j * TINY
            return moved(ways).imag / TINY

        found = _each(arrays, slope)
        ways = [STEP * np.random.default_rng(0).normal(size=array.shape) for array in arrays]
        terms = np.concatenate([np.ravel(d * way) for d, way in zip(found, ways)])
        difference = (moved(ways) - moved([-way for way in ways])).real / 2
        if arrays[0].dtype == np.float64 and abs(difference - terms.sum()) > NEAR * (np.abs(terms).sum() + STEP**2):
            raise ValueError(
                f"complex_step: expected an analytic function, its differences show that it is none; {OTHER}"
            )
        return found

    return _reference(function, slopes, 0.0)


def differences(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a reference of a function in NumPy, differentiated by central differences: to 1e-6, as the report says.

    It takes two calls for each number among the arguments, in double precision whatever is checked.
    """

    def slopes(values: Values, arrays: list[Array], d_outputs: Arrays) -> list[Array]:
        arrays = [array.astype(np.float64) for array in arrays]

        def slope(k: int, index: tuple[int, ...]) -> float:
            step = STEP * max(1.0, abs(float(arrays[k][index])))
            sides = []
            for sign in (1, -1):
                moved = [array.copy() for array in arrays]
                moved[k][index] += sign * step
                sides.append(values(moved))
            return sum(float(((sides[0][n] - sides[1][n]) * d).sum()) for n, d in d_outputs.items()) / (2 * step)

        return _each(arrays, slope)

    return _reference(function, slopes, GRADIENTS_TO)


def _each(arrays: list[Array], slope: Callable[[int, tuple[int, ...]], float]) -> list[Array]:
    """Return a number for each element of each array."""
    found = [np.zeros(array.shape) for array in arrays]
    for k, array in enumerate(arrays):
        for index in np.ndindex(array.shape):
            found[k][index] = slope(k, index)
    return found


def _reference(
    function: Callable[..., Any], slopes: Callable[[Values, list[Array], Arrays], list[Array]], gradients_to: float
) -> Callable[..., Any]:
    """Return a function of tensors that has a function's values, and for gradients its slopes."""

    @wraps(function)
    def reference(*arguments: Any, **keywords: Any) -> dict[str, torch.Tensor]:
        leaves, spec = _pytree.tree_flatten((arguments, keywords))
        for leaf in leaves:
            if isinstance(leaf, torch.Tensor) and leaf.is_complex():
                raise ValueError(f"reference: expected real arguments, got a tensor of {leaf.dtype}")
        moving = [k for k, v in enumerate(leaves) if isinstance(v, torch.Tensor) and v.is_floating_point()]
        fixed = [v.numpy() if isinstance(v, torch.Tensor) else v for k, v in enumerate(leaves) if k not in moving]

        def values(arrays: Sequence[Array]) -> Arrays:
            given, others = iter(arrays), iter(fixed)
            mixed = [next(given) if k in moving else next(others) for k in range(len(leaves))]
            positional, keywords = _pytree.tree_unflatten(mixed, spec)
            return {n: np.array(v) for n, v in named(function(*positional, **keywords)).items()}

        def run(arrays: list[Array]) -> tuple[Arrays, Callable[[Arrays], list[Array]]]:
            return values(arrays), lambda d_outputs: slopes(values, arrays, d_outputs)

        return bridged(run, [leaves[k] for k in moving])

    reference.gradients_to = gradients_to  # type: ignore[attr-defined]
    return reference
