"""Binary addition, least significant bit first, one bit of each addend per time step.

The task of the write-ups that this project started from, after Andrew Trask, "Anyone Can Learn To Code an LSTM-RNN in
Python": at step t the network sees bit t of a and of b and predicts bit t of a + b. All it has to remember is the
carry. The highest bit of a and of b is 0, so that the sum fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array

#: Up to this many bits, all 4^(bits - 1) sums are counted; beyond, a random sample.
EXHAUSTIVE_BITS = 8


@dataclass(frozen=True)
class Sums:
    """B sums of T bits: ``a``, ``b`` and ``total`` = a + b, each (T, B) of 0 and 1, least significant bit first."""

    a: Array
    b: Array
    total: Array

    @classmethod
    def adding(cls, a: Array, b: Array) -> "Sums":
        """Add a and b, both (T, B), by schoolbook addition with a carry."""
        total = np.empty_like(a)
        carry = np.zeros_like(a[0])
        for t in range(len(a)):
            column = a[t] + b[t] + carry
            total[t], carry = column & 1, column >> 1
        return cls(a, b, total)

    def inputs(self, dtype: DTypeLike) -> Array:
        """Return the bits of a and b, (T, B, 2): the network's input."""
        return np.stack([self.a, self.b], axis=2).astype(dtype)

    def targets(self, dtype: DTypeLike) -> Array:
        """Return the bits of the sum, (T, B, 1): the network's target."""
        return self.total[:, :, None].astype(dtype)

    def share_correct(self, logits: Array) -> float:
        """Return the share of sums with every bit correct, given the logits (T, B, 1)."""
        return float(((logits[:, :, 0] > 0) == self.total).all(axis=0).mean())

    def __add__(self, other: "Sums") -> "Sums":
        """Concatenate with other sums of the same T."""
        pairs = (self.a, other.a), (self.b, other.b), (self.total, other.total)
        return Sums(*(np.concatenate(pair, axis=1) for pair in pairs))


def digits(numbers: Array, bits: int) -> Array:
    """Return the lowest ``bits`` binary digits of integers (B,), least significant first: (bits, B)."""
    return (numbers >> np.arange(bits)[:, None]) & 1


def sum_of(a: int, b: int) -> Sums:
    """Return one sum of whole numbers of any size, in as many bits as it may need."""
    bits = max(a.bit_length(), b.bit_length()) + 1
    columns = (np.array([[int(bit)] for bit in f"{number:0{bits}b}"[::-1]]) for number in (a, b))
    return Sums.adding(*columns)


def random_sums(rng: np.random.Generator, bits: int, count: int) -> Sums:
    """Draw ``count`` sums whose addends are uniform below 2^(bits - 1)."""
    a, b = rng.integers(0, 2, (2, bits, count))
    a[-1] = b[-1] = 0
    return Sums.adding(a, b)


def all_sums(bits: int) -> Sums:
    """Return all 4^(bits - 1) sums of that many bits."""
    numbers = np.arange(2 ** (bits - 1))
    a, b = np.meshgrid(numbers, numbers)
    return Sums.adding(digits(a.ravel(), bits), digits(b.ravel(), bits))


def carry_chains(bits: int) -> Sums:
    """Return the sums that test the memory hardest: carries that run the whole length, start, stop or never occur."""
    ones, zeros = np.ones(bits, int), np.zeros(bits, int)
    one = np.eye(1, bits, dtype=int)[0]
    every_other, every_fourth = np.arange(bits) % 2, (np.arange(bits) % 4 == 0).astype(int)
    pairs = [
        (ones, one),  # 0111…1 + 1: generated once, then propagated by every bit
        (one, ones),
        (ones, ones),  # every bit generates a carry
        (ones, zeros),  # no bit does
        (every_other, every_other),  # alternately generated and absorbed
        (ones - every_fourth, every_fourth),  # ones everywhere, yet no carry
        (np.roll(ones - every_fourth, -1), every_fourth),  # generated, propagated by two bits, absorbed by the third
    ]
    a, b = (np.stack(side, axis=1) for side in zip(*pairs))
    a[-1] = b[-1] = 0
    return Sums.adding(a, b)


def sums_to_count(rng: np.random.Generator, bits: int, sample: int) -> Sums:
    """Return the sums that a network is judged by: all or, of many bits, a sample and the hardest carries."""
    return all_sums(bits) if bits <= EXHAUSTIVE_BITS else random_sums(rng, bits, sample) + carry_chains(bits)


def batches(
    rng: np.random.Generator, bits: int, batch_size: int, steps: int, dtype: DTypeLike
) -> Iterator[tuple[Array, Array]]:
    """Yield ``steps`` batches of random sums: x (T, B, 2) and y (T, B, 1), the same arrays for every side."""
    for _ in range(steps):
        sums = random_sums(rng, bits, batch_size)
        yield sums.inputs(dtype), sums.targets(dtype)
