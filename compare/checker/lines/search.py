"""Search the program for the wrong line and for the edit that mends it."""

import ast
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from compare.checker.lines.case import Case
from compare.checker.lines.edits import Bench, Candidate, Leaf, code_of
from compare.checker.lines.program import Edits, Statement
from compare.checker.lines.record import KEEPING, Event, value_of
from compare.checker.lines.sensitivity import Sensitivity, sensitivity
from compare.checker.lines.terms import missing_terms
from manual.arrays import Array

#: Costs up to which edits are tried before dearer ones.
LEVELS = (1.15, 1.45, 1.75, 2.1)

#: The most occurrences of a statement at which an edit is evaluated.
OCCURRENCES = 12

#: Methods that change what they are called on.
WRITING = {*KEEPING, "pop", "popleft", "remove", "clear", "fill", "sort", "reverse", "put", "at", "write", "__next__"}

#: The most edits of one level that are run for being recognised alone.
LIKELY = 120

#: The cost up to which edits are run that nothing speaks for.
BLIND = 1.3

#: Two edits are equally simple if their costs differ by no more than this.
EQUAL = 0.25


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


@dataclass
class Search:
    """A search.

    Args:
        case: the program.
        seconds: how long it may take.
    """

    case: Case
    seconds: float = 5.0
    started: float = field(default_factory=time.process_time)
    log: list[str] = field(default_factory=list)
    _texts: dict[Any, list[tuple[str, ast.expr, CodeType]]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.process_time() - self.started > self.seconds

    def repairs(self) -> list[list[Mended]]:
        """Return for each fault, one after the other, the equally simple edits that mend it."""
        edits: Edits = {}
        found: list[list[Mended]] = []
        for _ in range(4):
            wrong = [self.case.wrong(k, edits) for k in range(len(self.case.trials))]
            if any(one is None for one in wrong):
                return []
            if not any(wrong):
                return found
            best = self.step(edits, wrong)
            if not best:
                return []
            found.append(best)
            edits = edits | {best[0].candidate.statement.number: best[0].new}
        return []

    def step(self, edits: Edits, wrong: list[Any]) -> list[Mended]:
        """Return the simplest edits that make the most right and nothing wrong."""
        k = next(k for k, one in enumerate(wrong) if one)
        known = sensitivity(self.case, k, edits)
        if known is None:
            return []
        self.log.append(f"wrong {sorted(wrong[k])} corner {known.exact} {sorted(known.wrong)}")
        groups: dict[int, list[Event]] = {}
        for event in self.suspects(known):
            groups.setdefault(event.statement, []).append(event)
        benches = {}
        for number, events in groups.items():
            if number in edits:
                continue
            active = events[:2] if known.forward else [e for e in events if known.reach(e) & known.wrong]
            if active and len(active) <= OCCURRENCES:
                benches[number] = self.bench(number, active), active
        tried: set[tuple[int, str]] = set()
        partial: list[Mended] = []
        low = 0.0
        for level in (*LEVELS, None):
            whole: list[Mended] = []
            likely: list[Candidate] = []
            for bench, active in benches.values():
                found = self.passing(bench, active, known, low, level) if level else self.terms(bench, active, known)
                for sure, candidate in found:
                    if sure:
                        self.judged(candidate, edits, wrong, tried, whole, partial)
                    else:
                        likely.append(candidate)
                    if self.over:
                        break
            for candidate in sorted(likely, key=lambda one: one.cost)[:LIKELY] if not whole else ():
                if not self.over:
                    self.judged(candidate, edits, wrong, tried, whole, partial)
            if whole:
                return simplest(whole)
            low = level or 0.0
        if known.forward:
            for bench, _ in benches.values():
                self.blind(bench, edits, wrong, tried, whole, partial)
            if whole:
                return simplest(whole)
        if partial:
            least = min(one.left for one in partial)
            return simplest([one for one in partial if one.left == least])
        return []

    def blind(self, bench: Bench, edits: Edits, wrong: Any, tried: Any, whole: Any, partial: Any) -> None:
        """Run the simplest edits of a statement of which each computes something else."""
        seen = set()
        for candidate in bench.candidates(0.0, BLIND):
            row = flattened(candidate.values)
            key = None if row is None else np.round(row, 12).tobytes()
            if self.over or key is None or key in seen:
                continue
            seen.add(key)
            self.judged(candidate, edits, wrong, tried, whole, partial)

    def suspects(self, known: Sensitivity) -> list[Event]:
        """Return the events whose values may be wrong, those of the pass that is wrong.

        Where forward is right, it may still keep the wrong thing for backward.
        """
        forward = [event for event in known.run.events if event.forward]
        if known.forward:
            return forward
        statements = self.case.program.by_number
        kept = [
            e for e in forward if isinstance(value_of(statements[e.statement].node), ast.Tuple | ast.Dict | ast.List)
        ]
        return [event for event in known.run.events[known.begin :] if not event.forward] + kept

    def judged(self, candidate: Candidate, edits: Edits, wrong: Any, tried: Any, whole: Any, partial: Any) -> None:
        """Sort an edit in by what it makes right."""
        mended = self.verified(candidate, edits, wrong, tried)
        if mended:
            (partial if mended.left else whole).append(mended)

    def terms(self, bench: Bench, events: list[Event], known: Sensitivity) -> Iterator[tuple[bool, Candidate]]:
        """Yield a statement with a product more, where that may be right."""
        natural = bench.natural()
        if natural is None or any(len(n) != len(e.value) for n, e in zip(natural, events)) or self.over:
            return
        weights = [[known.weight(ids) for ids in event.value_ids] for event in events]
        yield from missing_terms(bench, natural, weights, known)

    def bench(self, number: int, events: list[Event]) -> Bench:
        """Return the statement with its variables at these occurrences."""
        statement = self.case.program.by_number[number]
        scopes = [{**e.scope, **e.variables} for e in events]
        found, keys = [], set()
        keyed = [(t, n, code_of(n)) for t, n in _keyed(events[0].variables)]
        for text, node, code in [*self.texts(statement), *keyed]:
            try:
                values = [eval(code, scope) for scope in scopes]
            except Exception:
                continue
            if not all(_is_operand(v) for v in values):
                continue
            key = tuple(np.asarray(v).tobytes() for v in values), np.shape(values[0])
            if key not in keys or isinstance(node, ast.Name | ast.Attribute) or not np.any(values[0]):
                found.append(Leaf(text, node, values))
            keys.add(key)
        return Bench(statement, scopes, found)

    def texts(self, statement: Statement) -> list[tuple[str, ast.expr, CodeType]]:
        """Return the names and short expressions of the program, those of the statement's function first."""
        if statement.function not in self._texts:
            statements = self.case.program.statements
            own = [s for s in statements if s.function is statement.function]
            rest = [s for s in statements if s.function is not statement.function]
            found: dict[str, ast.expr] = {}
            for one in [*own, *rest]:
                for node in _parts_of(one.node):
                    if isinstance(node, ast.Name | ast.Subscript | ast.Attribute):
                        found.setdefault(ast.unparse(node), node)
            for one in own:
                for node in _parts_of(one.node):
                    if isinstance(node, ast.BinOp | ast.Call) and not _writes(node):
                        text = ast.unparse(node)
                        if len(text) <= 30:
                            found.setdefault(text, node)
            made = []
            for text in list(found)[:150]:
                loaded = ast.parse(text, mode="eval").body
                made.append((text, loaded, code_of(loaded)))
            self._texts[statement.function] = made
        return self._texts[statement.function]

    def passing(
        self, bench: Bench, events: list[Event], known: Sensitivity, low: float, level: float
    ) -> Iterator[tuple[bool, Candidate]]:
        """Yield the edits of a statement that may be right.

        The flag says whether their values would make something right and nothing wrong. Where a line sees its own error
        again at a later step, that is not known; but at its first occurrence it computes a value of a right run.
        """
        natural = bench.natural()
        if natural is None or any(len(n) != len(e.value) for n, e in zip(natural, events)):
            return
        if any(a.shape != ids.shape for n, e in zip(natural, events) for a, ids in zip(n, e.value_ids)):
            return
        before = flattened(natural)
        if before is None:
            return
        weights = np.hstack([known.weight(ids.ravel()) for event in events for ids in event.value_ids])
        for n, candidate in enumerate(bench.candidates(low, level)):
            if n % 50 == 0 and self.over:
                return
            after = flattened(candidate.values)
            if after is None or after.shape != before.shape:
                continue
            change = weights @ (after - before)
            if not np.isfinite(change).all():
                continue
            if known.judge(change):
                yield True, candidate
                continue
            carried = known.forward or (len(events) > 1 and change.any())
            if carried and recognised(natural, candidate.values or [], known):
                yield False, candidate

    def verified(self, candidate: Candidate, edits: Edits, wrong: list[Any], tried: set[Any]) -> Mended | None:
        """Return an edit that makes something right and nothing wrong on every trial; None if it does not."""
        new = candidate.edited()
        key = candidate.statement.number, ast.dump(ast.Module(new, []))
        if key in tried:
            return None
        tried.add(key)
        now = []
        for k, before in enumerate(wrong):
            try:
                one = self.case.wrong(k, edits | {candidate.statement.number: new})
            except SyntaxError:
                return None
            if one is None or not one <= before or (before and one == before):
                return None
            now.append(one)
        return Mended(candidate, new, now)


def recognised(natural: list[list[Array]], edited: list[list[Array]], known: Sensitivity) -> bool:
    """Return whether, where an edit first changes something, it computes values of a right run."""
    for before, after in zip(natural, edited):
        changed = [b for a, b in zip(before, after) if not np.array_equal(a, b)]
        if changed:
            return all(known.known.has(b) for b in changed)
    return False


def flattened(values: list[list[Array]] | None) -> Array | None:
    """Return all numbers of the values of a statement in one row."""
    if values is None:
        return None
    rows = [one.ravel() for its in values for one in its]
    return np.concatenate(rows) if rows else None


def simplest(found: list[Mended]) -> list[Mended]:
    """Return the simplest edits."""
    least = min(one.candidate.cost for one in found)
    return sorted((one for one in found if one.candidate.cost <= least + EQUAL), key=lambda one: one.candidate.cost)


def _is_operand(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fb" and value.size > 0
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def _keyed(variables: dict[str, Any]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the entries of dicts of arrays, and the attributes of ``self``, that the code need not name anywhere."""
    for name, value in variables.items():
        texts: list[str] = []
        if isinstance(value, dict) and len(value) <= 40:
            texts = [f"{name}[{key!r}]" for key in value if isinstance(key, str)]
        elif name == "self":
            texts = [f"self.{key}" for key in vars(value)]
        yield from ((text, ast.parse(text, mode="eval").body) for text in texts)


def _parts_of(node: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions of a statement without those of the block in it."""
    heads: list[Any] = [node]
    if isinstance(node, ast.For):
        heads = [node.target, node.iter]
    elif isinstance(node, ast.If | ast.While):
        heads = [node.test]
    for head in heads:
        yield from ast.walk(head)


def _writes(node: ast.AST) -> bool:
    """Whether an expression calls a method that may change what it is called on."""
    called = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Attribute) and one.attr in WRITING for one in called)
