"""Where the two sides meet: shared weights, the comparison, the report; and a check for anybody's backward pass.

``check_backward``, ``assert_backward``, ``check_function``, ``assert_function`` and ``check_file`` check a derivation
against autograd; ``probe`` marks its intermediates. ``compare/diagnosis/README.md`` shows how.
"""

from importlib import import_module
from typing import Any

from compare.diagnosis.probe import probe

#: The module of each public function, imported on first use because it imports torch.
_PLACES = {
    "assert_backward": "any_derivation",
    "assert_function": "any_derivation",
    "check_backward": "any_derivation",
    "check_file": "files",
    "check_function": "any_derivation",
}

__all__ = ["assert_backward", "assert_function", "check_backward", "check_file", "check_function", "probe"]


def __getattr__(name: str) -> Any:
    """Import a public function."""
    if name not in _PLACES:
        raise AttributeError(f"module 'compare' has no attribute {name!r}")
    return getattr(import_module(f"compare.diagnosis.{_PLACES[name]}"), name)
