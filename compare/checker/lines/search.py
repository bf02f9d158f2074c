"""Search the program for its faults, one after the other, and for the edits that mend them."""

import time
from dataclasses import dataclass, field

from compare.checker.lines.benches import Benches
from compare.checker.lines.case import Case
from compare.checker.lines.program import Edits, Statement
from compare.checker.lines.sensitivity import sensitivity
from compare.checker.lines.step import Mended, Step

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

    def over(self) -> bool:
        """Whether the time is up."""
        return time.process_time() - self.started > self.seconds

    def repairs(self) -> list[list[Mended]]:
        """Return for each fault the equally simple edits that mend it; nothing if something would still be wrong."""
        edits: Edits = {}
        found: list[list[Mended]] = []
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
            best = step.simplest()
            if not best:
                self.possible = [] if edits else step.possible()
                return []
            found.append(best)
            edits = edits | {best[0].candidate.statement.number: best[0].new}
        return []
