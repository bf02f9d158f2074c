"""What is checked against autograd: a problem, and a derivation that solves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from manual.arrays import Array

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """The arguments of both sides: parameters, inputs, and an incoming gradient for each output.

    Parameters and incoming gradients are arrays. An input may be anything; it has a gradient if it is a floating-point
    array that is not ``fixed``.
    """

    parameters: Arrays
    inputs: dict[str, Any]
    d_outputs: Arrays
    fixed: frozenset[str] = frozenset()

    @property
    def differentiable(self) -> list[str]:
        """The inputs that have a gradient."""
        return [name for name, value in self.inputs.items() if _is_real(value) and name not in self.fixed]

    def mapped(self, change: Callable[[Array], Array]) -> "Problem":
        """Return the problem with all floating-point arrays changed."""
        parameters, inputs, d_outputs = (
            _mapped(part, change) for part in (self.parameters, self.inputs, self.d_outputs)
        )
        return Problem(parameters, inputs, d_outputs, self.fixed)

    def in_precision(self, dtype: str) -> "Problem":
        """Return the problem with all floating-point arrays in another dtype."""
        return self.mapped(partial(_rounded, dtype=dtype))

    def perturbed(self, seed: int, share: float) -> "Problem":
        """Return the problem with all floating-point numbers moved up or down by a share of their value."""
        rng = np.random.default_rng(seed)
        return self.mapped(lambda array: array * (1 + share * rng.choice([-1, 1], array.shape)).astype(array.dtype))


def in_precision(values: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Round all floating-point arrays to a dtype; bfloat16, which NumPy lacks, becomes float32."""
    return _mapped(values, partial(_rounded, dtype=dtype))


def _rounded(array: Array, dtype: str) -> Array:
    return array.astype("float32" if dtype == "bfloat16" else dtype, copy=False)


def _mapped(values: Mapping[str, Any], change: Callable[[Array], Array]) -> dict[str, Any]:
    return {name: change(value) if _is_real(value) else value for name, value in values.items()}


def _is_real(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


@dataclass(frozen=True)
class Answer:
    """The result of a derivation, by name: outputs, gradients of the inputs and gradients of the parameters.

    ``left_out`` names the gradients that were not derived, ``changed`` the arguments that the derivation wrote to,
    ``open`` what is still to be derived.
    """

    outputs: Arrays
    d_inputs: Arrays
    gradients: Arrays
    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def tensors(self) -> Arrays:
        """Return all of them in one dict; the gradient of an input is named ``d_`` and the input."""
        return self.outputs | {f"d_{name}": array for name, array in self.d_inputs.items()} | self.gradients


class Derivation(Protocol):
    """A forward and a backward pass derived by hand.

    It may have a method ``in_precision``, which returns the same derivation on arguments of another dtype.
    """

    def solve(self, problem: Problem, probe: Any) -> Answer:
        """Run both passes, calling the probe, if any, at each named intermediate."""
