"""What a hundred seeds say of all of them: quantiles of values, and Wilson's interval of a count."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

#: The standard score of a two-sided interval of 95 %.
SCORE = 1.959964


class Spread(NamedTuple):
    """The quantiles of values at 5, 50 and 95 %."""

    low: float
    median: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Return the quantiles of values."""
    return Spread(*(float(value) for value in np.quantile(list(values), [0.05, 0.5, 0.95])))


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of the share of which ``count`` in ``of`` were seen.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, weight = count / of, SCORE**2 / of
    centre, half = share + weight / 2, SCORE * math.sqrt(share * (1 - share) / of + weight / (4 * of))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    return max(0.0, low) if count else 0.0, min(1.0, high) if count < of else 1.0
