"""Run the check of a user's file in a separate process, since the file may raise, exhaust memory or never end."""

import base64
import json
import multiprocessing
import os
import resource
import secrets
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import StringIO
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:  # the process that waits need not import torch
    from compare.checker.report.report import Report

#: Checks a file against a reference, the file and name of one, or against its cell if None, with a seed.
Check = Callable[[Path, tuple[Path, str] | None, int], "Report"]

#: Draws a report, as files in an empty folder.
Draw = Callable[["Report", Path], None]

#: The largest result that is read, in bytes. One with 64 steps of everything has about a million.
LARGEST_RESULT = 1 << 28


@dataclass(frozen=True)
class Checked:
    """The result of a check: ``Report.as_json``, the report as text, and the files that are drawn of it, by name."""

    found: dict[str, Any]
    text: str
    drawn: dict[str, bytes]


def check_within(
    check: Check,
    draw: Draw,
    seconds: float,
    memory: float,
    path: Path,
    reference: tuple[Path, str] | None = None,
    seed: int = 0,
    quiet: bool = False,
    console: Console | None = None,
) -> Checked:
    """Run a check of a file with limits on time, in seconds, and memory, in GiB.

    The file runs in a process group of its own, which is killed when this call returns or when the calling process
    dies, even by SIGKILL. The result comes back as JSON; nothing from that process is unpickled here. The report is
    drawn there, too. ``quiet`` redirects what the file prints to standard error. The text is rendered for ``console``,
    or as plain text if None.

    Raises:
        ValueError: the check exceeded the time limit or raised. The message then names the line of the user's file, and
            for an exception from the user's code it is the traceback, starting at that file.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    look = (console.width, console.color_system if console.is_terminal else None) if console else (120, None)
    run, mark = partial(_check, check, draw, memory, path, reference, seed, quiet, look), secrets.token_bytes(16)
    process = context.Process(target=_run, args=(theirs, run, mark))
    process.start()
    theirs.close()
    try:
        outcome = json.loads(_received(ours, process.sentinel, mark, seconds))
    except TimeoutError:
        raise ValueError(f"{path}: expected a result within {seconds:g} s (--timeout), got none") from None
    except (EOFError, OSError, json.JSONDecodeError):
        raise ValueError(f"{path}: expected a result, but its process ended without one") from None
    finally:
        assert process.pid, "it was started"
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # which may have no group yet
        process.join()
    if "error" in outcome:
        raise ValueError(outcome["error"])
    drawn = {name: base64.b64decode(content) for name, content in outcome["drawn"].items()}
    return Checked(outcome["found"], outcome["text"], drawn)


def _received(connection: Connection, ended: int, mark: bytes, seconds: float) -> bytes:
    """Return what comes between two marks. The file may write to the pipe, too, but it does not know the mark."""
    end, received = monotonic() + seconds, bytearray()
    while monotonic() < end and (ready := wait([connection, ended], end - monotonic())):
        chunk = os.read(connection.fileno(), 1 << 16) if connection in ready else b""
        received += chunk
        _, begun, result = received.partition(mark)
        if begun and mark in result:
            return bytes(result.partition(mark)[0])
        if not chunk or len(received) > LARGEST_RESULT:
            raise EOFError
        if not begun:
            received = received[-len(mark) :]
    raise TimeoutError


def _run(connection: Connection, check: Callable[[], dict[str, Any]], mark: bytes) -> None:
    """In the other process, send the outcome of the check. It and all that it has started end with the parent."""
    parent = multiprocessing.parent_process()
    assert parent, "this is a child process"
    os.setsid()

    def end_with_the_parent() -> None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    own, outcome = os.getpid(), check()
    if os.getpid() == own:  # and not a copy that the file has made of the process
        with connection, os.fdopen(os.dup(connection.fileno()), "wb") as pipe:
            pipe.write(mark + json.dumps(outcome).encode() + mark)


def _check(
    check: Check,
    draw: Draw,
    memory: float,
    path: Path,
    reference: tuple[Path, str] | None,
    seed: int,
    quiet: bool,
    look: tuple[int, Any],
) -> dict[str, Any]:
    """Return the result, or an error message, as JSON holds it."""
    if quiet:
        sys.stdout = sys.stderr
    try:
        sys.path.append(str(path.resolve().parent))
        _limit_memory(memory)
        report = check(path, reference, seed)
        text = StringIO()
        report.show(Console(file=text, width=look[0], force_terminal=bool(look[1]), color_system=look[1]))
        with tempfile.TemporaryDirectory() as folder:
            draw(report, Path(folder))
            drawn = {file.name: base64.b64encode(file.read_bytes()).decode() for file in Path(folder).iterdir()}
        outcome = {"found": report.as_json(), "text": text.getvalue(), "drawn": drawn}
    except BaseException as error:  # including SystemExit: whatever it is, the file raised it
        outcome = {"error": _explained(error, path, *(reference or ())[:1])}
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the file may have closed or replaced it
            stream.flush()
    return outcome


def _limit_memory(gibibytes: float) -> None:
    """Limit the memory that this process may allocate from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[5]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + int(gibibytes * 2**30)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def _explained(error: BaseException, *files: Path) -> str:
    """Format an error for the user, without this project's own frames."""
    theirs = {file.resolve() for file in files}
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() in theirs:
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if Path(frame.filename).resolve() in theirs]
    ours = bool(frames) and Path(__file__).parents[1] in Path(frames[-1].filename).parents
    if isinstance(error, ValueError) and (not own or (own[-1] < len(frames) - 1 and ours)):
        return f"{frames[own[-1]].filename}:{frames[own[-1]].lineno}: {error}" if own else str(error)
    if not own:
        return f"{files[0]}: {''.join(traceback.format_exception_only(error)).rstrip()}"
    trace = error.__traceback__
    for _ in range(own[0]):
        trace = trace.tb_next if trace else None
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
