"""One kernel swept over the time axis of a batch, forwards or backwards, whatever the rows' lengths.

Sequences of different lengths, sorted longest first, are a chain of rectangles: within each, the set of rows still
running does not change, and the state that leaves one rectangle enters the next. So no kernel ever sees padding, and
no gradient can leak from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array, Probe


class Kernel(Protocol):
    """The equations of one layer in one direction: what ``lstm.py``, ``gru.py`` and ``rnn.py`` provide."""

    gates: tuple[str, ...]  #: the blocks of rows of the weights, in their order

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of each weight, for input size D and hidden size H."""

    def state_sizes(self, H: int) -> dict[str, int]:
        """What is carried from step to step, the output first, and its size."""

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], Any]:
        """From x (T, B, D) and the initial state: output (T, B, P), final state, tape."""

    def backward(
        self, tape: Any, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """From the gradients of what forward returned: those of x, of the initial state and of the weights."""


@dataclass(frozen=True)
class Rectangle:
    """The steps ``start`` to ``stop`` of the time axis, at all of which the first ``rows`` rows are running."""

    start: int
    stop: int
    rows: int

    def index(self, reverse: bool) -> tuple[slice, slice]:
        """Where it lies in a (T, B, …) array, its time axis turned round for the reverse direction."""
        if reverse:
            return slice(self.stop - 1, self.start - 1 if self.start else None, -1), slice(self.rows)
        return slice(self.start, self.stop), slice(self.rows)


@dataclass(frozen=True)
class Schedule:
    """Which rows of a batch run when."""

    T: int
    B: int
    order: Array | slice  #: the rows from the longest to the shortest
    rectangles: list[Rectangle]

    @classmethod
    def of(cls, lengths: Sequence[int] | Array | None, T: int, B: int) -> "Schedule":
        """The schedule of a batch of B rows over T steps, all full if ``lengths`` is None.

        Raises:
            ValueError: ``lengths`` are not B whole numbers from 1 to T.
        """
        if lengths is None:
            return cls(T, B, slice(None), [Rectangle(0, T, B)])
        steps = np.asarray(lengths)
        if steps.shape != (B,) or not np.issubdtype(steps.dtype, np.integer) or not ((steps >= 1) & (steps <= T)).all():
            raise ValueError(f"lengths: expected B = {B} whole numbers from 1 to T = {T}, got {lengths}")
        stops = [0, *sorted(set(steps.tolist()))]
        rectangles = [Rectangle(start, stop, int((steps >= stop).sum())) for start, stop in pairwise(stops)]
        return cls(T, B, np.argsort(-steps, kind="stable"), rectangles)


class Sweep:
    """One layer of a stack in one direction."""

    def __init__(self, kernel: Kernel, D: int, H: int, suffix: str, reverse: bool, bias: bool, dtype: DTypeLike):
        self.kernel, self.suffix, self.reverse = kernel, suffix, reverse
        shapes = kernel.parameter_shapes(D, H)
        self.shapes = {name: shape for name, shape in shapes.items() if bias or not name.startswith("bias")}
        self.no_bias = {name: np.zeros(shapes[name], dtype) for name in shapes.keys() - self.shapes.keys()}

    def forward(
        self,
        source: Array,
        carried: tuple[Array, ...],
        parameters: Mapping[str, Array],
        schedule: Schedule,
        probe: Probe | None,
    ) -> tuple[Array, list[Any]]:
        """Run over ``source`` (T, B, D), rows in the schedule's order; ``carried`` goes from initial to final state.

        Returns:
            output (T, B, P), zero in the padding, and a tape for each rectangle.
        """
        weights = {name: parameters[name + self.suffix] for name in self.shapes} | self.no_bias
        output = np.zeros((schedule.T, schedule.B, carried[0].shape[1]), source.dtype)
        tapes = []
        for rectangle in reversed(schedule.rectangles) if self.reverse else schedule.rectangles:
            index = rectangle.index(self.reverse)
            state = tuple(s[index[1]] for s in carried)
            output[index], state, tape = self.kernel.forward(
                source[index], state, weights, self._scoped(probe, schedule, index)
            )
            for s, last in zip(carried, state):
                s[index[1]] = last
            tapes.append(tape)
        return output, tapes

    def backward(
        self,
        tapes: list[Any],
        d_output: Array,
        carried: tuple[Array, ...],
        schedule: Schedule,
        probe: Probe | None,
    ) -> tuple[Array, dict[str, Array]]:
        """The way back; ``carried`` goes from the gradient of the final state to that of the initial one.

        Returns:
            d_source (T, B, D), zero in the padding, and the gradients of the parameters.
        """
        D = self.shapes["weight_ih"][1]
        d_source = np.zeros((schedule.T, schedule.B, D), d_output.dtype)
        total: dict[str, Array] = {}
        rectangles = schedule.rectangles if self.reverse else reversed(schedule.rectangles)
        for rectangle, tape in zip(rectangles, reversed(tapes)):
            index = rectangle.index(self.reverse)
            d_state = tuple(d[index[1]] for d in carried)
            d_source[index], d_state, gradients = self.kernel.backward(
                tape, d_output[index], d_state, self._scoped(probe, schedule, index)
            )
            for d, first in zip(carried, d_state):
                d[index[1]] = first
            total = {name: total[name] + gradients[name] if total else gradients[name] for name in self.shapes}
        return d_source, {name + self.suffix: gradient for name, gradient in total.items()}

    def _scoped(self, probe: Probe | None, schedule: Schedule, index: tuple[slice, slice]) -> Probe | None:
        """The probe as the kernel may call it: it sees the whole batch at the true time, under the full name."""
        if probe is None:
            return None
        times, rows = range(schedule.T)[index[0]], np.arange(schedule.B)[schedule.order][index[1]]

        def scoped(name: str, t: int, value: Array) -> Array:
            batch = np.zeros((schedule.B, value.shape[1]), value.dtype)
            batch[rows] = value
            return probe(name + self.suffix, times[t], batch)[rows]

        return scoped
