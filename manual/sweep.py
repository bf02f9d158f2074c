"""One kernel swept over the time axis of a batch, forwards or backwards, whatever the rows' lengths.

Sequences of different lengths, sorted longest first, are a chain of rectangles: within each, the set of rows still
running does not change, and the state that leaves one rectangle enters the next. So no kernel ever sees padding, and
no gradient can leak from it.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Any, NamedTuple, Protocol

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
        self,
        x: Array,
        state: tuple[Array, ...],
        weights: Mapping[str, Array],
        probe: Probe | None = None,
        out: Any = None,
    ) -> tuple[Array, tuple[Array, ...], Any]:
        """From x (T, B, D) and the initial state: output (T, B, P), final state, tape, for which ``out`` is memory."""

    def backward(
        self, tape: Any, d_output: Array, d_state: tuple[Array, ...], probe: Probe | None = None
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """From the gradients of what forward returned: those of x, of the initial state and of the weights."""


class Rectangle(NamedTuple):
    """The steps ``start`` to ``stop`` of the time axis, at all of which the first ``rows`` rows are running."""

    start: int
    stop: int
    rows: int

    def window(self, reverse: bool) -> tuple[slice, slice]:
        """Where it lies in a (T, B, …) array, its time axis turned round for the reverse direction."""
        if reverse:
            return slice(self.stop - 1, self.start - 1 if self.start else None, -1), slice(self.rows)
        return slice(self.start, self.stop), slice(self.rows)


class Schedule(NamedTuple):
    """Which rows of a batch run when."""

    T: int
    B: int
    order: Array | None  #: the rows from the longest to the shortest; None where they are as they came
    rectangles: list[Rectangle]

    @property
    def whole(self) -> bool:
        """Whether there is nothing but one rectangle, so that there is no padding."""
        return self.order is None

    def sorted(self, array: Array) -> Array:
        """A (T, B, …) array with its rows from the longest to the shortest."""
        return array if self.order is None else array[:, self.order]

    def unsorted(self, array: Array) -> Array:
        """The opposite of ``sorted``."""
        return array if self.order is None else array[:, np.argsort(self.order)]

    @classmethod
    def of(cls, lengths: Sequence[int] | Array | None, T: int, B: int) -> "Schedule":
        """The schedule of a batch of B rows over T steps, all full if ``lengths`` is None.

        Raises:
            ValueError: ``lengths`` are not B whole numbers from 1 to T.
        """
        if lengths is None:
            return cls(T, B, None, [Rectangle(0, T, B)])
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
        self.names = [(name, name + suffix) for name in self.shapes]  # the kernel's and the stack's
        self.no_bias = {name: np.zeros(shapes[name], dtype) for name in shapes.keys() - self.shapes.keys()}

    def forward(
        self,
        source: Array,
        state: tuple[Array, ...],
        parameters: Mapping[str, Array],
        schedule: Schedule,
        probe: Probe | None,
        out: Sequence[Any] = (),
    ) -> tuple[Array, tuple[Array, ...], list[Any]]:
        """Run over ``source`` (T, B, D) from ``state``, rows in the schedule's order.

        ``out`` are the tapes of an earlier run, to be written over where their sizes fit.

        Returns:
            output (T, B, P), zero in the padding, the final state, and a tape for each rectangle.
        """
        weights = {name: parameters[full] for name, full in self.names} | self.no_bias
        if schedule.whole:
            index = schedule.rectangles[0].window(self.reverse)
            output, state, tape = self.kernel.forward(
                source[::-1] if self.reverse else source,
                state,
                weights,
                self._scoped(probe, schedule, index),
                out[0] if out else None,
            )
            return output[::-1] if self.reverse else output, state, [tape]
        state = tuple(s.copy() for s in state)
        output = np.zeros((schedule.T, schedule.B, state[0].shape[1]), source.dtype)
        tapes = []
        rectangles = reversed(schedule.rectangles) if self.reverse else schedule.rectangles
        for rectangle, old in zip(rectangles, chain(out, repeat(None))):
            index = rectangle.window(self.reverse)
            running = tuple(s[index[1]] for s in state)
            output[index], running, tape = self.kernel.forward(
                source[index], running, weights, self._scoped(probe, schedule, index), old
            )
            for s, last in zip(state, running):
                s[index[1]] = last
            tapes.append(tape)
        return output, state, tapes

    def backward(
        self,
        tapes: list[Any],
        d_output: Array,
        d_state: tuple[Array, ...],
        schedule: Schedule,
        probe: Probe | None,
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """The way back of a run that left ``tapes``.

        Returns:
            d_source (T, B, D), zero in the padding, the gradient of the initial state, and those of the parameters.
        """
        if schedule.whole:
            index = schedule.rectangles[0].window(self.reverse)
            d_source, d_state, gradients = self.kernel.backward(
                tapes[0], d_output[::-1] if self.reverse else d_output, d_state, self._scoped(probe, schedule, index)
            )
            named = {full: gradients[name] for name, full in self.names}
            return d_source[::-1] if self.reverse else d_source, d_state, named
        d_state = tuple(d.copy() for d in d_state)
        d_source = np.zeros((schedule.T, schedule.B, self.shapes["weight_ih"][1]), d_output.dtype)
        total: dict[str, Array] = {}
        rectangles = schedule.rectangles if self.reverse else reversed(schedule.rectangles)
        for rectangle, tape in zip(rectangles, reversed(tapes)):
            index = rectangle.window(self.reverse)
            d_running = tuple(d[index[1]] for d in d_state)
            d_source[index], d_running, gradients = self.kernel.backward(
                tape, d_output[index], d_running, self._scoped(probe, schedule, index)
            )
            for d, first in zip(d_state, d_running):
                d[index[1]] = first
            total = {full: total[full] + gradients[n] if total else gradients[n] for n, full in self.names}
        return d_source, d_state, total

    def _scoped(self, probe: Probe | None, schedule: Schedule, index: tuple[slice, slice]) -> Probe | None:
        """The probe as the kernel may call it: it sees the whole batch at the true time, under the full name."""
        if probe is None:
            return None
        times, rows = range(schedule.T)[index[0]], schedule.sorted(np.arange(schedule.B)[None])[0][index[1]]

        def scoped(name: str, t: int, value: Array) -> Array:
            batch = np.zeros((schedule.B, value.shape[1]), value.dtype)
            batch[rows] = value
            return probe(name + self.suffix, times[t], batch)[rows]

        return scoped
