"""Why the lines of a function are not looked at."""

import functools
from types import MethodType
from typing import Any

from compare.checker.lines.program import Program, reachable
from compare.checker.lines.wrong_line import NotSought


def unseen(function: Any, program: Program) -> NotSought | None:
    """Return why the lines of a function are not among those of the program; None if they are."""
    while isinstance(function, functools.partial | MethodType | staticmethod):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    name = getattr(function, "__name__", type(function).__name__)
    if function not in program.missing:
        if not program.functions.keys().isdisjoint(reachable([function])):
            return None
        kind = "part of a library" if hasattr(function, "__code__") else "not written in Python"
        return NotSought(f"in {name}, which is {kind}")
    if hasattr(function, "py_func"):
        return NotSought(f"in {name}, which Numba compiles", "set NUMBA_DISABLE_JIT=1 for the check, or place probes")
    file = function.__code__.co_filename
    if file in program.files:
        return NotSought(f"in {name}, which is not what {file} holds", "import it again, or place probes")
    where = f"in {name}, which has no source, as code typed at a prompt or run by exec"
    return NotSought(where, "save it in a file, or place probes")
