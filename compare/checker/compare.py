"""Compare what a run of a derivation shows and returns with the reference, quantity by quantity, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compare.agreement import Difference
from compare.checker.derivations.problem import Answer
from compare.checker.expected import Expected
from compare.checker.notation import Notation
from compare.checker.recorder import Place, Recorded, Recorder, why_not_comparable
from compare.checker.trials import Trial
from manual.arrays import Array


@dataclass(frozen=True)
class Compared:
    """One quantity: a probe's, an output, a gradient of an input, or a block of a parameter's gradient.

    ``actual`` and ``right`` hold one part for each of ``steps``, or a single part if there are no steps. ``errors`` and
    ``limits`` are relative to ``scales``, part by part. ``missing`` lists the steps at which the probe was not called
    although the correct value is not zero. ``places`` are the lines of the probes that showed the parts. ``returned``
    says that it is what the derivation returned under a name that a probe has, too.
    """

    name: str
    gate: str
    kind: str  # "value", "adjoint", "output", "d_input" or "gradient"
    steps: tuple[int, ...]
    actual: list[Array]
    right: list[Array]
    errors: Array
    limits: Array
    scales: Array
    problem: str
    rows_axis: int | None
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
        """Whether a probe showed it."""
        return self.kind in ("value", "adjoint")

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
        far = distance(self.actual[k], self.right[k])
        index = tuple(map(int, np.unravel_index(int(np.argmax(far)), far.shape)))
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
            np.ones(a.shape, bool) if why_not_comparable(a, r) else distance(a, r) > limit * scale
            for a, r, limit, scale in zip(self.actual, self.right, self.limits, self.scales)
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
    """Compare everything: what the probes showed, in the order of computation, then outputs and gradients.

    Raises:
        ValueError: the answer names an unknown gradient.
    """
    right = expected.right
    unknown = [name for name in answer.gradients if name not in right.answer.gradients]
    if unknown:
        raise ValueError(f"gradients: expected {', '.join(right.answer.gradients)}; got {', '.join(answer.gradients)}")
    found = [*_of_probes(recorder, expected, trial, notation)]
    for name, array in right.answer.outputs.items():
        found.append(_of_answer(name, "output", answer.outputs[name], array, expected, trial))
    for name, array in right.answer.d_inputs.items():
        if name in answer.d_inputs:
            found.append(_of_answer(name, "d_input", answer.d_inputs[name], array, expected, trial))
        elif f"d_{name}" not in answer.left_out:
            found.append(_missing(f"d_{name}", "d_input"))
    for name in right.answer.gradients:
        if name in answer.gradients:
            found += _of_gradient(name, answer.gradients[name], expected, notation)
        elif name not in answer.left_out:
            found.append(_missing(name, "gradient"))
    names = {one.name for one in found if one.recorded}
    return [replace(one, returned=not one.recorded and one.name in names) for one in found]


def _missing(name: str, kind: str) -> Compared:
    one = np.ones(1)
    return Compared(name, "", kind, (), [np.zeros(0)], [one], np.inf * one, 0 * one, one, "missing", None)


def _of_probes(recorder: Recorder, expected: Expected, trial: Trial, notation: Notation) -> Iterator[Compared]:
    by_name: dict[str, dict[int | None, Recorded]] = {}
    for shown in recorder.recorded:
        by_name.setdefault(shown.key[0], {})[shown.key[1]] = shown
    record, noise = expected.right.record, expected.noise.record if expected.noise else None
    for name, calls in by_name.items():
        backward = name.startswith("d_")
        steps = sorted((t for n, t in record if n == name), key=lambda t: -1 if t is None else t)
        extra = [shown for t, shown in calls.items() if t not in steps]
        seen = [t for t in steps if t in calls]
        actual, right = [calls[t].value for t in seen], [record[name, t] for t in seen]
        moved = [noise[name, t] for t in seen] if noise else []
        scales, limits = expected.limits(right, moved, backward) if seen else (np.zeros(0), np.zeros(0))
        problems = [calls[t].problem for t in seen if calls[t].problem] + [shown.problem for shown in extra]
        again = [shown.key[1] for shown in recorder.repeated if shown.key[0] == name]
        if again:
            problems.append("shown twice, with two values" + ("" if again[0] is None else f", at step {again[0]}"))
        missing = [t for t in steps if t not in calls and record[name, t].any()]
        yield _compared(
            name, notation.gate(name), "adjoint" if backward else "value", seen, actual, right, scales, limits,
            problems, _axes(right[0].shape, trial, "B").get("B") if right else None,
            missing=tuple(t for t in missing if t is not None),
            places=tuple(calls[t].place for t in seen),
        )  # fmt: skip


def _of_answer(name: str, kind: str, actual: Array, right: Array, expected: Expected, trial: Trial) -> Compared:
    part = "outputs" if kind == "output" else "d_inputs"
    noise = [getattr(expected.noise.answer, part)[name]] if expected.noise else []
    label = f"d_{name}" if kind == "d_input" else name
    letters = [letter for letter in "TB" if kind == "output" or (name, letter) not in trial.lacking]
    axes = _axes(right.shape, trial, "".join(letters))
    if "T" in axes and actual.shape == right.shape:
        scales, limits = expected.limits([*right], [step for array in noise for step in array], kind == "d_input")
        rows = axes["B"] - 1 if "B" in axes else None
        return _compared(label, "", kind, list(range(len(right))), [*actual], [*right], scales, limits, [], rows)
    scales, limits = expected.limits([right], noise, kind == "d_input")
    return _compared(label, "", kind, [None], [actual], [right], scales, limits, [], axes.get("B"))


def _of_gradient(name: str, actual: Array, expected: Expected, notation: Notation) -> list[Compared]:
    right, noise = expected.right.answer.gradients[name], expected.noise
    moved = notation.blocks(name, noise.answer.gradients[name]) if noise else {}
    if actual.shape != right.shape:
        scales, limits = expected.limits([right], [], True)
        return [_compared(name, "", "gradient", [None], [actual], [right], scales, limits, [], None)]
    found = []
    rights = notation.blocks(name, right)
    for gate, block in notation.blocks(name, actual).items():
        scales, limits = expected.limits([rights[gate]], [moved[gate]] if moved else [], True)
        found.append(_compared(name, gate, "gradient", [None], [block], [rights[gate]], scales, limits, [], None))
    return found


def _compared(
    name: str,
    gate: str,
    kind: str,
    steps: list[Any],
    actual: list[Array],
    right: list[Array],
    scales: Array,
    limits: Array,
    problems: list[str],
    rows_axis: int | None,
    **more: Any,
) -> Compared:
    errors = np.zeros(len(actual))
    for k, (a, r) in enumerate(zip(actual, right)):
        if why_not := why_not_comparable(a, r):
            errors[k], problems = np.inf, problems or [why_not]
        elif not a.size:
            continue
        else:
            largest = float(distance(a, r).max())
            errors[k] = largest / scales[k]  # which is at least the smallest number there is
            if not np.isfinite(largest):
                problems = problems or ["not finite"]
    numbered = tuple(t for t in steps if t is not None)
    return Compared(
        name, gate, kind, numbered, actual, right, errors, limits, scales, problems[0] if problems else "", rows_axis,
        **more,
    )  # fmt: skip


def distance(actual: Array, right: Array) -> Array:
    """Return the distance by element: 0 where both are the same infinity, infinite where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(actual.astype(float) - right.astype(float))
    return np.where(actual == right, 0.0, np.where(np.isnan(far), np.inf, far))


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
