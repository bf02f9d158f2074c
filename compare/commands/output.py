"""The output of the commands: a folder for files, and a console for tables."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

#: The width of tables, in columns, if the output is no terminal.
PIPED_WIDTH = 120


def add_out(parser: argparse._ActionsContainer, meaning: str) -> None:
    """Add ``--out``, by default a folder in runs/ that no other process has."""
    now = Path("runs") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{os.getpid()}"
    parser.add_argument("--out", type=Path, metavar="DIR", default=now, help=meaning)


def make_ready(folder: Path) -> None:
    """Raise a ValueError unless files can be written to the folder, or its parent, before work is spent on results."""
    try:
        place = folder if folder.exists() else folder.parent
        place.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=place).close()
    except OSError as error:
        raise ValueError(f"out: expected a writable folder, got {folder}: {error.strerror}") from None


def console(width: int = PIPED_WIDTH) -> Console:
    """Return a console on standard output, of the given width if that is no terminal or has no width."""
    return Console(width=(sys.stdout.isatty() and Console().width) or width)


@contextmanager
def to_whoever_reads() -> Iterator[None]:
    """Print what a reader still takes; a closed pipe is no error."""
    with suppress(BrokenPipeError, SystemExit):  # the latter is rich's answer to the former
        yield
        sys.stdout.flush()
