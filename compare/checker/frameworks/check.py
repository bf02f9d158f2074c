"""Check a function of JAX or HIPS autograd that has a rule of its own against one that has none."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from compare.checker.check import asserting, check_callable, checked_by, drawn
from compare.checker.derivations.form import argument_names, form_of
from compare.checker.diagnose import K
from compare.checker.frameworks.engines import Hips, Jax
from compare.checker.frameworks.function import FrameworkFunction
from compare.checker.lines.wrong_line import NotSought, WrongLine
from compare.checker.report.report import Report
from compare.checker.trials import Trials


def check_jax(function: Callable[..., Any], reference: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
    """Check a function of JAX that has a ``jax.custom_vjp`` against one that has none.

    Args:
        function: the function.
        reference: the same in JAX, without the rule.
        inputs: the arguments: pytrees of arrays, of functions of a ``numpy.random.Generator`` that return one, or of
            anything else, which is passed unchanged. All arrays of floating-point or complex numbers have a gradient.
        options: ``keywords``, ``outputs``, ``axes``, ``tolerance``, ``k``, ``seed`` and ``fast`` of ``check_function``.

    Raises:
        ValueError: JAX is not installed, or the arguments cannot be compared. Exceptions of the functions propagate.
    """
    return _check(Jax(), function, reference, inputs, **options)


def check_hips(function: Callable[..., Any], reference: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
    """Check a function of HIPS autograd that has a ``defvjp`` against one that has none. Arguments as ``check_jax``.

    Raises:
        ValueError: it is not installed, or the arguments cannot be compared. Exceptions of the functions propagate.
    """
    return _check(Hips(), function, reference, inputs, **options)


def _check(
    framework: Jax | Hips,
    function: Any,
    reference: Any,
    inputs: tuple[Any, ...],
    keywords: Mapping[str, Any] | None = None,
    outputs: tuple[str, ...] | None = None,
    axes: str = "",
    tolerance: float | None = None,
    k: float = K,
    seed: int = 0,
    fast: bool = False,
) -> Report:
    check_callable(function=function, reference=reference)
    names = argument_names(len(inputs), function, reference)
    form, given = form_of(names, inputs, keywords or {}, {}, lambda leaf: hasattr(leaf, "shape"), framework.containers)
    like = [value(np.random.default_rng(seed)) if callable(value) else value for value in given]
    arrays = {name: str(value.dtype) for name, value in zip(form.names, like) if hasattr(value, "dtype")}
    form = replace(form, complex_names=frozenset(n for n, dtype in arrays.items() if dtype.startswith("complex")))
    found = {"float32" if dtype == "complex64" else dtype for dtype in arrays.values()}
    dtype = next((one for one in ("bfloat16", "float16", "float32") if one in found), "float64")
    checked = FrameworkFunction(framework, function, form, dtype)
    draws = {name: partial(drawn, value) for name, value in zip(form.names, given)}
    trials = Trials(replace(checked, function=reference).as_reference(), draws, None, outputs, axes, seed)
    name = getattr(function, "__name__", type(function).__name__)
    report = checked_by(name, checked, trials, dtype, tolerance, k, fast)
    report.search = _no_search
    return report


def _no_search() -> list[WrongLine]:
    raise NotSought("in code of other frameworks than NumPy and torch")


assert_jax, assert_hips = asserting(check_jax), asserting(check_hips)
