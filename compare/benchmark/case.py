"""What is timed, and the inputs that every contender receives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from compare.binary_addition import random_sums
from compare.cells import CELLS
from manual.arrays import Array

#: The learning rate of Adam in a training step.
LEARNING_RATE = 0.01

#: What is timed, by task.
TASKS = {"layer": "forward + backward", "step": "one training step on binary addition"}


@dataclass(frozen=True)
class TimedCase:
    """What is timed: forward and backward of a ``layer``, or a training ``step`` on binary addition with D = 2."""

    task: str
    cell: str
    T: int
    B: int
    D: int
    H: int
    dtype: str
    threads: int
    device: str = "cpu"  #: of torch's modules

    @property
    def size(self) -> tuple[int, int, int, int]:
        """T, B, D, H."""
        return self.T, self.B, self.D, self.H

    @property
    def title(self) -> str:
        """All but the size, in words."""
        cores = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.cell}, {TASKS[self.task]}, {self.dtype}, {cores}"

    @property
    def rows(self) -> int:
        """Rows of the recurrent weights: a block of H for each gate."""
        return len(CELLS[self.cell.lower()].gates) * self.H


class Inputs(NamedTuple):
    """The inputs of all contenders. In a training step, x and d_output are the batch and its targets."""

    weights: dict[str, Array]  # weight_ih, weight_hh, bias_ih, bias_hh
    readout: dict[str, Array]  # weight (1, H), bias (1,)
    x: Array  # (T, B, D)
    state: tuple[Array, ...]  # (B, H) each
    d_output: Array  # (T, B, H), or targets (T, B, 1)
    d_state: tuple[Array, ...]


class Result(NamedTuple):
    """The results of one run, in the contender's own type of array."""

    outputs: dict[str, Any]
    gradients: dict[str, Any]


#: One run of a contender.
Work = Callable[[], Result]


def draw_inputs(case: TimedCase) -> Inputs:
    """Draw the inputs of a case, the same in every process."""
    rng = np.random.default_rng(0)
    T, B, D, H = case.size
    rows, bound = case.rows, 1 / np.sqrt(H)

    def uniform(*shape: int) -> Array:
        return rng.uniform(-bound, bound, shape).astype(case.dtype)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(case.dtype)

    weights = dict(weight_ih=uniform(rows, D), weight_hh=uniform(rows, H), bias_ih=uniform(rows), bias_hh=uniform(rows))
    readout = {"weight": uniform(1, H), "bias": uniform(1)}
    states = len(CELLS[case.cell.lower()].states)
    state, d_state = (tuple(normal(B, H) for _ in range(states)) for _ in range(2))
    if case.task == "step":
        sums = random_sums(rng, T, B)
        return Inputs(weights, readout, sums.inputs(case.dtype), (), sums.targets(case.dtype), ())
    return Inputs(weights, readout, normal(T, B, D), state, normal(T, B, H), d_state)


def layer_result(output: Any, last: Any, d_x: Any, d_initial: Any, gradients: dict[str, Any]) -> Result:
    """Name the results of a layer as all contenders do."""
    return Result(
        {"output": output} | {f"{name}_n": array for name, array in zip("hc", last)},
        {"d_x": d_x} | {f"d_{name}_0": array for name, array in zip("hc", d_initial)} | gradients,
    )


def step_gradients(recurrent: dict[str, Any], readout: dict[str, Any]) -> dict[str, Any]:
    """Name the gradients of a training step as a model's parameters."""
    return {f"recurrent.{n}_l0": a for n, a in recurrent.items()} | {f"readout.{n}": a for n, a in readout.items()}
