"""A verdict that ends a command: a side is wrong in a way that leaves nothing to compare."""

from collections.abc import Iterator
from contextlib import contextmanager


class Disagreement(Exception):  # noqa: N818 - a verdict, no error
    """What is wrong with which side. The command line prints it, and the exit status is that of a disagreement."""


@contextmanager
def by_hand(what: str) -> Iterator[None]:
    """Turn whatever the hand-derived side raises in the block, ``SystemExit`` included, into a verdict about it.

    An interrupt and a lack of memory say nothing about a derivation, and propagate.

    Args:
        what: the hand-derived side does in the block.

    Raises:
        Disagreement: it raised an error.
    """
    try:
        yield
    except (Disagreement, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        words = str(error).encode(errors="backslashreplace").decode()  # no file or terminal takes half a character
        raise Disagreement(f"manual: {what} raised {type(error).__name__}: {words}") from error
