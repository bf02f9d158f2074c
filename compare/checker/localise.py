"""Find the wrong equations: run a derivation as it is, then with the reference fed back, and see what still differs.

As the code runs, one wrong equation makes nearly every gradient wrong. If each value is replaced by the reference's
once it has been compared, every equation receives correct inputs, so exactly the wrong ones differ, however many there
are. This assumes that each probe is given what its name says, that the code uses what the probe returns, and that
nothing is modified afterwards. Further runs detect where that is not so: with one name not fed back, with one name fed
back wrong, with modified arrays restored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from compare.checker.compare import Compared
from compare.checker.derivations.problem import Arrays
from compare.checker.expected.rounding import distance
from compare.checker.recorder import Key, Record, as_float64, why_not_comparable
from compare.checker.run import Run, Runner
from compare.checker.tensor_recorder import TensorRecorder
from compare.checker.trials import Trial
from manual.arrays import Array

#: The factor by which an error is enlarged to see whether it reaches an output or gradient.
LARGER = 1000.0


@dataclass
class Located:
    """The findings of one trial, as ``report.findings`` explains them; ``raised`` is what the code as it is raises."""

    as_run: Run
    fed_back: Run
    faults: list[Compared] = field(default_factory=list)
    misplaced: list[Compared] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    changed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    consequences: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    raised: str = ""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs, as the code runs and with the reference fed back."""
        return not (self.as_run.wrong or self.fed_back.wrong)

    @property
    def only_overflows(self) -> bool:
        """Whether all elements that differ are infinite or NaN, as the code runs and with the reference fed back."""
        wrong = [*self.as_run.wrong.values(), *self.fed_back.wrong.values()]
        return not any(
            one.missing or (mask & np.isfinite(a)).any() for one in wrong for mask, a in zip(one.wrong(), one.actual)
        )


def locate(runner: Runner, run: Run | None) -> Located:
    """Find what is wrong, and how; ``run`` is that of the code as it is, None if it raised."""
    try:
        runner, as_run = runner.in_order(run or runner.run())
    except Exception as error:  # for instance on a value of the wrong shape, which feeding back corrects
        fed_back = runner.attempt(free=())
        if fed_back is None or not fed_back.wrong:
            raise
        raised = f"{type(error).__name__}: {error}"
        return Located(fed_back, fed_back, list(fed_back.wrong.values()), raised=raised)
    try:
        fed_back = runner.run(free=()) if as_run.recorder.recorded else as_run
    except Exception:  # the code cannot use the reference's arrays, only its own
        return Located(as_run, as_run, list(as_run.wrong.values()))
    found = Located(as_run, fed_back)
    if found.agrees:
        return found
    runner, as_run, fed_back = runner.numbered_best(as_run, fed_back)
    found.as_run, found.fed_back = as_run, fed_back
    if as_run.answers_right and not (as_run.recorder.open or as_run.answer.open):
        for one in as_run.wrong.values():
            (found.faults if _is_too_small_to_show(runner, one, found) else found.misplaced).append(one)
        return found
    fed_back, found.misplaced, free = _without_misplaced(runner, fed_back)
    unrestored = fed_back
    fed_back, found.changed = _without_changed(runner, fed_back, free)
    found.fed_back, found.faults = fed_back, list(fed_back.wrong.values())
    if found.changed:
        _set_changed_apart(runner, found, unrestored, free)
    if not (fed_back.recorder.open or fed_back.answer.open):  # what is to use a result may not be there yet
        _set_unused_apart(runner, found, free)
    if len(found.faults) > 1:
        _set_unrecorded_apart(runner, found, free)
    if not (found.faults or found.misplaced or found.changed or found.consequences):
        found.faults = [one for one in as_run.wrong.values() if one.missing]
        if not found.faults:  # as it runs it is wrong, on right values it is right: nothing tells which line
            found.consequences = [*as_run.wrong]
    return found


def _without_misplaced(runner: Runner, fed_back: Run) -> tuple[Run, list[Compared], tuple[str, ...]]:
    """Separate the probes that are given something other than their name says.

    There, feeding the reference back does harm: less is wrong if the name is not fed back. For a wrong equation it
    is the other way round.
    """
    free = tuple({call.key[0] for call in fed_back.recorder.repeated})
    misplaced = [one for one in fed_back.compared if one.name in free]
    if free:  # two values under one name: the reference matches at most one
        fed_back = runner.run(free=free)
    for name in [one.name for one in fed_back.wrong.values() if one.recorded]:
        without = runner.attempt(free=(*free, name))
        if without is None:
            continue
        rest = fed_back.wrong.keys() - {name}
        left = without.wrong.keys() - {name}
        if left < rest and name in fed_back.wrong:
            misplaced.append(fed_back.wrong[name])
            fed_back, free = without, (*free, name)
    fed_back = replace(fed_back, compared=[one for one in fed_back.compared if one.name not in free])
    return fed_back, misplaced, free


def _without_changed(runner: Runner, fed_back: Run, free: tuple[str, ...]) -> tuple[Run, dict[str, tuple[int, ...]]]:
    """Separate the arrays that were modified in place after their probes, if that makes other values wrong."""
    changed: dict[str, list[int]] = {}
    for call in fed_back.recorder.recorded:
        if call.changed and call.key[0] not in free:
            changed.setdefault(call.key[0], []).append(-1 if call.key[1] is None else call.key[1])
    guilty: dict[str, tuple[int, ...]] = {}
    for name, steps in changed.items():
        restored = runner.attempt(free=free, restored=(*guilty, name))
        if restored is not None and restored.wrong_parts < fed_back.wrong_parts:
            guilty[name] = tuple(sorted(t for t in steps if t >= 0))
            fed_back = replace(restored, compared=[one for one in restored.compared if one.name not in free])
    return fed_back, guilty


def _set_changed_apart(runner: Runner, found: Located, unrestored: Run, free: tuple[str, ...]) -> None:
    """Drop the faults that a right equation gives for what a changed array holds afterwards."""
    calls = [s for s in unrestored.recorder.recorded if s.key[0] in found.changed and not s.problem]
    afterwards = {s.key: as_float64(s.returned) for s in calls}
    influence = Influence(runner.trial, _names_fed_back(found, free) - {*found.changed})
    record, answer = influence.following(afterwards)
    found.faults = [one for one in found.faults if not _follows(runner, one, record, answer)]


def _is_too_small_to_show(runner: Runner, one: Compared, found: Located) -> bool:
    """Whether an error reaches the answer, and only drowns there in what rounding may do.

    Then the reference in its place does no harm, and more of the same error does.
    """
    if (one.errors > LARGER * one.limits).any() or not found.fed_back.wrong.keys() <= found.as_run.wrong.keys():
        return False
    record = runner.expected.right.record
    worse = {
        call.key: record[call.key] + LARGER * (call.value - record[call.key])
        for call in found.as_run.recorder.recorded
        if call.key[0] == one.name and not call.problem
    }
    run = runner.attempt(free=(), instead=worse)
    return run is not None and not run.wrong.keys() <= found.fed_back.wrong.keys()


def _set_unused_apart(runner: Runner, found: Located, free: tuple[str, ...]) -> None:
    """Separate the consequences of a fault at a probe whose result the code does not use."""
    rng = np.random.default_rng(0)
    record = runner.expected.right.record
    for fault in [one for one in found.faults if one.recorded]:
        noise = {key: a + rng.normal(size=a.shape) for key, a in record.items() if key[0] == fault.name}
        poisoned = runner.attempt(free=free, instead=noise)
        if poisoned is not None and not _differ(poisoned, found.fed_back, fault.name):
            found.unused.append(fault.name)
    if found.unused:
        influence = Influence(runner.trial, _names_fed_back(found, free) - {*found.unused})
        reached = set().union(*(influence.of(name) for name in found.unused))
        recorded = {
            s.key: s.value for s in found.fed_back.recorder.recorded if s.key[0] in found.unused and not s.problem
        }
        record, answer = influence.following(recorded)
        followers = [one for one in found.faults if one.name in reached and _follows(runner, one, record, answer)]
        found.consequences = [one.label for one in followers]
        found.faults = [one for one in found.faults if one not in followers]


def _follows(runner: Runner, one: Compared, record: Record, answer: Arrays) -> bool:
    """Return whether a wrong quantity has the value that a right equation gives for the wrong values before it."""
    if any(why_not_comparable(a, right) for a, right in zip(one.actual, one.right)):
        return False
    if one.recorded:
        parts = [record[one.name, t] for t in one.steps or (None,)]
    else:
        block = (
            runner.notation.blocks(one.name, answer[one.name])[one.gate] if one.kind == "gradient" else answer[one.name]
        )
        parts = [block[t] for t in one.steps] if one.steps else [block]
    return all(
        bool((distance(a, part) <= limit * max(scale, np.abs(part).max(initial=0))).all())
        for a, part, limit, scale in zip(one.actual, parts, one.limits, one.scales)
    )


def _set_unrecorded_apart(runner: Runner, found: Located, free: tuple[str, ...]) -> None:
    """Separate faults that one error in a hidden quantity would explain, and name the probe to add."""
    wrong = {one.name for one in found.faults}
    fed_back = _names_fed_back(found, free)
    influence = Influence(runner.trial, fed_back)
    compared = {one.name for one in found.fed_back.compared}  # a gradient that was not derived shows nothing
    candidates = {}
    for name in influence.names:
        if name not in fed_back and name not in free:
            reached = influence.of(name) & compared
            if len(reached) > 1 and reached <= wrong:
                candidates[name] = reached
    if not candidates:
        return
    most = max(map(len, candidates.values()))
    best = [name for name, reached in candidates.items() if len(reached) == most]
    named = [name for name in best if not name.endswith("_prev")] or best
    found.unrecorded = named
    explained = [one for one in found.faults if one.name in candidates[named[0]]]
    found.consequences += [one.label for one in explained]
    found.faults = [one for one in found.faults if one not in explained]


def _names_fed_back(found: Located, free: tuple[str, ...]) -> set[str]:
    recorder = found.fed_back.recorder
    return {call.key[0] for call in recorder.recorded} - {*free} | {name for name, _ in recorder.open}


def _differ(run: Run, other: Run, name: str) -> bool:
    """Whether two runs differ anywhere except in the values recorded under a name."""
    ours = {s.key: s.value for s in run.recorder.recorded if s.key[0] != name}
    theirs = {s.key: s.value for s in other.recorder.recorded if s.key[0] != name}
    if any(not np.array_equal(value, theirs[key], equal_nan=True) for key, value in ours.items() if key in theirs):
        return True
    mine, other_tensors = run.answer.tensors(), other.answer.tensors()
    return any(not np.array_equal(array, other_tensors[n], equal_nan=True) for n, array in mine.items())


#: The smallest change that counts, relative to a value's scale.
VISIBLE = 1e-9


class Influence:
    """The influence of each named quantity of a reference on the quantities computed from it.

    Args:
        fixed: the names that are reset to their correct values after they have been recorded.
    """

    def __init__(self, trial: Trial, fixed: set[str]):
        self.trial, self.fixed = trial, fixed
        recorder = TensorRecorder()
        self.answer = trial.reference(recorder=recorder).answer.tensors()
        self.record = recorder.record()
        forward = list(dict.fromkeys(name for name, _ in self.record if not name.startswith("d_")))
        recorded = {name for name, _ in self.record}
        adjoints = [f"d_{name}" for name in reversed(forward) if f"d_{name}" in recorded]
        #: In the order of computation: adjoints in the reverse order of the values.
        self.names = [*forward, *adjoints]
        self._once = frozenset(name for name, t in self.record if t is None)

    def of(self, name: str) -> set[str]:
        """Return the fixed names, outputs and gradients that change if this quantity is changed at every step."""
        rng = np.random.default_rng(0)
        noisy = {key: value + rng.normal(size=value.shape) for key, value in self.record.items() if key[0] == name}
        record, answer = self.following(noisy)
        reached = {n for (n, t), value in self.record.items() if n in self.fixed and _changed(record[n, t], value)}
        return (reached | {n for n, value in self.answer.items() if _changed(answer[n], value)}) - {name}

    def following(self, instead: Mapping[Key, Array]) -> tuple[Record, Arrays]:
        """Return each intermediate as computed, and the answer, with these values in the place of the right ones."""

        def change(key: Key, tensor: torch.Tensor) -> torch.Tensor:
            if key not in instead and key[0] not in self.fixed:
                return tensor
            return torch.as_tensor(instead.get(key, self.record[key]), dtype=tensor.dtype)

        recorder = TensorRecorder(change, self._once)
        answer = self.trial.reference(recorder=recorder).answer.tensors()
        return recorder.record(), answer


def _changed(value: Array, before: Array) -> bool:
    if value.dtype.kind != "f":
        return not np.array_equal(value, before)
    scale = np.abs(before).max() if before.size else 0.0
    return bool((np.abs(value - before) > VISIBLE * scale).any()) or not np.isfinite(value).all()
