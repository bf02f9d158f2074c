"""Which equation is wrong: run a derivation as it is, then with the reference fed back, and see what still differs.

As the code runs (chained), one wrong equation makes nearly every gradient wrong. With the reference put in the place of
each value once it has been compared (forced), every equation works on right inputs, so exactly the wrong ones light
up, however many there are. That holds if each probe shows what its name says, if the code goes on with what the probe
returns, and if nothing is changed behind its back. Where it does not hold, further runs find that out: with one name
not fed back, with one name fed back wrong, with changed arrays restored.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from compare.diagnosis.comparing import Blocks, Compared, compare_run
from compare.diagnosis.derivations import Answer, Derivation
from compare.diagnosis.influence import Influence
from compare.diagnosis.probes import Key, Recorder
from compare.diagnosis.standards import Standard, Trial
from manual.arrays import Array

#: How many times larger an error is made to see whether it goes on to the answer.
LARGER = 1000.0


@dataclass(frozen=True)
class Run:
    """One run of a derivation: what its probes showed, what it answered, and both held against what is right."""

    recorder: Recorder
    answer: Answer
    compared: list[Compared]

    @property
    def wrong(self) -> dict[str, Compared]:
        """What differs, by label, in the order in which it was computed."""
        return {one.label: one for one in self.compared if not one.agrees}

    @property
    def wrong_parts(self) -> set[tuple[str, int]]:
        """What differs, by label and part: step by step where there are steps."""
        return {(label, k) for label, one in self.wrong.items() for k in (-1, *np.flatnonzero(one.errors > one.limits))}

    @property
    def answers_right(self) -> bool:
        """Whether all outputs and gradients agree."""
        return all(one.agrees for one in self.compared if not one.shown)


@dataclass
class Located:
    """What was found on one trial.

    Args:
        chained: the run of the code as it is.
        forced: the run with the reference fed back.
        faults: what is wrong although all that it is computed from is right.
        misplaced: names whose probe shows something else than the name says.
        unused: names whose probe returns what the code does not go on with.
        changed: names whose arrays were changed in place after they were shown, and the steps.
        consequences: labels that differ, but may do so only because of what is not shown or not fed back.
        unshown: names without a probe, a fault in any of which would explain the consequences; the first to add first.
        raised: what the code raises as it is, where it only runs with the reference fed back.
    """

    chained: Run
    forced: Run
    faults: list[Compared] = field(default_factory=list)
    misplaced: list[Compared] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    changed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    consequences: list[str] = field(default_factory=list)
    unshown: list[str] = field(default_factory=list)
    raised: str = ""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs, as the code runs and with the reference fed back."""
        return not (self.chained.wrong or self.forced.wrong)


class Localiser:
    """Runs a derivation on one trial, in whatever way is needed.

    Args:
        derivation: what is checked.
        trial: what it is checked on.
        standard: what is right there.
        gates: the names that end in one of these, as ``d_z_f`` does, belong to a gate.
        blocks: cuts gradients of parameters up by gate.
    """

    def __init__(
        self, derivation: Derivation, trial: Trial, standard: Standard, gates: tuple[str, ...], blocks: Blocks
    ):
        self.derivation, self.trial, self.standard = derivation, trial, standard
        self.gates, self.blocks = gates, blocks
        self.ascending: frozenset[str] = frozenset()

    def run(
        self,
        free: Collection[str] | None = None,
        restored: Collection[str] = (),
        instead: Mapping[Key, Array] = MappingProxyType({}),
    ) -> Run:
        """Run the derivation with the reference fed back.

        Args:
            free: the names that are not fed back; None for all.
            restored: the names whose arrays are restored if they were changed after they were shown.
            instead: what is fed back in the place of the reference's values, by key, to see where it goes.
        """

        def feedback(key: Key, expected: Array) -> Array | None:
            if free is None or key[0] in free:
                return None
            return instead.get(key, expected)

        recorder = Recorder(self.standard.right.record, None if free is None else feedback, self.ascending, restored)
        answer = self.derivation.solve(self.trial.problem, recorder)
        compared = self._compare(recorder, answer)
        if self.standard.noise is None and not all(one.agrees for one in compared):
            self.standard.measure_noise()  # it takes as long as several runs, and where all agrees it is not needed
            compared = self._compare(recorder, answer)
        return Run(recorder, answer, compared)

    def _compare(self, recorder: Recorder, answer: Answer) -> list[Compared]:
        return compare_run(recorder, answer, self.standard, self.trial, self.gates, self.blocks)

    def locate(self) -> Located:
        """Find what is wrong, and in which way."""
        try:
            chained = self._in_order()
        except Exception as error:  # as a value of a wrong shape may make it; fed back, the right one may not
            forced = self._attempt(free=())
            if forced is None or not forced.wrong:
                raise
            raised = f"{type(error).__name__}: {error}"
            return Located(forced, forced, list(forced.wrong.values()), raised=raised)
        try:
            forced = self.run(free=())
        except Exception:  # the code cannot go on with the reference's arrays, though it can with its own
            return Located(chained, chained, list(chained.wrong.values()))
        found = Located(chained, forced)
        if found.agrees:
            return found
        if chained.answers_right:
            for one in chained.wrong.values():
                (found.faults if self._is_too_small_to_show(one, found) else found.misplaced).append(one)
            return found
        forced, found.misplaced, free = self._without_misplaced(forced)
        forced, found.changed = self._without_changed(forced, free)
        found.forced, found.faults = forced, list(forced.wrong.values())
        self._set_unused_apart(found, free)
        if len(found.faults) > 1:
            self._set_unshown_apart(found, free)
        if not (found.faults or found.misplaced or found.changed or found.consequences):
            found.faults = [one for one in chained.wrong.values() if one.missing] or list(chained.wrong.values())[:1]
        return found

    def _in_order(self) -> Run:
        """The chained run, with adjoints without steps numbered in the order in which they fit better."""
        descending = self.run()
        unnumbered = {name for name in descending.recorder.numbered if name.startswith("d_")}
        if not (unnumbered and descending.wrong):
            return descending
        self.ascending = frozenset(unnumbered)
        ascending = self.run()
        share = {}
        for run, order in ((descending, False), (ascending, True)):
            for one in run.compared:
                if one.name in unnumbered:
                    share[one.name, order] = float(np.mean(one.errors <= one.limits)) if len(one.errors) else 0.0
        self.ascending = frozenset(n for n in unnumbered if share.get((n, True), 0.0) > share.get((n, False), 0.0))
        return self.run() if self.ascending else descending

    def _without_misplaced(self, forced: Run) -> tuple[Run, list[Compared], tuple[str, ...]]:
        """Set apart the probes that show something else than their name says.

        Feeding the reference back there does harm: with the name left alone, less is wrong than before. Where an
        equation is wrong it is the other way round.
        """
        free = tuple({shown.key[0] for shown in forced.recorder.repeated})
        misplaced = [one for one in forced.compared if one.name in free]
        if free:  # two values under one name: no reference can stand for both
            forced = self.run(free=free)
        for name in [one.name for one in forced.wrong.values() if one.shown]:
            without = self._attempt(free=(*free, name))
            if without is None:
                continue
            rest = forced.wrong.keys() - {name}
            left = without.wrong.keys() - {name}
            if left < rest and name in forced.wrong:
                misplaced.append(forced.wrong[name])
                forced, free = without, (*free, name)
        forced = replace(forced, compared=[one for one in forced.compared if one.name not in free])
        return forced, misplaced, free

    def _without_changed(self, forced: Run, free: tuple[str, ...]) -> tuple[Run, dict[str, tuple[int, ...]]]:
        """Set apart the arrays that were changed in place after they were shown, if that is what makes others wrong."""
        changed: dict[str, list[int]] = {}
        for shown in forced.recorder.shown:
            if shown.changed and shown.key[0] not in free:
                changed.setdefault(shown.key[0], []).append(-1 if shown.key[1] is None else shown.key[1])
        guilty: dict[str, tuple[int, ...]] = {}
        for name, steps in changed.items():
            restored = self._attempt(free=free, restored=(*guilty, name))
            if restored is not None and restored.wrong_parts < forced.wrong_parts:
                guilty[name] = tuple(sorted(t for t in steps if t >= 0))
                forced = replace(restored, compared=[one for one in restored.compared if one.name not in free])
        return forced, guilty

    def _is_too_small_to_show(self, one: Compared, found: Located) -> bool:
        """Whether an error reaches the answer, and only drowns there in what rounding may do.

        Then the reference in its place does no harm, and more of the same error does.
        """
        if (one.errors > LARGER * one.limits).any() or not found.forced.wrong.keys() <= found.chained.wrong.keys():
            return False
        record = self.standard.right.record
        worse = {
            shown.key: record[shown.key] + LARGER * (shown.value - record[shown.key])
            for shown in found.chained.recorder.shown
            if shown.key[0] == one.name and not shown.problem
        }
        run = self._attempt(free=(), instead=worse)
        return run is not None and not run.wrong.keys() <= found.forced.wrong.keys()

    def _set_unused_apart(self, found: Located, free: tuple[str, ...]) -> None:
        """Where the code does not go on with what a probe returned, set what follows from a fault there apart."""
        rng = np.random.default_rng(0)
        record = self.standard.right.record
        for fault in [one for one in found.faults if one.shown]:
            noise = {key: a + rng.normal(size=a.shape) for key, a in record.items() if key[0] == fault.name}
            poisoned = self._attempt(free=free, instead=noise)
            if poisoned is not None and not self._differ(poisoned, found.forced, fault.name):
                found.unused.append(fault.name)
        if found.unused:
            influence = Influence(self.trial, self._fed_back(found, free) - {*found.unused})
            reached = set().union(*(influence.of(name) for name in found.unused))
            followers = [one for one in found.faults if one.name in reached]
            found.consequences = [one.label for one in followers]
            found.faults = [one for one in found.faults if one not in followers]

    def _set_unshown_apart(self, found: Located, free: tuple[str, ...]) -> None:
        """Where one fault in something that is not shown would explain several, say so, and which probe to add."""
        wrong = {one.name for one in found.faults}
        fed_back = self._fed_back(found, free)
        influence = Influence(self.trial, fed_back)
        candidates = {}
        for name in influence.names:
            if name not in fed_back and name not in free:
                reached = influence.of(name)
                if len(reached) > 1 and reached <= wrong:
                    candidates[name] = reached
        if not candidates:
            return
        most = max(map(len, candidates.values()))
        best = [name for name, reached in candidates.items() if len(reached) == most]
        named = [name for name in best if not name.endswith("_prev")] or best
        found.unshown = named
        explained = [one for one in found.faults if one.name in candidates[named[0]]]
        found.consequences += [one.label for one in explained]
        found.faults = [one for one in found.faults if one not in explained]

    def _fed_back(self, found: Located, free: tuple[str, ...]) -> set[str]:
        return {shown.key[0] for shown in found.forced.recorder.shown} - {*free}

    def _differ(self, run: Run, other: Run, name: str) -> bool:
        """Whether two runs differ anywhere but in what a name itself shows."""
        ours = {s.key: s.value for s in run.recorder.shown if s.key[0] != name}
        theirs = {s.key: s.value for s in other.recorder.shown if s.key[0] != name}
        if any(not np.array_equal(value, theirs[key], equal_nan=True) for key, value in ours.items() if key in theirs):
            return True
        mine, other_tensors = run.answer.tensors(), other.answer.tensors()
        return any(not np.array_equal(array, other_tensors[n], equal_nan=True) for n, array in mine.items())

    def _attempt(self, **options: Any) -> Run | None:
        """A run that may fail, since the code is given what it would not compute."""
        try:
            return self.run(**options)
        except Exception:
            return None
