"""Replace files atomically: write a temporary file in the same folder, then rename it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def filling(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder whose files are moved to ``folder`` if the block ends without an error.

    The file named ``last`` is removed first and comes last, so a folder that has it is complete.
    """
    temporary = folder / f".{os.getpid()}.partial"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        (folder / last).unlink(missing_ok=True)
        for path in sorted(temporary.iterdir(), key=lambda path: path.name == last):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
