"""``probe``: mark an intermediate of a derivation, or of the reference that it is held against."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_active: Callable[..., Any] | None = None


def probe(name: str, value: Any, t: int | None = None) -> Any:
    """Show an intermediate of a derivation, or of its reference, under a name, and return the value to go on with.

    Outside of a check the value comes back as it is, so that probes can stay in the code.

    Args:
        name: of the quantity; ``d_`` and a name for its adjoint.
        value: an array, a tensor or a number, of any shape.
        t: the step, where calls come in another order than the steps.
    """
    return value if _active is None else _active(name, value, t=t)


@contextmanager
def listening(recorder: Callable[..., Any]) -> Iterator[None]:
    """Send what ``probe`` is shown inside the block to a recorder."""
    global _active
    before, _active = _active, recorder
    try:
        yield
    finally:
        _active = before
