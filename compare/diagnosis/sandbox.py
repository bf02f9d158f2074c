"""Run a check of a user's file in processes of its own, which may raise, take all memory, or never end."""

import base64
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console


@dataclass(frozen=True)
class Checked:
    """What comes back: whether the derivation agrees, ``Report.as_json``, the report as text, and its picture, a PNG.

    There is no picture of a derivation that agrees.
    """

    agrees: bool
    found: dict[str, Any]
    text: str
    picture: bytes


def check_within(
    seconds: float,
    memory: float,
    path: Path,
    reference: tuple[Path, str] | None = None,
    seed: int = 0,
    quiet: bool = False,
    console: Console | None = None,
) -> Checked:
    """Do what ``check_file`` does, for at most so many seconds and with at most so many GiB.

    The file runs in a process group of its own, which ends with this call and with the process that makes it, however
    that ends. What is found comes back as JSON: nothing that the file made is unpickled here. ``quiet`` sends what the
    file prints to standard error. The text is laid out for ``console``; without one it is plain.

    Raises:
        ValueError: it took longer; or it raised. Then the message is that of the error and where in the user's file it
            came from, and for an error of the user's own code the traceback, from that file on.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    look = (console.width, console.color_system if console.is_terminal else None) if console else (120, None)
    process = context.Process(target=_run, args=(theirs, memory, path, reference, seed, quiet, look))
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise ValueError(f"{path}: expected an end within {seconds:g} s (--timeout), got none")
        outcome = json.loads(ours.recv_bytes())
    except (EOFError, OSError):
        raise ValueError(f"{path}: expected a result, but its process ended without one") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()  # where it had no time yet to make a group
        process.join()
    if "error" in outcome:
        raise ValueError(outcome["error"])
    return Checked(outcome["agrees"], outcome["found"], outcome["text"], base64.b64decode(outcome["picture"]))


def _run(
    connection: Connection,
    memory: float,
    path: Path,
    reference: tuple[Path, str] | None,
    seed: int,
    quiet: bool,
    look: tuple[int, Any],
) -> None:
    """In the other process: send what the check found, or say what went wrong."""
    os.setsid()
    _end_with_parent()
    if quiet:
        sys.stdout = sys.stderr
    try:
        from compare.diagnosis.files import check_file  # takes torch, which the process that waits does not need

        sys.path.append(str(path.resolve().parent))
        _limit_memory(memory)
        report = check_file(path, reference, seed)
        text = StringIO()
        report.show(Console(file=text, width=look[0], force_terminal=bool(look[1]), color_system=look[1]))
        picture = b""
        if not report.agrees:
            with tempfile.TemporaryDirectory() as folder:
                report.draw(Path(folder) / "faults.png")
                picture = (Path(folder) / "faults.png").read_bytes()
        outcome = {
            "agrees": report.agrees,
            "found": report.as_json(),
            "text": text.getvalue(),
            "picture": base64.b64encode(picture).decode(),
        }
    except BaseException as error:  # also SystemExit and the like: whatever it is, it is the file's
        outcome = {"error": _explained(error, path)}
    with suppress(ValueError, OSError):  # a file may close its output
        sys.stdout.flush()
        sys.stderr.flush()
    connection.send_bytes(json.dumps(outcome).encode())
    os._exit(0)  # whatever threads the file has left


def _end_with_parent() -> None:
    """Fork a process that kills the group when the process that asked for the check is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None or os.fork():
        return
    keep = parent.sentinel
    os.closerange(0, keep)
    os.closerange(keep + 1, 256)
    with suppress(OSError):
        os.read(keep, 1)  # returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


def _limit_memory(gibibytes: float) -> None:
    """Limit what the process may take in addition to what torch has taken."""
    pages = int(Path("/proc/self/statm").read_text().split()[5]) if sys.platform == "linux" else 0
    limit = pages * resource.getpagesize() + int(gibibytes * 2**30)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def _explained(error: BaseException, path: Path) -> str:
    """An error as the user should see it: without a line of ours."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path.resolve():
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if Path(frame.filename).resolve() == path.resolve()]
    if isinstance(error, ValueError) and (not own or (own[-1] < len(frames) - 1 and _is_ours(frames[-1].filename))):
        return f"{path}:{frames[own[-1]].lineno}: {error}" if own else str(error)
    if not own:
        return f"{path}: {''.join(traceback.format_exception_only(error)).rstrip()}"
    trace = error.__traceback__
    for _ in range(own[0]):
        trace = trace.tb_next if trace else None
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _is_ours(filename: str) -> bool:
    return Path(filename).parent == Path(__file__).parent
