"""The output of the commands: a folder for files, and a console for tables."""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

#: The width of tables, in columns, if the output is no terminal.
PIPED_WIDTH = 120


def add_out(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--out``, by default a new folder in runs/."""
    now = Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    parser.add_argument("--out", type=Path, metavar="DIR", default=now, help=meaning)


def make_ready(folder: Path) -> None:
    """Create the folder and check that files can be written to it, before work is spent on results.

    Raises:
        ValueError: files cannot be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"out: expected a writable folder, got {folder}: {error.strerror}") from None


def console(width: int = PIPED_WIDTH) -> Console:
    """Return a console on standard output, of the given width if that is no terminal."""
    return Console(width=None if sys.stdout.isatty() else width)
