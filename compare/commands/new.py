"""``new``: a starter file for a derivation."""

import argparse
from pathlib import Path

from compare.cells import CELLS
from compare.commands import AGREE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the path of the file and the kind of cell."""
    parser.description = (
        "Write a starter file: a complete forward pass with probes, and a backward pass to be filled in. "
        "`python -m compare check FILE` checks it."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write; it must not exist yet")
    parser.add_argument("--cell", choices=tuple(CELLS), default="lstm", help="kind of recurrent layer")


def run(options: argparse.Namespace) -> int:
    """Copy the starter."""
    starter = Path(__file__).parent.parent / "diagnosis" / "starters" / f"{options.cell}.py"
    try:
        with options.file.open("x") as file:
            file.write(starter.read_text())
    except FileExistsError:
        raise ValueError(f"FILE: expected a new file, but {options.file} exists") from None
    except OSError as error:
        raise ValueError(f"FILE: expected a path to write to, got {options.file}: {error.strerror}") from None
    print(f"Written to {options.file}. Fill in each ... and run: python -m compare check {options.file}")
    return AGREE
