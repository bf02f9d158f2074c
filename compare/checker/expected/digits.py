"""The precisions, and which of them an array has the digits of."""

import numpy as np

from manual.arrays import Array

#: The significant bits of each precision.
BITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}

#: It takes so many different numbers to know their precision.
FEWEST = 4


def eps(dtype: str) -> float:
    """Return the distance of 1 from the next larger number of a precision."""
    return float(2.0 ** (1 - BITS[dtype]))


def fewest_digits(actual: list[Array], right: list[Array], unit: float) -> str:
    """Return the precision that all of a quantity is rounded to, but not the right one, if above a unit; else "".

    A few round numbers are no sign of it.
    """
    for lower, bits in sorted(BITS.items(), key=lambda item: item[1]):
        if eps(lower) <= unit:
            break
        rounded = all(_fits(array, bits) for array in actual) and not all(_fits(array, bits) for array in right)
        if rounded and sum(len(np.unique(array)) for array in actual) >= FEWEST:
            return lower
    return ""


def _fits(array: Array, bits: int) -> bool:
    if array.dtype.kind != "f":
        return False
    return not (np.atleast_1d(array).astype(np.float64).view(np.uint64) & np.uint64((1 << (53 - bits)) - 1)).any()
