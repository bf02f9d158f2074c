"""How JAX and HIPS autograd run and differentiate a function."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from torch.utils import _pytree
from torch.utils._python_dispatch import _get_current_dispatch_mode

from compare.checker.derivations.bridge import PullBack
from compare.checker.derivations.problem import Arrays
from compare.checker.expected.perturbation import Perturbation
from compare.checker.probe import listening
from compare.checker.recorder import as_float64, unheard
from manual.arrays import Array

#: Operations of JAX that do not round: they move, select or compare numbers.
EXACT = frozenset(
    """
    broadcast_in_dim reshape squeeze expand_dims slice concatenate transpose select_n gather dynamic_slice max min neg
    abs sign convert_element_type rev pad copy copy_p sort reduce_max reduce_min dynamic_update_slice stop_gradient
    split floor ceil round clamp
    """.split()  # noqa: SIM905 - a list of so many quoted names is harder to read
)


def needed(module: str, extra: str) -> ModuleType:
    """Import a module that an extra installs.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"expected {module}, which is not installed here: pip install -c constraints.txt -e '.[{extra}]'"
        ) from error


class Jax:
    """How JAX runs and differentiates a function of arrays: operation by operation, in double precision if asked."""

    def __init__(self) -> None:
        self.jax = needed("jax", "frameworks")
        self.containers = needed("jax.tree_util", "frameworks")

    def array(self, value: Any, dtype: str) -> Any:
        """Return a floating-point array in a dtype, and any other as it is."""
        with self.jax.enable_x64(True):
            return self.jax.numpy.asarray(value, dtype if np.asarray(value).dtype.kind == "f" else None)

    def joined(self, parts: Any) -> Any:
        """Return complex numbers, given their real and imaginary parts along the last axis."""
        return self.jax.lax.complex(parts[..., 0], parts[..., 1])

    def vjp(self, function: Callable[[list[Any]], dict[str, Any]], arrays: list[Any]) -> tuple[Arrays, PullBack]:
        """Run a function of arrays and return its outputs, and how to pull their gradients back."""
        jax, mode = self.jax, _get_current_dispatch_mode()

        def parted(given: list[Any]) -> dict[str, Any]:
            outputs = function(given).items()
            return {n: jax.numpy.stack([v.real, v.imag], -1) if jax.numpy.iscomplexobj(v) else v for n, v in outputs}

        def pulled(given: list[Any], d_outputs: dict[str, Any]) -> list[Any]:
            (found,) = jax.vjp(parted, given)[1](d_outputs)
            return found

        with jax.enable_x64(True), jax.disable_jit():
            if isinstance(mode, Perturbation):
                with listening(unheard):
                    outputs = self._perturbed(parted, mode, arrays)
            else:
                outputs, pull = jax.vjp(parted, arrays)

        def pull_back(d_outputs: Arrays) -> list[Array]:
            with jax.enable_x64(True), jax.disable_jit():
                given = {n: self._incoming(d_outputs[n], output) for n, output in outputs.items()}
                moved = isinstance(mode, Perturbation)
                found = self._perturbed(pulled, mode, arrays, given) if moved else pull(given)[0]  # type: ignore[arg-type]
            return [_double(d) for d in found]

        return {name: _double(value) for name, value in outputs.items()}, pull_back

    def _incoming(self, d: Array, output: Any) -> Any:
        if not self.jax.numpy.issubdtype(output.dtype, np.inexact):
            return np.zeros(output.shape, self.jax.dtypes.float0)
        return self.jax.numpy.asarray(d, output.dtype)

    def _perturbed(self, function: Callable[..., Any], mode: Perturbation, *given: Any) -> Any:
        """Run a function with the result of each operation moved."""
        closed, form = self.jax.make_jaxpr(function, return_shape=True)(*given)
        known = dict(zip(closed.jaxpr.constvars, closed.consts))
        known |= zip(closed.jaxpr.invars, self.containers.tree_leaves(given))

        def read(variable: Any) -> Any:
            return variable.val if hasattr(variable, "val") else known[variable]

        for equation in closed.jaxpr.eqns:
            options = equation.primitive.get_bind_params(equation.params)
            made = equation.primitive.bind(*map(read, equation.invars), **options)
            made = made if equation.primitive.multiple_results else [made]
            if equation.primitive.name not in EXACT:
                made = [mode.moved(value) for value in made]
            known |= zip(equation.outvars, made)
        structure = self.containers.tree_structure(form)
        return structure.unflatten(map(read, closed.jaxpr.outvars))


class Hips:
    """How HIPS autograd runs and differentiates a function of arrays."""

    containers = _pytree

    def __init__(self) -> None:
        self.make_vjp = needed("autograd", "bench").make_vjp
        self.traced_tuple = needed("autograd.builtins", "bench").tuple
        self.numpy = needed("autograd.numpy", "bench")

    def array(self, value: Any, dtype: str) -> Any:
        """Return a floating-point array in a dtype, and any other as it is."""
        return np.array(value, dtype if np.asarray(value).dtype.kind == "f" else None)

    def joined(self, parts: Any) -> Any:
        """Return complex numbers, given their real and imaginary parts along the last axis."""
        return parts[..., 0] + 1j * parts[..., 1]

    def vjp(self, function: Callable[[list[Any]], dict[str, Any]], arrays: list[Any]) -> tuple[Arrays, PullBack]:
        """Run a function of arrays and return its outputs, and how to pull their gradients back."""
        names: list[str] = []

        def parted(given: Any) -> Any:
            outputs = function([given[k] for k in range(len(arrays))])
            names[:] = outputs
            parts = [
                self.numpy.stack([self.numpy.real(v), self.numpy.imag(v)], -1) if self.numpy.iscomplexobj(v) else v
                for v in outputs.values()
            ]
            return self.traced_tuple(parts)

        pull, outputs = self.make_vjp(parted)(tuple(arrays))

        def pull_back(d_outputs: Arrays) -> list[Array]:
            given = tuple(np.asarray(d_outputs[n], np.asarray(v).dtype) for n, v in zip(names, outputs))
            return [_double(d) for d in pull(given)]

        return {name: _double(value) for name, value in zip(names, outputs)}, pull_back


def _double(value: Any) -> Array:
    """Return a copy in double precision; of what NumPy has no kind for, such as bfloat16, as well."""
    array = np.asarray(value)
    return as_float64(array.astype(np.float64) if array.dtype.kind == "V" else array)
