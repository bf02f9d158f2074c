"""Compare what a run of a derivation records and returns with the reference, quantity by quantity, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compare.agreement import Difference
from compare.checker.derivations.problem import Answer
from compare.checker.expected import Expected, Pick
from compare.checker.expected.digits import fewest_digits
from compare.checker.expected.rounding import Judged, Runs, distance, judge, worst_element
from compare.checker.notation import Notation
from compare.checker.recorder import Place, Recorded, Recorder, why_not_comparable
from compare.checker.reference import Reference
from compare.checker.trials import Trial
from manual.arrays import Array

#: An error relative to the value that in double precision is none of rounding, if most elements have it.
ROUNDED = 1e-10


@dataclass(frozen=True)
class Compared:
    """One quantity: a probe's, an output, a gradient of an input, or a block of a parameter's gradient.

    ``actual`` and ``right`` hold one part for each of ``steps``, or a single part if there are no steps. ``allowed``
    holds the largest error of each element that passes; ``own`` says which are judged by their own noise alone.
    ``errors`` and ``limits`` are those of the worst element of each part, relative to ``scales``. ``missing`` lists the
    steps at which the probe was not called although the correct value is not zero. ``places`` are the lines of the
    probes that recorded the parts. ``returned`` says that it is what the derivation returned under a name that a probe
    has, too. ``less_accurate`` is its error as a multiple of what passes, if it is right but less accurate than that;
    ``aside`` counts the elements that took another side of a branch, or cannot be judged; ``unjudged`` says that
    rounding moves too much of it too far for a judgement.
    """

    name: str
    gate: str
    kind: str  # "value", "adjoint", "output", "d_input" or "gradient"
    steps: tuple[int, ...]
    actual: list[Array]
    right: list[Array]
    problem: str
    rows_axis: int | None
    errors: Array
    limits: Array
    scales: Array
    allowed: tuple[Array, ...]
    own: tuple[Array, ...] = ()
    less_accurate: float = 0.0
    aside: int = 0
    unjudged: bool = False
    missing: tuple[int, ...] = ()
    places: tuple[Place, ...] = ()
    returned: bool = False

    @property
    def label(self) -> str:
        """The name, with the gate for a block of a parameter's gradient unless the name contains it."""
        named = self.kind != "gradient" or not self.gate or self.name.endswith(f"_{self.gate}")
        return (self.name if named else f"{self.name} {self.gate}") + (" (returned)" if self.returned else "")

    @property
    def agrees(self) -> bool:
        """Whether every part is within its limit."""
        return not self.problem and bool((self.errors <= self.limits).all())

    @property
    def recorded(self) -> bool:
        """Whether a probe recorded it."""
        return self.kind in ("value", "adjoint")

    @property
    def looks_rounded(self) -> bool:
        """Whether most of it is off by what rounding in a precision below double amounts to."""
        if self.problem:
            return False
        right = np.concatenate([r.ravel() for r in self.right])
        far = np.concatenate([distance(a, r).ravel() for a, r in zip(self.actual, self.right)])
        return bool(np.median((far / np.abs(right))[right != 0]) > ROUNDED) if right.any() else False

    @property
    def worst(self) -> int:
        """The part with the largest error relative to its limit."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return int(np.nanargmax(np.where(self.errors > 0, self.errors / self.limits, 0)))

    def difference(self) -> Difference:
        """Return the worst element, indexed with the step first if there are steps."""
        k = self.worst
        limit = float(self.limits[k])
        if why_not_comparable(self.actual[k], self.right[k]):
            return Difference(self.label, np.inf, limit, problem=self.problem)
        index = worst_element(distance(self.actual[k], self.right[k]), self.allowed[k])
        first = (self.steps[k],) if self.steps else ()
        values = self.actual[k][index].item(), self.right[k][index].item()
        return Difference(self.label, float(self.errors[k]), limit, (*first, *index), *values, self.problem)

    def where(self) -> str:
        """Say where the worst element is."""
        index = list(self.difference().index)
        words = [f"step {index.pop(0)}"] if self.steps and index else []
        if self.rows_axis is not None and self.rows_axis < len(index):
            words.append(f"row {index.pop(self.rows_axis)}")
        if len(index) == 1 and words:
            words.append(f"unit {index[0]}")
        elif index:
            words.append(f"[{', '.join(map(str, index))}]")
        return ", ".join(words)

    def wrong(self) -> list[Array]:
        """Return for each part which elements exceed the limit; all of them if they cannot be compared."""
        return [
            np.ones(a.shape, bool) if why_not_comparable(a, r) else distance(a, r) > allowed
            for a, r, allowed in zip(self.actual, self.right, self.allowed)
        ]

    def wrong_steps(self) -> tuple[int, ...]:
        """Return the steps at which it is wrong."""
        return tuple(t for t, error, limit in zip(self.steps, self.errors, self.limits) if error > limit)

    def wrong_rows(self) -> tuple[int, ...]:
        """Return the batch rows in which it is wrong."""
        if self.rows_axis is None or any(a.shape != r.shape for a, r in zip(self.actual, self.right)):
            return ()
        rows: set[int] = set()
        for mask in self.wrong():
            others = tuple(axis for axis in range(mask.ndim) if axis != self.rows_axis)
            rows |= set(np.flatnonzero(mask.any(axis=others)).tolist())
        return tuple(sorted(rows))


def compare_run(
    recorder: Recorder, answer: Answer, expected: Expected, trial: Trial, notation: Notation
) -> list[Compared]:
    """Compare probes in the order of computation, then outputs and gradients; a ValueError if a name is unknown."""
    right = expected.right
    unknown = [name for name in answer.gradients if name not in right.answer.gradients]
    if unknown:
        raise ValueError(f"gradients: expected {', '.join(right.answer.gradients)}; got {', '.join(answer.gradients)}")
    found = [*_of_probes(recorder, expected, trial, notation)]
    for name, array in right.answer.outputs.items():
        if name in answer.outputs:
            found.append(_of_answer(name, "output", answer.outputs[name], array, expected, trial))
    for name, array in right.answer.d_inputs.items():
        if name in answer.d_inputs:
            found.append(_of_answer(name, "d_input", answer.d_inputs[name], array, expected, trial))
        elif f"d_{name}" not in answer.left_out + answer.open:
            found.append(_missing(f"d_{name}", "d_input"))
    for name in right.answer.gradients:
        if name in answer.gradients:
            found += _of_gradient(name, answer.gradients[name], expected, notation)
        elif name not in answer.left_out + answer.open:
            found.append(_missing(name, "gradient"))
    names = {one.name for one in found if one.recorded}
    return [replace(one, returned=not one.recorded and one.name in names) for one in found]


def _missing(name: str, kind: str) -> Compared:
    one = np.ones(1)
    return Compared(name, "", kind, (), [np.zeros(0)], [one], "missing", None, np.inf * one, 0 * one, one, (0 * one,))


def _of_probes(recorder: Recorder, expected: Expected, trial: Trial, notation: Notation) -> Iterator[Compared]:
    by_name: dict[str, dict[int | None, Recorded]] = {}
    for recorded in recorder.recorded:
        by_name.setdefault(recorded.key[0], {})[recorded.key[1]] = recorded
    record = expected.right.record
    for name, calls in by_name.items():
        steps = sorted((t for n, t in record if n == name), key=lambda t: -1 if t is None else t)
        extra = [recorded for t, recorded in calls.items() if t not in steps]
        seen = [t for t in steps if t in calls]
        problems = [calls[t].problem for t in seen if calls[t].problem] + [recorded.problem for recorded in extra]
        again = [recorded.key[1] for recorded in recorder.repeated if recorded.key[0] == name]
        if again:
            problems.append("recorded twice, with two values" + ("" if again[0] is None else f", at step {again[0]}"))
        seen_open = {t for n, t in recorder.open if n == name}
        missing = [t for t in steps if t not in calls and t not in seen_open and record[name, t].any()]
        yield _compared(
            name,
            notation.gate(name),
            "adjoint" if name.startswith("d_") else "value",
            seen,
            [calls[t].value for t in seen],
            lambda run: [run.record[name, t] for t in seen],  # noqa: B023 - it is called here and now
            expected,
            problems,
            _axes(record[name, seen[0]].shape, trial, "B").get("B") if seen else None,
            missing=tuple(t for t in missing if t is not None),
            places=tuple(calls[t].place for t in seen),
        )


def _of_answer(name: str, kind: str, actual: Array, right: Array, expected: Expected, trial: Trial) -> Compared:
    part = "outputs" if kind == "output" else "d_inputs"
    label = f"d_{name}" if kind == "d_input" else name
    letters = [letter for letter in "TB" if kind == "output" or (name, letter) not in trial.lacking]
    axes = _axes(right.shape, trial, "".join(letters))
    if "T" in axes and actual.shape == right.shape:
        steps, rows = list(range(len(right))), axes["B"] - 1 if "B" in axes else None
        return _compared(
            label, "", kind, steps, [*actual], lambda run: [*getattr(run.answer, part)[name]], expected, [], rows
        )
    return _compared(
        label, "", kind, [None], [actual], lambda run: [getattr(run.answer, part)[name]], expected, [], axes.get("B")
    )


def _of_gradient(name: str, actual: Array, expected: Expected, notation: Notation) -> list[Compared]:
    if actual.shape != expected.right.answer.gradients[name].shape:
        pick: Pick = lambda run: [run.answer.gradients[name]]  # noqa: E731
        return [_compared(name, "", "gradient", [None], [actual], pick, expected, [], None)]

    def of_gate(gate: str, block: Array) -> Compared:
        def pick(run: Reference) -> list[Array]:
            return [notation.blocks(name, run.answer.gradients[name])[gate]]

        return _compared(name, gate, "gradient", [None], [block], pick, expected, [], None)

    return [of_gate(gate, block) for gate, block in notation.blocks(name, actual).items()]


def _compared(
    name: str,
    gate: str,
    kind: str,
    steps: list[Any],
    actual: list[Array],
    pick: Pick,
    expected: Expected,
    problems: list[str],
    rows_axis: int | None,
    **more: Any,
) -> Compared:
    right = pick(expected.right)
    backward = kind not in ("value", "output")
    why_not = [why_not_comparable(a, r) for a, r in zip(actual, right)]
    if any(why_not):  # what can be compared is compared with itself, so that only the rest differs
        judged = judge(right, right, [Runs(None, [], [])] * len(right), expected.rule(backward))
        judged = replace(judged, errors=np.where(np.array(why_not) != "", np.inf, judged.errors))
    else:
        judged = _judged(actual, right, pick, expected, backward)
    problem = next(filter(None, [*problems, *why_not]), "")
    if not problem and not np.isfinite(judged.errors).all():
        problem = "not finite"
    numbered = tuple(t for t in steps if t is not None)
    return Compared(name, gate, kind, numbered, actual, right, problem, rows_axis, **vars(judged), **more)


def _judged(actual: list[Array], right: list[Array], pick: Pick, expected: Expected, backward: bool) -> Judged:
    """Judge a quantity in the precision of the derivation, or else in its own if it has fewer digits."""
    rule = expected.rule(backward)
    judged = judge(actual, right, expected.runs(pick), rule, expected.proven)
    if not judged.agrees and (digits := fewest_digits(actual, right, max(rule.eps, rule.tolerance))):
        lower = expected.lower(digits)
        return judge(actual, right, lower.runs(pick), lower.rule(backward))
    return judged


def expands(shape: tuple[int, ...], larger: tuple[int, ...]) -> bool:
    """Return whether an array of the first shape can be broadcast to the second."""
    try:
        return np.broadcast_shapes(shape, larger) == tuple(larger)
    except ValueError:
        return False


def _axes(shape: tuple[int, ...], trial: Trial, letters: str) -> dict[str, int]:
    """Return which axes of an array are time steps and batch rows, by letter, judged by their sizes."""
    found: dict[str, int] = {}
    for letter in letters:
        k = len(shape) - 1 if letter == "B" and trial.rows_last else len(found)
        if letter in trial.axes and 0 <= k < len(shape) and shape[k] == trial.axes[letter]:
            found[letter] = k
    return found
