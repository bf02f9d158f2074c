"""The program that is searched for a wrong line: how it is run, and what is right."""

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import wraps
from io import StringIO
from typing import Any

import numpy as np

from compare.checker.derivations.pair import derived, flat
from compare.checker.derivations.problem import Answer
from compare.checker.lines.program import Edits, ImpossibleError, Program
from compare.checker.lines.trace import traced
from compare.checker.lines.trace.record import NAME, Event, Recorder, Unseen, rewrite
from compare.checker.lines.trace.tape import Tape
from compare.checker.lines.wrong_line import Change
from compare.checker.reference import Autograd
from manual.arrays import Array

#: The least, in seconds of processor time, that one run may take. A slow program may take five times as long as it is.
LONGEST = 0.5

#: How far a value may be off, relative to the largest of its kind, in the search. The check itself judges the result.
NEAR = 1e-9


class TooLong(BaseException):
    """A run took too long. Not an ``Exception``, which the user's code may catch."""


@dataclass(eq=False)
class Run:
    """One run whose every operation was traced.

    ``events`` are the statements in the order in which they ran, ``returned`` the ids of outputs and gradients by name,
    ``first`` the tape's operation at which the backward pass began, ``incoming`` the ids of the incoming gradients.
    Values are copied, so that their uses are told apart, but those of the ``shared`` statements (None: of all). The
    statements in ``parted`` have a copy that was written into: it may have been one array under two names.
    """

    tape: Any
    events: list[Event]
    tensors: dict[str, Array]
    returned: dict[str, Array]
    first: int
    incoming: list[Array]
    outputs: list[tuple[Array, Array]]
    arguments: dict[str, Array]
    shared: frozenset[int] | None = frozenset()
    parted: frozenset[int] = frozenset()


class Case:
    """A derivation in NumPy and what is right for it.

    ``unfollowed`` says why its values cannot be followed, if that is so.

    Args:
        pair: the derivation, with ``forward``, ``backward`` and ``solve``.
        trials: problems of several sizes and values, each with a ``reference``.
    """

    def __init__(self, pair: Any, trials: list[Any]):
        self._start(pair, trials, Program(pair.forward, pair.backward))

    def _start(self, pair: Any, trials: list[Any], program: Program) -> None:
        self.pair, self.trials, self.program = pair, trials, program
        self._right: dict[int, dict[str, Array]] = {}
        self.unfollowed = ""
        self.longest, started = 10.0, time.process_time()
        answer = self._answer(trials[0].problem, {})
        self._left_out = frozenset(answer.left_out if answer else ())
        self.longest = max(LONGEST, 5 * (time.process_time() - started))
        # At a tie a right program may take another side than the reference. The check of a repaired one knows that.
        usual = [k for k, trial in enumerate(trials) if not (trial.large or trial.tied)]
        if any(self.wrong(k) != frozenset() for k in usual):
            self.trials, self._right = [trials[k] for k in usual], {}

    def right(self, k: int) -> dict[str, Array]:
        """Return the right outputs and gradients of a trial, but those that the program leaves out."""
        if k not in self._right:
            found = self.reference(k).answer.tensors()
            self._right[k] = {name: value for name, value in found.items() if name not in self._left_out}
        return self._right[k]

    @contextmanager
    def searching(self) -> Iterator[None]:
        """A context to search in. Closures that a traced run made run in it as those of the user's do."""
        with self._seen_by(Unseen()):
            yield

    def reference(self, k: int) -> Any:
        """Run the reference on a trial, also if it ran before."""
        return self.trials[k].reference(perturb=lambda array: array)

    def right_at(self, k: int, problem: Any) -> dict[str, Array] | None:
        """Return what is right on a trial with other incoming gradients; None if its reference cannot be asked."""
        own = getattr(self.trials[k].reference, "__self__", None)
        return Autograd(own.function, problem).run().answer.tensors() if isinstance(own, Autograd) else None

    def tensors(self, problem: Any, edits: Edits | None = None) -> dict[str, Array] | None:
        """Return the program's outputs and gradients with these edits; None if it raises or takes too long."""
        answer = self._answer(problem, edits or {})
        return answer.tensors() if answer else None

    def _answer(self, problem: Any, edits: Edits) -> Answer | None:
        try:
            with self.program.running(edits), limited(self.longest):
                return attempted(lambda: self.pair.solve(problem, None))
        except (ImpossibleError, TooLong):
            return None

    def wrong(self, k: int, edits: Edits | None = None) -> frozenset[str] | None:
        """Return what is wrong on a trial with these edits; None if the program does not run."""
        found = self.tensors(self.trials[k].problem, edits)
        return None if found is None else differing(found, self.right(k))

    @staticmethod
    def steps_first(array: Array) -> Array:
        """Return an array as a view whose axes are in the order of steps, rows, units, if it has these."""
        return array

    def confirmed(self, edits: Edits, changes: Sequence[Change], agrees: Callable[..., bool]) -> bool:
        """Whether the whole check agrees with these edits, which are these changes of the text."""
        with self.program.running(edits):
            return agrees()

    def is_affine(self, edits: Edits) -> bool:
        """Whether the gradients are affine in the incoming gradients, as those of a backward pass are, and use each."""
        problem = self.trials[0].problem

        def found(factor: float, *names: str) -> dict[str, Array]:
            given = {n: (factor if n in names else 1) * np.asarray(d) for n, d in problem.d_outputs.items()}
            return self.tensors(replace(problem, d_outputs=given), edits) or {}

        names = list(problem.d_outputs)
        none, one, two = (found(factor, *names) for factor in (0.0, 1.0, 2.0))
        if not none.keys() == one.keys() == two.keys() or not all(differing(found(0.0, name), one) for name in names):
            return False
        return not differing({name: none[name] + two[name] - one[name] for name in one}, one)

    def _named(self, made: list[Any], problem: Any, tape: Tape) -> dict[str, Array]:
        """Return the ids of the arguments, by the names of their gradients."""
        first = flat(_with_ids(made[0], tape)) if self.pair.nested else {}
        inputs = zip(problem.inputs, made[bool(self.pair.nested) :])
        return first | {f"d_{name}": tape.ids(value).copy() for name, value in inputs if name in problem.differentiable}

    def trace(self, problem: Any, edits: Edits, shared: frozenset[int] | None) -> Run:
        """Run the program with every operation traced."""
        tape = Tape()
        recorder = Recorder(tape.ids, traced.alone, shared)
        known: dict[int, Any] = {}
        kept: list[Any] = []
        run = Run(tape, recorder.events, {}, {}, 0, [], [], {}, shared)

        def given(value: Any) -> Any:
            if id(value) in known:
                return known[id(value)]
            kept.append(value)
            if isinstance(value, np.ndarray) and value.dtype == np.float64 and not isinstance(value, traced.Traced):
                known[id(value)] = traced.leaf(value)
            elif isinstance(value, dict):
                known[id(value)] = {key: given(one) for key, one in value.items()}
            elif type(value) in (list, tuple):
                known[id(value)] = type(value)(map(given, value))
            else:
                return value
            return known[id(value)]

        @wraps(self.pair.forward)
        def forward(*inputs: Any, **options: Any) -> Any:
            made = [given(one) for one in inputs]
            run.arguments = self._named(made, problem, tape)
            returned = self.pair.forward(*made, **options)
            run.outputs = [(tape.ids(one).copy(), one) for one in returned[: len(problem.d_outputs)]]
            run.first = len(tape.operations)
            recorder.forward = False
            return returned

        @wraps(self.pair.backward)
        def backward(*inputs: Any, **options: Any) -> Any:
            made = [given(one) for one in inputs]
            run.incoming = [tape.ids(one).copy() for one in made[-len(problem.d_outputs) :]]
            returned = self.pair.backward(*made, **options)
            d_inputs, gradients = self.pair.gradients(_with_ids(returned, tape), problem)
            run.returned = derived({f"d_{name}": d_inputs.get(name) for name in problem.differentiable} | gradients)
            return returned

        watched = type(self.pair)(forward, backward, self.pair.nested)
        with (
            self.program.running(edits, rewrite),
            self._hooked(recorder),
            limited(30 * self.longest),
            traced.writing(tape),
        ):
            run.tensors = watched.solve(problem, None).tensors()
        run.parted = frozenset(n for n, *both in recorder.copies if any(map(tape.is_changed, both)))
        return run

    @contextmanager
    def _hooked(self, recorder: Recorder) -> Iterator[None]:
        """A context in which the functions find the recorder, and NumPy makes traced arrays."""
        before = []
        modules = {id(np): traced.NumPy(np), id(math): traced.NumPy(math)}
        spaces = {id(f.__globals__): f.__globals__ for f in self.program.functions}
        try:
            for space in spaces.values():
                for name, value in list(space.items()):
                    new = modules.get(id(value))
                    if new is None and getattr(np, getattr(value, "__name__", " "), None) is value:
                        new = traced.seen(value)
                    if new is not None and new is not value:
                        before.append((space, name, value))
                        space[name] = new
            with self._seen_by(recorder):
                yield
        finally:
            for space, name, value in before:
                space[name] = value

    @contextmanager
    def _seen_by(self, recorder: Any) -> Iterator[None]:
        """A context in which the functions find a recorder."""
        spaces = {id(f.__globals__): f.__globals__ for f in self.program.functions}
        before = {key: space.get(NAME) for key, space in spaces.items()}
        try:
            for space in spaces.values():
                space[NAME] = recorder
            yield
        finally:
            for key, space in spaces.items():
                space[NAME] = before[key]
                if before[key] is None:
                    del space[NAME]


def differing(found: dict[str, Array], right: dict[str, Array]) -> frozenset[str]:
    """Return the names of what is wrong or missing."""
    largest = [np.abs(value).max(initial=0) for value in right.values() if value.size]
    least = 1e-5 * float(np.median(largest)) if largest else 0.0
    return frozenset(name for name, value in right.items() if name not in found or not near(found[name], value, least))


def near(actual: Any, right: Any, least: float = 0.0) -> bool:
    """Whether two arrays are the same up to rounding, relative to the largest element or, if larger, ``least``."""
    actual, right = np.asarray(actual), np.asarray(right)
    if actual.shape != right.shape or actual.dtype.kind not in "fiub":
        return False
    if actual.dtype.kind == "f" and not np.isfinite(actual).all():
        return np.array_equal(actual, right, equal_nan=True)
    return bool(np.abs(actual - right).max(initial=0) <= NEAR * max(np.abs(right).max(initial=0), least, 1e-12))


def _with_ids(returned: Any, tape: Tape) -> Any:
    """Return what a pass returned, with ids in the place of arrays."""
    if isinstance(returned, np.ndarray):
        return tape.ids(returned).copy()
    if isinstance(returned, dict):
        return {key: _with_ids(value, tape) for key, value in returned.items()}
    if isinstance(returned, list | tuple):
        return [_with_ids(one, tape) for one in returned]
    return None if returned is None else np.zeros(np.shape(returned), np.int64)


def attempted(call: Callable[[], Any]) -> Any:
    """Return what the user's code returns; None if it raises something, which is no defect of the search."""
    try:
        return call()
    except Exception:
        return None


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A context that ends after some processor time with ``TooLong``, in the main thread; nothing is printed in it.

    What is raised in a callback of the garbage collector is lost: it waits, and the clock rings again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TooLong

    before, collects = signal.signal(signal.SIGPROF, ring), gc.isenabled()
    gc.disable()
    signal.setitimer(signal.ITIMER_PROF, seconds, LONGEST)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), np.errstate(all="ignore"):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if collects:
            gc.enable()
