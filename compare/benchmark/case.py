"""What is timed, and the numbers that every contender is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from compare.binary_addition import random_sums
from compare.cells import CELLS
from manual.arrays import Array

#: Of Adam, in a training step.
LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Case:
    """What is timed: forward and backward of a ``layer``, or a training ``step`` on binary addition with D = 2."""

    task: str
    cell: str
    T: int
    B: int
    D: int
    H: int
    dtype: str
    threads: int

    @property
    def size(self) -> tuple[int, int, int, int]:
        """T, B, D, H."""
        return self.T, self.B, self.D, self.H

    @property
    def rows(self) -> int:
        """Rows of the recurrent weights: a block of H for each gate."""
        return len(CELLS[self.cell.lower()].gates) * self.H


class Numbers(NamedTuple):
    """What all contenders are given; of a training step x and d_output are the batch and its targets."""

    weights: dict[str, Array]  # weight_ih, weight_hh, bias_ih, bias_hh
    readout: dict[str, Array]  # weight (1, H), bias (1,)
    x: Array  # (T, B, D)
    state: tuple[Array, ...]  # (B, H) each
    d_output: Array  # (T, B, H), or targets (T, B, 1)
    d_state: tuple[Array, ...]


class Result(NamedTuple):
    """What doing the work once yields, as whatever arrays the contender has."""

    outputs: dict[str, Any]
    gradients: dict[str, Any]


Work = Callable[[], Result]


def numbers(case: Case) -> Numbers:
    """The numbers of a case, the same in each process."""
    rng = np.random.default_rng(0)
    T, B, D, H = case.size
    rows, bound = case.rows, 1 / np.sqrt(H)

    def uniform(*shape: int) -> Array:
        return rng.uniform(-bound, bound, shape).astype(case.dtype)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(case.dtype)

    weights = dict(weight_ih=uniform(rows, D), weight_hh=uniform(rows, H), bias_ih=uniform(rows), bias_hh=uniform(rows))
    readout = {"weight": uniform(1, H), "bias": uniform(1)}
    parts = 2 if case.cell == "LSTM" else 1
    state, d_state = (tuple(normal(B, H) for _ in range(parts)) for _ in range(2))
    if case.task == "step":
        sums = random_sums(rng, T, B)
        return Numbers(weights, readout, sums.inputs(case.dtype), (), sums.targets(case.dtype), ())
    return Numbers(weights, readout, normal(T, B, D), state, normal(T, B, H), d_state)


def named(output: Any, last: Any, d_x: Any, d_first: Any, gradients: dict[str, Any]) -> Result:
    """The result of a layer under one set of names."""
    return Result(
        {"output": output} | {f"{n}_n": a for n, a in zip("hc", last)},
        {"d_x": d_x} | {f"d_{n}_0": a for n, a in zip("hc", d_first)} | gradients,
    )
