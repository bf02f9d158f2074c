"""Axes: where a value lies on one, and its ticks; and numbers with units as text."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from manual.arrays import Array

#: A number from which on none is drawn, so that there is room for ticks below the largest float.
HUGE = 1e300

#: The largest number of ticks on an axis.
MOST_TICKS = 6


class Tick(NamedTuple):
    """A number on an axis, and its place between 0, the lower end, and 1."""

    label: str
    place: float


class LogAxis:
    """A logarithmic axis that holds the values it is given; zero, negative, huge ones and NaN have no place on it."""

    def __init__(self, values: Iterable[float]):
        array = np.array(list(values), dtype=float)
        exponents = np.log10(array[(array > 0) & (array < HUGE)])
        low, high = (exponents.min(), exponents.max()) if exponents.size else (-1.0, 0.0)
        margin = 0.06 * (high - low) if high - low > 1e-3 else 0.5
        self.low, self.high = low - margin, high + margin

    def places(self, values: Iterable[float]) -> Array:
        """Return the place of each value between 0 and 1; NaN for a value that has none."""
        array = np.array(list(values), dtype=float)
        exponents = np.log10(array, out=np.full(array.shape, np.nan), where=(array > 0) & (array < HUGE))
        return (exponents - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[Tick]:
        """Powers of ten; on a shorter axis also 2 and 5 times these, and on a very short one any round numbers."""
        powers = np.arange(np.ceil(self.low), np.floor(self.high) + 1)
        exponents = powers[:: -(-len(powers) // MOST_TICKS) or 1]
        if len(exponents) < 3:
            exponents = np.concatenate([np.log10([1, 2, 5]) + k for k in range(int(self.low) - 1, int(self.high) + 2)])
            exponents = exponents[(self.low <= exponents) & (exponents <= self.high)]
        numbers = 10**exponents
        if len(exponents) < 2:
            numbers = np.array(MaxNLocator(MOST_TICKS, steps=[1, 2, 5, 10]).tick_values(10**self.low, 10**self.high))
        places = self.places(numbers)
        return [Tick(f"{n:.6g}", float(p)) for n, p in zip(numbers, places) if 0 <= p <= 1]


def step_ticks(last: int) -> list[Tick]:
    """Return ticks at whole numbers on a linear axis from 0 to ``last`` + 1, as the page's script places them."""
    end = last + 1
    power = 10 ** np.floor(np.log10(end / MOST_TICKS))
    step = max(1, int(next(k * power for k in (1, 2, 5, 10) if end / (k * power) <= MOST_TICKS)))
    return [Tick(f"{tick:,}", tick / end) for tick in range(0, end + 1, step)]


def duration(seconds: float) -> str:
    """Format seconds in a suitable unit."""
    rounded = float(f"{seconds:.3g}")  # 0.9996 s is 1 s, not 1e+03 ms
    factor, unit = (1e6, "µs") if rounded < 1e-3 else (1e3, "ms") if rounded < 1 else (1, "s")
    return f"{seconds * factor:.3g} {unit}" if rounded * factor < 1000 else f"{seconds * factor:,.0f} {unit}"
