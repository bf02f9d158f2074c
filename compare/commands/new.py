"""``new``: a starter file for a derivation."""

import argparse
from pathlib import Path

from compare.cells import CELLS
from compare.cells.cell import STARTERS
from compare.commands import AGREE


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the path of the file and what it derives."""
    parser.description = (
        "Write a starter file: a complete forward pass with probes, and a backward pass to be filled in. "
        "`lstm-by-hand check FILE` checks it."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write; it must not exist yet")
    subject = parser.add_mutually_exclusive_group()
    subject.add_argument("--cell", type=str.lower, choices=tuple(CELLS), default="lstm", help="kind of recurrent layer")
    subject.add_argument(
        "--reference",
        action="store_true",
        help="a derivation of anything else; also write FILE_reference.py, the torch function to check it against",
    )


def run(options: argparse.Namespace) -> int:
    """Copy the starter, or both."""
    starters = {options.file: CELLS[options.cell].starter}
    check = f"lstm-by-hand check {options.file}"
    if options.reference:
        reference = options.file.with_name(f"{options.file.stem}_reference.py")
        starters = {options.file: STARTERS / "derivation.py", reference: STARTERS / "derivation_reference.py"}
        check += f" --reference {reference}:reference"
    for path in starters:
        if path.exists():
            raise ValueError(f"FILE: expected a new file, but {path} exists")
    if not all(starter.exists() for starter in starters.values()):
        raise ValueError(f"cell: expected one with a starter, got {options.cell}")
    for path, starter in starters.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                file.write(starter.read_text())
        except OSError as error:
            raise ValueError(f"FILE: expected a path to write to, got {path}: {error.strerror}") from None
    print(f"Written to {' and '.join(map(str, starters))}. Fill in each ... and run: {check}")
    return AGREE
