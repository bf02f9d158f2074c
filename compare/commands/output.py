"""Where commands print and write to."""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

#: Columns of the tables where no terminal says how many there are.
PIPED_WIDTH = 120


def add_out(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--out``, by default a new folder under runs/."""
    now = Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    parser.add_argument("--out", type=Path, metavar="DIR", default=now, help=meaning)


def make_ready(folder: Path) -> None:
    """Make the folder if need be; before the work, whose results would otherwise have nowhere to go.

    Raises:
        ValueError: files cannot be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"out: expected a folder that can be written to, got {folder}: {error.strerror}") from None


def console(width: int = PIPED_WIDTH) -> Console:
    """Standard output, so many columns wide where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else width)
