"""``probe``: mark an intermediate of a derivation or of its reference."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_active: Callable[..., Any] | None = None

#: Sees each call of a function while a recorder listens, as ``sys.settrace`` has it.
tracer: Callable[..., Any] | None = None


def probe(name: str, value: Any, t: int | None = None) -> Any:
    """Show an intermediate of a derivation or of its reference, and return the value to continue with.

    Outside a check the value is returned unchanged, so probes can stay in the code.

    Args:
        name: the name of the quantity; ``d_`` followed by a name for its adjoint.
        value: an array, a tensor or a number, of any shape.
        t: the time step, needed only if the calls are not in the order of the steps.
    """
    return value if _active is None else _active(name, value, t=t)


def listener() -> Callable[..., Any] | None:
    """Return what is sent everything that is given to ``probe``; None outside a check."""
    return _active


@contextmanager
def listening(recorder: Callable[..., Any]) -> Iterator[None]:
    """Send everything given to ``probe`` inside the block to a recorder."""
    global _active
    before, _active = _active, recorder
    traced = tracer and sys.gettrace() is None  # and not by a debugger
    if traced:
        sys.settrace(tracer)
    try:
        yield
    finally:
        _active = before
        if traced:
            sys.settrace(None)
