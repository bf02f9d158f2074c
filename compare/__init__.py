"""Where the two sides meet: shared weights, the comparison, the report; and a check for anybody's backward pass.

``check_backward``, ``assert_backward``, ``check_function``, ``assert_function`` and ``check_file`` check a derivation
against autograd; ``probe`` marks its intermediates, and ``c_function`` makes a function in C one of arrays.
``compare/checker/README.md`` shows how.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):  # noqa: UP036
    __version__ = "0.1.0"
else:  # setuptools finds the version by running this file, so pip says it too
    raise ImportError("lstm-by-hand needs Python 3.11 or newer, this is " + sys.version.split()[0], name=__name__)

if TYPE_CHECKING:
    from compare.cells.check import check_file
    from compare.checker.check import assert_backward, assert_function, check_backward, check_function
    from compare.checker.derivations.c_function import c_function
    from compare.checker.derivations.differences import complex_step, differences
    from compare.checker.frameworks.check import assert_hips, assert_jax, check_hips, check_jax
    from compare.checker.probe import probe

#: The public functions of each module, which is imported on first use because most import torch.
_FUNCTIONS = {
    "cells.check": ("check_file",),
    "checker.check": ("assert_backward", "assert_function", "check_backward", "check_function"),
    "checker.derivations.c_function": ("c_function",),
    "checker.derivations.differences": ("complex_step", "differences"),
    "checker.frameworks.check": ("assert_hips", "assert_jax", "check_hips", "check_jax"),
    "checker.probe": ("probe",),
}

__all__ = [
    "assert_backward",
    "assert_function",
    "assert_hips",
    "assert_jax",
    "c_function",
    "check_backward",
    "check_file",
    "check_function",
    "check_hips",
    "check_jax",
    "complex_step",
    "differences",
    "probe",
]


def __dir__() -> list[str]:
    """Return the public names, for tab completion."""
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public function."""
    module = next((module for module, names in _FUNCTIONS.items() if name in names), None)
    if not module:
        nearest = "".join(f", did you mean {match!r}?" for match in get_close_matches(name, __all__, n=1))
        message = f"module 'compare' has no attribute {name!r}{nearest}"
        raise AttributeError(message, name=name, obj=None)  # of no object, or Python suggests the same once more
    return getattr(import_module(f"compare.{module}"), name)
