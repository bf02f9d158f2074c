"""Search for one fault: the simplest edits that make the most right and nothing wrong."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from compare.checker.lines.benches import Benches, flattened, natural_of
from compare.checker.lines.case import Case
from compare.checker.lines.edits.bench import RENAMED, Bench, Candidate
from compare.checker.lines.edits.lookup import looked_up
from compare.checker.lines.edits.structures import headers
from compare.checker.lines.edits.terms import missing_lines, missing_terms
from compare.checker.lines.locate import Locator, Suspect
from compare.checker.lines.program import Edits
from compare.checker.lines.statement import COMPOUND
from compare.checker.lines.strange import strange_lines
from compare.checker.lines.trace.sensitivity import Sensitivity
from manual.arrays import Array

#: Costs up to which edits are tried before dearer ones.
LEVELS = (1.15, 1.45, 1.75, 2.1)

#: The most occurrences of a statement at which an edit is evaluated that is none of the simplest.
OCCURRENCES = 12

#: The most edits of one line, and one level, that are run for being recognised or simple alone.
LIKELY = 60

#: The cost up to which edits are run that nothing speaks for.
BLIND = 1.3

#: The cost up to which edits are run that give a value another shape.
RESHAPED = 1.2

#: What it costs more to change what forward keeps for backward, where its outputs are right.
KEPT = 0.3

#: Two edits are equally simple if their costs differ by no more than this.
EQUAL = 0.4


@dataclass(eq=False)
class Mended:
    """An edit and what is wrong with it, by trial."""

    candidate: Candidate
    new: list[ast.stmt]
    wrong: list[frozenset[str]]

    @property
    def left(self) -> int:
        """How much is still wrong."""
        return max(map(len, self.wrong))


@dataclass(eq=False)
class Step:
    """The search for one fault.

    Args:
        case: the program.
        edits: those made for earlier faults.
        wrong: what is wrong with these, by trial.
        known: what a traced run tells.
        benches: makes the benches of statements.
        over: whether the time is up.
    """

    case: Case
    edits: Edits
    wrong: list[frozenset[str]]
    known: Sensitivity
    benches: Benches
    over: Callable[[], bool]
    whole: list[Mended] = field(default_factory=list)
    partial: list[Mended] = field(default_factory=list)
    _tried: dict[tuple[int, str], Mended | None] = field(default_factory=dict)
    _benches: dict[int, Bench] = field(default_factory=dict)
    _covered: dict[int, float] = field(default_factory=dict)
    _termed: set[int] = field(default_factory=set)
    _found_up: set[tuple[int, bool]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.locator = Locator(self.case.program, self.known, self.edits)
        self.located, self.blindly = self.locator.suspects, self.locator.blindly

    def simplest(self, thorough: bool = False) -> list[Mended]:
        """Return the simplest edits that make everything right; failing that, those that make the most right.

        What takes long is left out, or only that is done, if it is to be ``thorough``.
        """
        levels = [lambda level=level: self._edited(level) for level in LEVELS]
        whole = [one for one in self.located if one.whole]
        some = [one for one in self.located if one.mends and not one.whole]
        backward = [one for one in whole if not one.events[0].forward]
        deep = partial(self._looked_up, deep=True)
        dear = (self._looked_up, levels[2], self._with_headers, self._with_terms, levels[3])
        fresh = self.locator.fresh
        stages: list[tuple[list[Suspect], Any]] = [
            (self.locator.likely, (*levels[:2], self._looked_up, self._with_terms, levels[2])),
            (fresh, levels[:1]),
            (fresh + self.locator.taken, [self._looked_up]),
            (fresh, levels[1:2]),
            (whole, levels[:2]),
            (self.locator.likely or backward, dear),
            (some, (*levels[:2], self._looked_up, levels[2])),
            ([one for one in self.located if not one.mends], levels[:2]),
            (self.locator.likely or backward, [deep]),
        ]
        if thorough:
            late = (levels[2], self._with_terms, levels[3])
            vague = self.locator.likely or [one for one in whole if one.events[0].forward]
            stages = [(some, (self._with_lines, *late)), (fresh, late), (vague, (*late, self._blind))]
        for self.suspects, tried in stages:
            for stage in tried:
                stage()
                if self.whole:
                    return self._equals(self.whole, fresh or whole)
                if self.suspects is some and self._does_all():
                    break
            if self.partial and self.suspects is some:
                break
        if self.partial:
            best = min(self.partial, key=lambda one: (one.left, one.candidate.cost))
            return self._least_strange([one for one in self.partial if one.wrong == best.wrong])
        return []

    def _equals(self, found: list[Mended], suspects: list[Suspect]) -> list[Mended]:
        """Return the simplest edits that make everything right, also those of other lines."""
        self.suspects = [one for one in suspects if self.known.forward or not one.events[0].forward]
        self._looked_up()
        self._edited(min(LEVELS[-1], min(one.candidate.cost for one in found) + EQUAL))
        return self._least_strange(found)

    def _least_strange(self, found: list[Mended]) -> list[Mended]:
        """Return the simplest of these edits, without those that leave more lines strange than others."""
        most = min(one.candidate.cost for one in found) + EQUAL
        found = sorted((one for one in found if one.candidate.cost <= most), key=lambda one: one.candidate.cost)
        lines = {one.candidate.statement.number: one for one in reversed(found)}
        if len(lines) == 1 or self.blindly:
            return found
        strange = {n: strange_lines(self.case, self.known, self.edits | {n: one.new}) for n, one in lines.items()}
        always = set.intersection(*strange.values())
        counts = {number: len(its - always) for number, its in strange.items()}
        least = min(counts.values())
        return [one for one in found if counts[one.candidate.statement.number] == least]

    def _does_all(self) -> bool:
        """Whether an edit makes right whatever other values of its statement could."""
        could = {one.statement.number: one.mends for one in self.suspects}
        return any(
            any(
                before - now >= could.get(one.candidate.statement.number, before)
                for before, now in zip(self.wrong, one.wrong)
            )
            for one in self.partial
        )

    def _looked_up(self, deep: bool = False) -> None:
        """Try the products that what is needed of a statement tells of."""
        for one in self.suspects:
            key = one.statement.number, deep
            if key in self._found_up or self.over():
                continue
            self._found_up.add(key)
            for needed in self._needed(one, deep):
                self._try_all(looked_up(self._bench(one), needed, deep))

    def _needed(self, suspect: Suspect, deep: bool) -> list[list[list[Array]]]:
        """Return what a statement may be needed to compute: in forward, what the reference does and it does not."""
        seen = suspect.events[0].value
        if self.known.forward and not deep and len(seen) == 1:
            return [[[value]] for value in self.locator.lacking(seen[0].shape)]
        needed = self.locator.needed(suspect) if deep else suspect.needed
        return [needed] if needed else []

    def _bench(self, suspect: Suspect) -> Bench:
        number = suspect.statement.number
        if number not in self._benches:
            self._benches[number] = self.benches.of(suspect.statement, suspect.events)
        return self._benches[number]

    def any_gains(self) -> bool:
        """Whether one of the simplest edits makes more right."""
        self.suspects = [one for one in self.located if one.mends and not one.events[0].forward]
        self._edited(LEVELS[1])
        return bool(self.whole or self.partial)

    def _edited(self, high: float) -> None:
        """Try the edits of every statement that cost at most ``high`` and were not tried yet."""
        low = {one.statement.number: self._covered.get(one.statement.number, 0.0) for one in self.suspects}
        self._try_all(
            pair
            for one in self.suspects
            if len(one.events) <= OCCURRENCES or high == LEVELS[0]
            for pair in self.passing(one, low[one.statement.number], high)
        )
        self._covered |= {number: high for number, before in low.items() if before < high}

    def _with_terms(self) -> None:
        """Try every statement with a product more."""
        for one in self.suspects:
            bench, events = self._bench(one), one.events
            natural = natural_of(bench, events) if one.statement.number not in self._termed else None
            if natural and len(events) <= OCCURRENCES and not self.over():
                self._termed.add(one.statement.number)
                weights = [[self.known.weight(ids) for ids in event.value_ids] for event in events]
                self._try_all(missing_terms(bench, natural, weights, self.known))

    def _with_lines(self) -> None:
        """Try a line more at the end of every block."""
        if self.blindly:
            return
        blocks = {}
        for one in self.located:
            if one.statement.block and not one.events[0].forward and len(one.events) <= OCCURRENCES:
                blocks[id(one.statement.block)] = one
        for one in blocks.values():
            if not self.over():
                self._try_all(missing_lines(self._bench(one), one.events, self.known))

    def _with_headers(self) -> None:
        """Try other headers of loops and conditions."""
        functions = {one.statement.function for one in self.located}
        for statement in self.case.program.statements:
            if statement.function in functions and isinstance(statement.node, COMPOUND):
                for cost, new in headers(statement.node, [text for text, *_ in self.benches.texts_of(statement)]):
                    if not self.over():
                        self._judge(Candidate(statement, cost, None, "", {}, None, new))

    def _blind(self) -> None:
        """Run the simplest edits of the forward pass of which each computes something else."""
        for one in self.suspects if self.known.forward else ():
            rows = [(flattened(edit.values), edit) for edit in self._bench(one).candidates(0.0, BLIND)]
            for edit in {np.round(row, 12).tobytes(): edit for row, edit in reversed(rows) if row is not None}.values():
                if not self.over():
                    self._judge(edit)

    def _try_all(self, found: Iterator[tuple[bool, Candidate]]) -> None:
        """Run the edits that explain what is missing; if none is right, those whose values are recognised."""
        likely = []
        for sure, candidate in found:
            if sure:
                self._judge(candidate, sure)
            else:
                likely.append(candidate)
        counts = Counter[int]()
        for _, _, known, candidate in sorted(map(self._ranked, likely), key=lambda one: one[:2]):
            counts[candidate.statement.number] += 1
            if counts[candidate.statement.number] <= LIKELY and (known or not self.whole) and not self.over():
                self._judge(candidate)

    def _ranked(self, candidate: Candidate) -> tuple[int, float, bool, Candidate]:
        """Return an edit after what it is sorted by, its cost last, and whether a right run computes its value."""
        values = (candidate.values or [[np.ones(1)]])[0]
        seen = next(one.events[0].value for one in self.located if one.statement is candidate.statement)
        reshaped = [one.shape for one in values] != [one.shape for one in seen]
        known = bool(values) and self.locator.recognised(values)
        return reshaped + (not known), candidate.cost, known, candidate

    def passing(
        self, suspect: Suspect, low: float, high: float, likely: bool = False
    ) -> Iterator[tuple[bool, Candidate]]:
        """Yield the edits of a statement that may be right.

        The flag says whether their values would make something right and nothing wrong. Where a line sees its own error
        again at a later step, that is not known; but at its first occurrence it computes a value of a right run. With
        ``likely`` such edits of any line are yielded.
        """
        bench, events = self._bench(suspect), suspect.events
        natural = natural_of(bench, events)
        before = flattened(natural)
        if low >= high:
            return
        if natural is None or before is None:
            yield from ((one.node is None, one) for one in bench.candidates(low, min(high, LEVELS[0])))
            return
        weights = np.hstack([self.known.weight(ids.ravel()) for event in events for ids in event.value_ids])
        masks = [] if weights.any() else bench.masks  # of these it is not known what they would change
        seen = set[tuple[str, bytes]]()
        for n, candidate in enumerate(bench.candidates(low, high)):
            if n % 50 == 0 and self.over():
                return
            if candidate.node in masks or (candidate.node is None and candidate.cost != RENAMED):
                yield True, candidate  # of what is done with the value: few, and each is run
                continue
            after = flattened(candidate.values)
            if self.blindly and candidate.values and self.locator.becomes_known(natural, candidate.values):
                yield False, candidate
                continue
            if after is None or after.shape != before.shape:
                if after is not None and not self.blindly and candidate.cost <= RESHAPED:
                    yield False, candidate
                continue
            change = weights @ (after - before)
            if not np.isfinite(change).all():
                continue
            if self.known.judge(change):
                yield True, candidate
                continue
            simple = suspect.is_operand and candidate.cost <= LEVELS[0]
            carried = len(events) > 1 or likely or suspect.is_operand
            key = candidate.form, after.tobytes()  # where an operand is zero, other forms compute the same
            if not change.any() or key in seen:
                continue
            seen.add(key)
            if simple or (carried and self.locator.becomes_known(natural, candidate.values or [])):
                yield False, candidate

    def _judge(self, candidate: Candidate, sure: bool = False) -> None:
        """Run an edit on every trial, and keep it if it makes something right and nothing wrong.

        If it is ``sure``, it may do so only where the traced run has an incoming gradient.
        """
        statement = candidate.statement
        most = min((one.candidate.cost + EQUAL for one in self.whole), default=np.inf)
        simpler = (one.candidate for one in self.whole if one.candidate.statement is statement)
        if candidate.cost > most or any(one.cost < candidate.cost for one in simpler):
            return
        new = candidate.edited()
        key = statement.number, ast.dump(ast.Module(new, []))
        if key in self._tried:
            if mended := self._tried[key]:
                mended.candidate.cost = min(mended.candidate.cost, candidate.cost)
            return
        self._tried[key] = None
        now, edits = [], self.edits | {statement.number: new}
        for k, before in enumerate(self.wrong):
            one = self.case.wrong(k, edits)
            if one is None or not one <= before or (before and one == before and not (sure and self._gains(edits))):
                return
            now.append(one)
        if now != self.wrong and any(before and one == before for one, before in zip(now, self.wrong)):
            return
        if not self.known.forward and statement.function in self.benches.only_forward:
            candidate.cost += KEPT
        mended = self._tried[key] = Mended(candidate, new, now)
        (self.partial if mended.left else self.whole).append(mended)

    def _gains(self, edits: Edits) -> bool:
        """Whether more is right in the run that was traced, in which only one step may have an incoming gradient."""
        found = {} if self.known.forward else self.case.tensors(self.known.problem, edits) or {}
        return bool(found) and self.known.wrong_of(found) < self.known.wrong and self.known.right.keys() <= found.keys()
