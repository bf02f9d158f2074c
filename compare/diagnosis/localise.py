"""Which equation is wrong: compare every named intermediate, first as the code runs, then with the reference fed back.

As the code runs (chained), one wrong gate makes every element of every gradient wrong. With the reference put in the
place of each value once it has been compared (forced), every equation works on right inputs, so exactly the wrong
ones light up, however many there are. What no probe sees, outputs, gradients of inputs and of parameters, is compared
at the end of both runs: it, too, then rests on right values.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from compare.agreement import Difference, difference
from compare.diagnosis.derivations import Answer, Derivation, Problem, Reference
from compare.diagnosis.probes import Recorder
from manual.arrays import Array

#: How to cut a gradient up by gate: its name and itself, to its blocks by gate; a block without gate is called "".
Blocks = Callable[[str, Array], dict[str, Array]]


@dataclass(frozen=True)
class Fault:
    """An intermediate, or a block of a gradient, that is wrong although all it is computed from is right.

    ``name`` is the probe's or the tensor's; ``gate`` the block's, if it has one; ``steps`` and ``rows`` where the
    fault shows, empty where the tensor has no such axis; ``worst`` its worst element, indexed (step, row, unit) where
    it has these axes; ``actual`` and ``reference`` the whole, all time steps stacked.
    """

    name: str
    gate: str
    steps: tuple[int, ...]
    rows: tuple[int, ...]
    worst: Difference
    actual: Array
    reference: Array


@dataclass(frozen=True)
class Localisation:
    """What the two runs found.

    ``chained`` and ``forced`` hold for each compared thing its relative error at each time step, (T,), or (1,) where
    it has no time axis; ``faults`` are those of the forced run.
    """

    tolerance: float
    chained: dict[str, Array]
    forced: dict[str, Array]
    faults: list[Fault]

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and nothing is wrong, as the code runs or otherwise."""
        found = [*self.chained.values(), *self.forced.values()]
        return bool(found) and all((errors <= self.tolerance).all() for errors in found)


def localise(
    derivation: Derivation,
    problem: Problem,
    reference: Reference,
    gates: tuple[str, ...],
    blocks: Blocks,
    tolerance: float = 1e-12,
) -> Localisation:
    """Run a derivation chained and forced, and find what is wrong.

    Args:
        derivation: what is checked.
        problem: what it is checked on.
        reference: what is right.
        gates: the names that end in one of these, as ``d_z_f`` does, belong to a gate.
        blocks: how gradients of parameters are cut up by gate.
        tolerance: the largest relative error that passes.

    Raises:
        ValueError: the derivation's answer lacks a name or has one too many, or a shape or value that cannot be
            compared; a probe was not called at every step.
    """
    runs = []
    for force in (False, True):
        recorder = Recorder(reference.record, force)
        answer = derivation.solve(problem, recorder)
        _check(answer, reference.answer)
        runs.append(list(_compared(recorder, answer, reference, gates, blocks)))
    chained, forced = ({thing.label: thing.errors for thing in run} for run in runs)
    faults = [thing.fault(tolerance) for thing in runs[1] if (thing.errors > tolerance).any()]
    return Localisation(tolerance, chained, forced, faults)


def _check(answer: Answer, expected: Answer) -> None:
    """Make sure that an answer can be compared with what is expected."""
    for kind in ("outputs", "d_inputs", "gradients"):
        got, want = getattr(answer, kind), getattr(expected, kind)
        if got.keys() != want.keys():
            raise ValueError(f"{kind}: expected {', '.join(want)}; got {', '.join(got)}")
        for name, array in want.items():
            label = f"d_{name}" if kind == "d_inputs" else name
            if got[name].shape != array.shape:
                raise ValueError(f"{label}: expected shape {array.shape}, got {got[name].shape}")
            if not np.isfinite(got[name]).all():
                raise ValueError(f"{label}: expected finite numbers, got some that are not")


@dataclass(frozen=True)
class _Compared:
    """Two arrays that ought to be equal."""

    name: str
    gate: str
    timed: bool  # whether the axes are (T, B, …)
    actual: Array
    reference: Array

    @property
    def label(self) -> str:
        """The name, and with a block of a parameter's gradient also its gate."""
        return f"{self.name} {self.gate}" if self.gate and not self.name.endswith(f"_{self.gate}") else self.name

    @property
    def errors(self) -> Array:
        """The relative error at each time step, each by its own scale, (T,); (1,) where there are no steps."""
        shape = (len(self.actual), -1) if self.timed else (1, -1)
        distance = np.abs(self.actual - self.reference).reshape(shape).max(axis=1)
        scale = np.abs(self.reference).reshape(shape).max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(distance == 0, 0, distance / scale)

    def fault(self, tolerance: float) -> Fault:
        """What is wrong here, and where."""
        steps: tuple[int, ...] = ()
        rows: tuple[int, ...] = ()
        if self.timed:
            scale = np.abs(self.reference).max(axis=(1, 2), keepdims=True)
            wrong = np.abs(self.actual - self.reference) > tolerance * scale
            steps = tuple(np.flatnonzero(wrong.any(axis=(1, 2))).tolist())
            rows = tuple(np.flatnonzero(wrong.any(axis=(0, 2))).tolist())
        worst = difference(self.name, self.actual, self.reference, tolerance)
        return Fault(self.name, self.gate, steps, rows, worst, self.actual, self.reference)


def _compared(
    recorder: Recorder, answer: Answer, reference: Reference, gates: tuple[str, ...], blocks: Blocks
) -> Iterator[_Compared]:
    """All there is to compare: what the probe has seen, then the answer."""
    T = 1 + max((t for _, t in reference.record), default=0)
    for name in dict.fromkeys(name for name, _ in recorder.seen):
        missing = [t for t in range(T) if (name, t) not in recorder.seen]
        if missing:
            raise ValueError(f"probe {name!r}: expected a call at each of {T} steps, got none at {missing}")
        actual, expected = (np.stack([of[name, t] for t in range(T)]) for of in (recorder.seen, reference.record))
        yield _Compared(name, _gate(name, gates), True, actual, expected)
    expected_tensors = reference.answer.tensors()
    for name, array in answer.tensors().items():
        if name in answer.gradients:
            expected_blocks = blocks(name, expected_tensors[name])
            for gate, block in blocks(name, array).items():
                yield _Compared(name, gate, False, block, expected_blocks[gate])
        else:
            timed = array.ndim == 3 and len(array) == T
            yield _Compared(name, "", timed, array, expected_tensors[name])


def _gate(name: str, gates: tuple[str, ...]) -> str:
    """The gate that the name of an intermediate speaks of, or none."""
    bare = re.sub(r"_l\d+(_reverse)?$", "", name).removeprefix("d_").removeprefix("z_")
    return bare if bare in gates and len(gates) > 1 else ""
