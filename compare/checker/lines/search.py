"""Search the program for its faults, one after the other, and for the edits that mend them."""

import ast
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from compare.checker.lines.benches import Benches
from compare.checker.lines.case import Case
from compare.checker.lines.locate import Locator
from compare.checker.lines.program import Edits
from compare.checker.lines.statement import Statement
from compare.checker.lines.step import LEVELS, Mended, Step
from compare.checker.lines.trace.sensitivity import sensitivity

#: How long the time is not asked for, in seconds.
PAUSE = 0.05

#: The most faults that are looked for.
FAULTS = 4


@dataclass
class Search:
    """A search.

    ``possible`` holds the statements of which one is wrong, if no edit is found and only one is.

    Args:
        case: the program.
        seconds: how long it may take, in processor time.
    """

    case: Case
    seconds: float
    possible: list[Statement] = field(default_factory=list)
    started: float = field(default_factory=time.process_time)
    _asked: float = 0.0
    _over: bool = False

    def over(self) -> bool:
        """Whether the time is up. Asking for the processor time takes long, so it is not asked for each time."""
        now = time.perf_counter()
        if now > self._asked + PAUSE:
            self._asked, self._over = now, time.process_time() - self.started > self.seconds
        return self._over

    def repairs(self) -> list[list[Mended]]:
        """Return for each fault the equally simple edits that mend it; nothing if something would still be wrong."""
        edits: Edits = {}
        found: list[list[Mended]] = []
        first: Step | None = None
        for _ in range(FAULTS):
            wrong = [self.case.wrong(k, edits) for k in range(len(self.case.trials))]
            if not any(wrong) and None not in wrong:
                return found
            known = sensitivity(self.case, next(k for k, one in enumerate(wrong) if one != frozenset()), edits)
            if known is None:
                return []
            everything = frozenset(self.case.right(0))
            before = [everything if one is None else one for one in wrong]
            step = Step(self.case, edits, before, known, Benches(self.case.program, known.run.events), self.over)
            first = first or step
            best = step.simplest() or (not step.locator.likely and self._ahead(step)) or step.simplest(thorough=True)
            if not best:  # if a first edit made something right, there is more than one fault
                self.possible = self._possible(first) if before == first.wrong else []
                return []
            found.append(best)
            edits = edits | {best[0].candidate.statement.number: best[0].new}
        return []

    def _possible(self, step: Step) -> list[Statement]:
        """Return the statements of which one is wrong, if only one is, on two trials."""
        if not self.case.is_affine({}):
            return []
        found = [one.statement for one in step.locator.likely]
        for k in reversed([k for k, one in enumerate(step.wrong) if one][1:]):
            known = sensitivity(self.case, k, {})
            if known and found:
                other = [one.statement for one in Locator(self.case.program, known).likely]
                return [statement for statement in found if statement in other]
        return found

    def _ahead(self, step: Step) -> list[Mended]:
        """Return an edit after which another one makes something right: of two faults, neither does so alone."""
        for first in _on_the_way(step):
            edits = step.edits | {first.candidate.statement.number: first.new}
            known = sensitivity(self.case, next(k for k, one in enumerate(step.wrong) if one), edits)
            if known is None or self.over():
                continue
            after = Step(self.case, edits, step.wrong, known, Benches(self.case.program, known.run.events), self.over)
            if after.any_gains():
                return [first]
        return []


def _on_the_way(step: Step) -> Iterator[Mended]:
    """Yield edits that make nothing right yet, but a line compute a value of a right run that none did before."""
    computed = {value.tobytes() for event in step.known.run.events for value in event.value}
    for one in step.located if not step.blindly else ():
        if step.over() or step.locator.recognised(one.events[0].value):
            continue
        likely = []
        for low, high in zip((0.0, *LEVELS), LEVELS[:2]):
            likely = [
                candidate
                for sure, candidate in step.passing(one, low, high, True)
                if not (sure or {value.tobytes() for value in (candidate.values or [[]])[0]} & computed)
            ]
            if likely:
                break
        for candidate in sorted(likely, key=lambda one: (one.cost, len(ast.unparse(one.edited()[0]))))[:2]:
            new = candidate.edited()
            edits = step.edits | {one.statement.number: new}
            now = [step.case.wrong(k, edits) for k in range(len(step.wrong))]
            if all(one is not None and one <= before for one, before in zip(now, step.wrong)):
                yield Mended(candidate, new, step.wrong)
