"""The equations of ``lstm.py``, ``gru.py`` and ``rnn.py`` as loops over units, compiled by Numba.

For few units, where a call of NumPy costs more than what it computes, a loop over steps, rows and units is all there
is. For many, the kernels of ``fast/`` run, and between two products one pass over the units of all rows, the fused one,
does what takes them a dozen calls. Both are loops over the same functions. These kernels take no probe and need the
extra ``compiled``. They compute what the equations compute, to a few units in the last place.
"""

from contextlib import suppress
from pathlib import Path


def remove_outdated_cache(folder: Path) -> None:
    """Remove compiled code in ``folder`` that is older than any source file of the package that the folder is in.

    Numba only looks at the file that a function is in, not at those that it takes functions and constants from.
    """
    newest = max(source.stat().st_mtime for source in folder.parent.rglob("*.py"))
    for index in folder.glob("__pycache__/*.nbi"):
        with suppress(FileNotFoundError):  # another process may remove it first
            if index.stat().st_mtime < newest:
                index.unlink()


remove_outdated_cache(Path(__file__).parent)
