"""Adding binary numbers, least significant bit first, one bit of each number at a time.

The task of the write-ups this project started from, after Andrew Trask's "Anyone Can Learn To Code an LSTM-RNN in
Python": at step t the network sees bit t of a and of b and is to say bit t of a + b. It has to remember one thing,
the carry. The highest bit of a and of b is 0, so that the sum fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array


@dataclass(frozen=True)
class Problems:
    """B sums of T bits: ``a``, ``b`` and ``total`` = a + b, each (T, B) of 0 and 1, least significant bit first."""

    a: Array
    b: Array
    total: Array

    @classmethod
    def adding(cls, a: Array, b: Array) -> "Problems":
        """The problems a + b, both (T, B), the sum worked out with a carry, as at school."""
        total = np.empty_like(a)
        carry = np.zeros_like(a[0])
        for t in range(len(a)):
            column = a[t] + b[t] + carry
            total[t], carry = column & 1, column >> 1
        return cls(a, b, total)

    def inputs(self, dtype: DTypeLike) -> Array:
        """What the network sees, (T, B, 2)."""
        return np.stack([self.a, self.b], axis=2).astype(dtype)

    def targets(self, dtype: DTypeLike) -> Array:
        """What it is to say, (T, B, 1)."""
        return self.total[:, :, None].astype(dtype)

    def solved(self, logits: Array) -> float:
        """The share of sums of which every bit is right, given the logits (T, B, 1)."""
        return float(((logits[:, :, 0] > 0) == self.total).all(axis=0).mean())

    def __add__(self, other: "Problems") -> "Problems":
        """Both sets of problems, of the same T, side by side."""
        return Problems(*(np.concatenate(pair, axis=1) for pair in zip(self._arrays, other._arrays)))

    @property
    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.a, self.b, self.total


def digits(numbers: Array, bits: int) -> Array:
    """The lowest ``bits`` binary digits of whole numbers (B,), least significant first: (bits, B)."""
    return (numbers >> np.arange(bits)[:, None]) & 1


def random_problems(rng: np.random.Generator, bits: int, count: int) -> Problems:
    """``count`` problems whose two numbers are drawn uniformly from those below 2^(bits - 1)."""
    a, b = rng.integers(0, 2, (2, bits, count))
    a[-1] = b[-1] = 0
    return Problems.adding(a, b)


def every_problem(bits: int) -> Problems:
    """All 4^(bits - 1) problems of that many bits."""
    numbers = np.arange(2 ** (bits - 1))
    a, b = np.meshgrid(numbers, numbers)
    return Problems.adding(digits(a.ravel(), bits), digits(b.ravel(), bits))


def carry_chains(bits: int) -> Problems:
    """The problems that are hardest on the memory: carries that run the whole length, start, stop, or never come."""
    ones, zeros = np.ones(bits, int), np.zeros(bits, int)
    one = np.eye(1, bits, dtype=int)[0]
    every_other, every_fourth = np.arange(bits) % 2, (np.arange(bits) % 4 == 0).astype(int)
    pairs = [
        (ones, one),  # 0111…1 + 1: set once, then passed on by every bit
        (one, ones),
        (ones, ones),  # every bit makes a carry
        (ones, zeros),  # no bit does
        (every_other, every_other),  # made and used up in turn
        (ones - every_fourth, every_fourth),  # ones everywhere, still no carry
        (np.roll(ones - every_fourth, -1), every_fourth),  # made, passed on by two bits, used up by the third
    ]
    a, b = (np.stack(side, axis=1) for side in zip(*pairs))
    a[-1] = b[-1] = 0
    return Problems.adding(a, b)


def batches(
    rng: np.random.Generator, bits: int, batch_size: int, steps: int, dtype: DTypeLike
) -> Iterator[tuple[Array, Array]]:
    """``steps`` batches of random problems, (x (T, B, 2), y (T, B, 1)): the same arrays for every side."""
    for _ in range(steps):
        problems = random_problems(rng, bits, batch_size)
        yield problems.inputs(dtype), problems.targets(dtype)
