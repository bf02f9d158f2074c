"""``new``: a file to derive a layer in."""

import argparse
from pathlib import Path

from compare.cells import CELLS
from compare.commands import AGREE

HELP = "write a file to derive a layer in, for `check`"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the file goes and what it is for."""
    parser.description = "Write a starter file: weights in, forward, backward to be filled in, with probes."
    parser.add_argument("file", type=Path, metavar="FILE", help="where to write it; it must not be there yet")
    parser.add_argument("--cell", choices=tuple(CELLS), default="lstm", help="kind of recurrent layer")


def run(options: argparse.Namespace) -> int:
    """Copy the starter."""
    starter = Path(__file__).parent.parent / "diagnosis" / "starters" / f"{options.cell}.py"
    try:
        with options.file.open("x") as file:
            file.write(starter.read_text())
    except FileExistsError:
        raise ValueError(f"file: expected a place that is free, got {options.file}, which is there") from None
    except OSError as error:
        raise ValueError(f"file: expected a place to write to, got {options.file}: {error.strerror}") from None
    print(f"Written to {options.file}. Fill in each ... and run: python -m compare check {options.file}")
    return AGREE
