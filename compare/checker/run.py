"""Run a derivation once: record what its probes are given, feed the reference back where asked, and compare."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from compare.checker.compare import Compared, compare_run
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Answer, Derivation, Problem
from compare.checker.derivations.watched import Watched
from compare.checker.expected import Expected
from compare.checker.expected.accuracy import own_rounding_apart
from compare.checker.expected.digits import eps
from compare.checker.expected.perturbation import Perturbation
from compare.checker.expected.rounding import distance
from compare.checker.notation import Notation
from compare.checker.recorder import Key, Recorder, why_not_comparable
from compare.checker.trials import Trial
from manual.arrays import Array

#: What probes recorded in a run, and what it returned.
Ran = tuple[Recorder, Answer]


@dataclass(frozen=True)
class Run:
    """One run of a derivation: what its probes were given, what it returned, and both compared with the reference."""

    recorder: Recorder
    answer: Answer
    compared: list[Compared]

    @property
    def wrong(self) -> dict[str, Compared]:
        """The quantities that differ, by label, in the order of computation."""
        return {one.label: one for one in self.compared if not one.agrees}

    @property
    def wrong_parts(self) -> set[tuple[str, int]]:
        """What differs, by label and part: step by step where there are steps."""
        return {(label, k) for label, one in self.wrong.items() for k in (-1, *np.flatnonzero(one.errors > one.limits))}

    @property
    def open(self) -> list[str]:
        """The names that are not derived yet at any step, in the order of computation."""
        compared = {one.name for one in self.compared}
        names = dict.fromkeys((*(name for name, _ in self.recorder.open), *self.answer.open))
        return [name for name in names if name not in compared]

    @property
    def answers_right(self) -> bool:
        """Whether all outputs and gradients agree."""
        return all(one.agrees for one in self.compared if not one.recorded)


@dataclass(frozen=True)
class Runner:
    """Runs a derivation on one trial, as often as asked.

    Args:
        derivation: the derivation to check.
        trial: the arguments and the reference.
        expected: the correct values on that trial.
        notation: what the names stand for.
        ascending: the adjoints whose calls without a step are in the order of the steps rather than in reverse.
        skipped: by name, how many calls without a step are missing before the first, rather than after the last.
    """

    derivation: Derivation
    trial: Trial
    expected: Expected
    notation: Notation
    ascending: frozenset[str] = frozenset()
    skipped: Mapping[str, int] = field(default_factory=dict)

    def run(
        self,
        free: Collection[str] | None = None,
        restored: Collection[str] = (),
        instead: Mapping[Key, Array] = MappingProxyType({}),
        ran: Ran | None = None,
    ) -> Run:
        """Run the derivation with the reference fed back.

        Args:
            free: the names that are not fed back; None for all.
            restored: the names whose arrays are restored if they were modified after their probes.
            instead: values fed back instead of the reference's, by key, to trace their effect.
            ran: the run itself, if the code as it is has run already.
        """

        def feedback(key: Key, expected: Array) -> Array | None:
            if free is None or key[0] in free:
                return None
            return instead.get(key, expected)

        def ran_on(derivation: Derivation, problem: Problem) -> Ran:
            record, fed = self.expected.right.record, None if free is None else feedback
            recorder = Recorder(record, fed, self.ascending, self.skipped, restored)
            return recorder, derivation.solve(problem, recorder)

        def compared_now(recorder: Recorder, answer: Answer) -> list[Compared]:
            return compare_run(recorder, answer, self.expected, self.trial, self.notation)

        def moved(seed: int, units: int) -> list[Compared] | None:
            derivation, problem, size = self.derivation, self.trial.problem, units * eps(self.expected.dtype)
            if in_precision := getattr(derivation, "in_precision", None):
                derivation, problem = in_precision("float64"), problem.in_precision("float64")
            problem = problem.perturbed(seed, abs(size))
            for watched in (
                isinstance(derivation, Pair),
                False,
            ):  # the second, where it takes no arrays but NumPy's own
                with suppress(Exception):
                    with Perturbation(seed, size) as by:
                        given = problem.mapped(partial(Watched.of, see=by.see)) if watched else problem
                        found = ran_on(derivation, given)
                    return compared_now(*found)
            return None

        recorder, answer = ran or ran_on(self.derivation, self.trial.problem)
        compared = compared_now(recorder, answer)
        if not self.expected.measured and not all(one.agrees for one in compared):
            self.expected.measure()  # as slow as several runs, and not needed where all agrees
            compared = compared_now(recorder, answer)
        reruns = [partial(moved, *by) for by in ((0, 0), (0, 1), (0, -1), (1, 1), (1, -1))]
        compared = own_rounding_apart(compared, self.expected, reruns)
        return Run(recorder, answer, compared)

    def attempt(self, **options: Any) -> Run | None:
        """Run the derivation on values it would not compute; None if that fails."""
        try:
            return self.run(**options)
        except Exception:
            return None

    def in_order(self, descending: Run) -> tuple["Runner", Run]:
        """Return what runs the code as it is, and its run, with adjoints without a step in the order that fits better.

        Args:
            descending: the run with these adjoints in reverse order.
        """
        unnumbered = {name for name in descending.recorder.numbered if name.startswith("d_")}
        if not (unnumbered and descending.wrong):
            return self, descending
        ascending = replace(self, ascending=frozenset(unnumbered)).run()
        share = {}
        for run, order in ((descending, False), (ascending, True)):
            for one in run.compared:
                if one.name in unnumbered:
                    share[one.name, order] = float(np.mean(one.errors <= one.limits)) if len(one.errors) else 0.0
        better = frozenset(n for n in unnumbered if share.get((n, True), 0.0) > share.get((n, False), 0.0))
        numbered = replace(self, ascending=better)
        return (numbered, numbered.run()) if better else (self, descending)

    def numbered_best(self, as_run: Run, fed_back: Run) -> tuple["Runner", Run, Run]:
        """Run the code again with its calls numbered otherwise, and return what differs least, with its two runs.

        A loop may leave out the last step rather than the first, or go forward where it should go back.
        """
        backward = frozenset(name for name in fed_back.recorder.numbered - self.ascending if name.startswith("d_"))
        best = self, as_run, fed_back
        for other in (replace(self, skipped=fed_back.recorder.missing()), replace(self, ascending=backward)):
            again = other.attempt(free=()) if other != self else None
            if again is not None and len(again.wrong) < len(best[2].wrong):
                best = other, other.run(), again
        return best

    def unsteady(self, before: Run) -> list[str]:
        """Return the outputs and gradients that change when the code is run again, after runs on other values."""
        after = self.derivation.solve(self.trial.problem, Recorder(self.expected.right.record))
        found: list[str] = []
        for one in before.compared:
            if one.recorded or one.name in {*found, *after.open} or one.name not in before.answer.tensors():
                continue
            array, other = before.answer.tensors()[one.name], after.tensors().get(one.name)
            if other is None or other.shape != array.shape:
                found.append(one.name)
                continue
            if why_not_comparable(other, array) or np.array_equal(other, array):  # no numbers, as the comparison says
                continue
            limit = float((one.limits * one.scales).max())
            if ((distance(other, array) > limit) & ~(np.isnan(other) & np.isnan(array))).any():
                found.append(one.name)
        return found
