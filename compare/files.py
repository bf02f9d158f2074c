"""Replace files and folders as a whole: write under a temporary name, then rename.

The temporary name says which process writes. What a killed one has left goes when another writes to the same place.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from platform import node

#: How temporary names begin; the process and the final name follow. A process of another machine cannot be judged.
PREFIX = f".partial-{node()}-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path.parent, path.name)
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

    ``names`` are all files that the block may write; those that it does not write are removed from an existing folder.
    """
    existing = folder.exists()
    temporary = _temporary(folder if existing else folder.parent, folder.name)
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


def _temporary(place: Path, name: str) -> Path:
    """Return a name for this process to write to in a folder, after removing what killed processes have left there."""
    for left in place.glob(f"{PREFIX}*"):
        process = re.match(r"\d+", left.name.removeprefix(PREFIX))
        if process and not _is_running(int(process[0])):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return place / f"{PREFIX}{os.getpid()}-{name}"


def _is_running(process: int) -> bool:
    """Return whether there is such a process, or may be, as where asking would end it."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; or no number of a process
        pass
    return True
