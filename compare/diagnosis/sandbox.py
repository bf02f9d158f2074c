"""Run a check of a user's file in a process of its own, which may raise, and may never end."""

import multiprocessing
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from compare.diagnosis.report import Report


def check_within(
    seconds: float,
    path: Path,
    reference: tuple[Path, str] | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Report:
    """Do what ``check_file`` does, for at most so many seconds.

    ``quiet`` sends what the file prints to standard error.

    Raises:
        ValueError: it took longer; or it raised. Then the message is that of the error and where in the user's file it
            came from, and for an error of the user's own code the traceback, from that file on.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, path, reference, seed, quiet), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise ValueError(f"{path}: expected an end within {seconds:g} s (--timeout), got none")
        outcome: Report | str = ours.recv()
    except EOFError:
        raise ValueError(f"{path}: expected a result, but its process ended without one") from None
    finally:
        process.kill()
        process.join()
    if isinstance(outcome, str):
        raise ValueError(outcome)
    return outcome


def _run(connection: Connection, path: Path, reference: tuple[Path, str] | None, seed: int, quiet: bool) -> None:
    """In the other process: send what the check found, or say what went wrong."""
    if quiet:
        sys.stdout = sys.stderr
    try:
        from compare.diagnosis.files import check_file  # takes torch, which the process that waits does not need

        connection.send(check_file(path, reference, seed))
    except BaseException as error:  # also SystemExit and the like: whatever it is, it is the file's
        connection.send(_explained(error, path))


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
