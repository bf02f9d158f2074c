"""Text of users, whatever it holds, as it can be printed, drawn and put on a page; and numbers, as JSON has them."""

from math import isfinite
from typing import Any

#: The largest number of rows, units, and columns that are no steps, that are shown of a quantity.
SHOWN = 32


def printable(found: Any) -> Any:
    """Return a copy in which every string, and every name in a dict, shows its control characters and half characters.

    A name in a user's program may hold anything; NUL, CR and a lone surrogate cannot be written to a page as they are.
    """
    if isinstance(found, str):
        return "".join(c if c in "\n\t" or c.isprintable() else ascii(c)[1:-1] for c in found)
    if isinstance(found, dict):
        return {printable(name): printable(value) for name, value in found.items()}
    return [printable(one) for one in found] if isinstance(found, (list, tuple)) else found


def finite(number: Any) -> Any:
    """Return a finite number as it is, any other as a string."""
    return float(number) if isfinite(number) else str(float(number))
