"""Replace files and folders as a whole: write under a temporary name, then rename."""

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
def filling(folder: Path, *names: str) -> Iterator[Path]:
    """Yield a temporary folder, which takes the place of ``folder`` if the block ends without an error.

    A new folder appears by a single rename. In an existing one, which may have other files as well, the first of the
    names is removed first and comes last. So a folder that has this file is complete.

    Args:
        folder: the folder to fill.
        names: all files that the block may write. Those that it does not write are removed from an existing folder.
    """
    existing = folder.exists()
    temporary = (folder if existing else folder.parent) / f".{os.getpid()}.{folder.name}.partial"
    for left in folder.glob(".*.partial") if existing else [temporary]:  # by killed processes
        shutil.rmtree(left, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if existing:
            (folder / names[0]).unlink(missing_ok=True)
            written = [name for name in reversed(names) if (temporary / name).exists()]
            for name in written:
                (temporary / name).replace(folder / name)
            for name in set(names) - set(written):
                (folder / name).unlink(missing_ok=True)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
