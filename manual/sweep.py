"""One kernel swept over the time axis of a batch, in either direction, with rows of any lengths.

Sequences of different lengths, sorted longest first, form a chain of rectangles. Within a rectangle the same rows run
at every step, and the state that leaves it enters the next. So no kernel ever sees padding, and no gradient can leak
from it.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import Array, Backward, Forward, Parts, Probe, Weights


class Kernel(Protocol):
    """The equations of one layer in one direction, as in ``lstm.py``, ``gru.py`` and ``rnn.py``."""

    gates: tuple[str, ...]  #: the blocks of rows of the weights, in order

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""

    def forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None = None) -> Forward[Any]:
        """Return output, final state and tape, from x (T, B, D) and the initial state."""

    def backward(self, tape: Any, d_output: Array, d_state: Parts, probe: Probe | None = None) -> Backward:
        """Return the gradients of x, of the initial state and of the weights, from those of what forward returned."""


class FastKernel(Protocol):
    """The same equations, fast and without probes, as in ``fast/`` and ``compiled/``.

    The tape is the memory that they run in. Its ``equations_tape()`` is the run as the equations record it.
    """

    def forward(self, x: Array, state: Parts, weights: Weights, out: Any = None) -> Forward[Any]:
        """Return output, final state and memory; ``out`` is the memory of an earlier run, to be overwritten."""

    def backward(self, memory: Any, d_output: Array, d_state: Parts) -> Backward:
        """Return the gradients of x, of the initial state and of the weights, from those of what forward returned."""


class Rectangle(NamedTuple):
    """The steps from ``start`` to ``stop``, at all of which exactly the first ``rows`` rows run."""

    start: int
    stop: int
    rows: int

    def window(self, reverse: bool) -> tuple[slice, slice]:
        """Return its index into a (T, B, …) array, with time reversed for the reverse direction."""
        if reverse:
            return slice(self.stop - 1, self.start - 1 if self.start else None, -1), slice(self.rows)
        return slice(self.start, self.stop), slice(self.rows)


class Schedule(NamedTuple):
    """Which rows of a batch run at which steps."""

    T: int
    B: int
    order: Array | None  #: the rows from the longest to the shortest; None if all are full
    rectangles: list[Rectangle]

    @property
    def whole(self) -> bool:
        """Whether all rows are full: one rectangle, no padding."""
        return self.order is None

    def sorted(self, array: Array) -> Array:
        """Return a (T, B, …) array with its rows from the longest to the shortest."""
        return array if self.order is None else array[:, self.order]

    def unsorted(self, array: Array) -> Array:
        """Return a (T, B, …) array with its rows in the original order. The inverse of ``sorted``."""
        return array if self.order is None else array[:, np.argsort(self.order)]

    @classmethod
    def of(cls, lengths: Sequence[int] | Array | None, T: int, B: int) -> "Schedule":
        """Return the schedule of a batch of B rows over T steps, all full if ``lengths`` is None.

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
    """One layer of a stack in one direction.

    The fast kernel, if there is one, runs on real numbers wherever no probe is passed, and the equations otherwise: in
    complex arithmetic only the equations' sigmoid can do without an overflow.
    """

    def __init__(
        self,
        kernel: Kernel,
        fast: FastKernel | None,
        D: int,
        H: int,
        suffix: str,
        reverse: bool,
        bias: bool,
        dtype: DTypeLike,
    ):
        self.kernel, self.fast, self.suffix, self.reverse = kernel, fast, suffix, reverse
        shapes = kernel.parameter_shapes(D, H)
        self.shapes = {name: shape for name, shape in shapes.items() if bias or not name.startswith("bias")}
        self.names = [(name, name + suffix) for name in self.shapes]  # the kernel's and the stack's
        self.no_bias = {name: np.zeros(shapes[name], dtype) for name in shapes.keys() - self.shapes.keys()}

    def forward(
        self,
        source: Array,
        state: Parts,
        parameters: Mapping[str, Array],
        schedule: Schedule,
        probe: Probe | None,
        out: Sequence[Any] = (),
    ) -> Forward[list[Any]]:
        """Run over ``source`` (T, B, D) from ``state``, rows in the schedule's order.

        ``out`` are the tapes of an earlier run, to be overwritten where the sizes are equal.

        Returns:
            output (T, B, P), zero in the padding, the final state, and a tape for each rectangle.
        """
        weights = {name: parameters[full] for name, full in self.names} | self.no_bias
        if schedule.whole:
            x = source[::-1] if self.reverse else source
            old = out[0] if out else None
            scoped = self._scoped(probe, schedule, schedule.rectangles[0])
            output, state, tape = self._forward(x, state, weights, scoped, old)
            return output[::-1] if self.reverse else output, state, [tape]
        state = tuple(s.copy() for s in state)
        output = np.zeros((schedule.T, schedule.B, state[0].shape[1]), source.dtype)
        tapes = []
        rectangles = reversed(schedule.rectangles) if self.reverse else schedule.rectangles
        for rectangle, old in zip(rectangles, chain(out, repeat(None))):
            index = rectangle.window(self.reverse)
            running = tuple(s[index[1]] for s in state)
            scoped = self._scoped(probe, schedule, rectangle)
            output[index], running, tape = self._forward(source[index], running, weights, scoped, old)
            for s, last in zip(state, running):
                s[index[1]] = last
            tapes.append(tape)
        return output, state, tapes

    def backward(
        self,
        tapes: list[Any],
        d_output: Array,
        d_state: Parts,
        schedule: Schedule,
        probe: Probe | None,
    ) -> Backward:
        """Carry gradients back over the recorded ``tapes``.

        Returns:
            d_source (T, B, D), zero in the padding, the gradient of the initial state, and those of the weights.

        Raises:
            ValueError: there is a probe, and there was none in the forward pass, which ran in shards.
        """
        if schedule.whole:
            d_y = d_output[::-1] if self.reverse else d_output
            scoped = self._scoped(probe, schedule, schedule.rectangles[0])
            d_source, d_state, gradients = self._backward(tapes[0], d_y, d_state, scoped)
            return d_source[::-1] if self.reverse else d_source, d_state, gradients
        d_state = tuple(d.copy() for d in d_state)
        d_source = np.zeros((schedule.T, schedule.B, self.shapes["weight_ih"][1]), d_output.dtype)
        total: dict[str, Array] = {}
        rectangles = schedule.rectangles if self.reverse else reversed(schedule.rectangles)
        for rectangle, tape in zip(rectangles, reversed(tapes)):
            index = rectangle.window(self.reverse)
            d_running = tuple(d[index[1]] for d in d_state)
            scoped = self._scoped(probe, schedule, rectangle)
            d_source[index], d_running, gradients = self._backward(tape, d_output[index], d_running, scoped)
            for d, first in zip(d_state, d_running):
                d[index[1]] = first
            total = {name: total[name] + gradient if total else gradient for name, gradient in gradients.items()}
        return d_source, d_state, total

    def _forward(self, x: Array, state: Parts, weights: Weights, probe: Probe | None, out: Any) -> Forward[Any]:
        """Run over one rectangle."""
        if self.fast is None or probe or x.dtype.kind == "c":
            return self.kernel.forward(x, state, weights, probe)
        return self.fast.forward(x, state, weights, out)

    def _backward(self, tape: Any, d_output: Array, d_state: Parts, probe: Probe | None) -> Backward:
        """Carry gradients back over one rectangle."""
        is_fast = hasattr(tape, "equations_tape")
        if self.fast and is_fast and not probe:
            return self.fast.backward(tape, d_output, d_state)
        return self.kernel.backward(tape.equations_tape() if is_fast and probe else tape, d_output, d_state, probe)

    def _scoped(self, probe: Probe | None, schedule: Schedule, part: Rectangle) -> Probe | None:
        """Return the probe as a kernel calls it: it sees the whole batch at the true time, under the full name."""
        if probe is None:
            return None
        index = part.window(self.reverse)
        times, rows = range(schedule.T)[index[0]], schedule.sorted(np.arange(schedule.B)[None])[0][index[1]]

        def scoped(name: str, t: int, value: Array) -> Array:
            batch = np.zeros((schedule.B, value.shape[1]), value.dtype)
            batch[rows] = value
            return probe(name + self.suffix, times[t], batch)[rows]

        return scoped
