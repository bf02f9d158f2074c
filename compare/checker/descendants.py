"""Run a function in a child process, and end with it all the processes that it has started.

On Linux these are found even where they have left its process group and have lost their parents, as daemons have; the
system gives such orphans to this process. Elsewhere it is those of the process group.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import NoReturn

#: Operations of Linux's prctl: to be sent a signal at the end of the parent, and to adopt orphaned descendants.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def run(function: Callable[[], None], while_open: int, in_parent: Callable[[], None]) -> NoReturn:
    """Run a function in a child process, and exit when it has ended, after ending all that it has started.

    The same happens earlier when SIGTERM comes, or a file descriptor can be read or is closed at its other end.

    Args:
        function: what to run.
        while_open: the file descriptor.
        in_parent: what this process does meanwhile: it closes what the child alone is to hold open.
    """
    os.setsid()  # else an interrupt in the terminal would end this process first
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            function()
        finally:
            os._exit(0)  # without waiting for threads
    try:
        in_parent()
        while not wait([while_open], timeout=0.02) and os.waitpid(child, os.WNOHANG) == (0, 0):
            pass
    finally:
        _end_all(child)
        os._exit(0)


def _end_all(child: int) -> None:
    """End a child process with its group, and whatever else descends from this process."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for process in _children():
                os.kill(process, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> Iterator[int]:
    """Yield the children of this process, on Linux."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parent = stat.read_text().rpartition(")")[2].split()[1]  # the name, in parentheses, may be anything
            if int(parent) == os.getpid():
                yield int(stat.parent.name)


def _prctl(operation: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(operation, value, 0, 0, 0)
