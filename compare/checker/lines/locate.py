"""Which statements could be wrong: those of which other values would make gradients right, and nothing else wrong."""

import ast
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compare.checker.lines.program import Program
from compare.checker.lines.statement import Statement, names_in
from compare.checker.lines.trace.known import Known
from compare.checker.lines.trace.record import Event, value_of
from compare.checker.lines.trace.sensitivity import Sensitivity, targets
from manual.arrays import Array

#: How near a combination comes to what is missing, relative to the scale of each gradient, to explain it.
POSSIBLE = 1e-7

#: The most occurrences of a statement at which it is looked at.
MOST = 48

#: The most values of the reference that are looked at for one statement of forward.
LACKING = 6


@dataclass(frozen=True, eq=False)
class Suspect:
    """A statement that could be wrong, at the occurrences that gradients depend on.

    ``mends`` holds the gradients of which each could be made right by other values of it, ``whole`` says whether all
    of them at once. ``telling`` says that this is no matter of course, as it is where it computes as many numbers as
    all gradients have. ``needed`` are the values that make these right, by occurrence; None if they are not unique.
    ``followed`` says whether it is known how the gradients depend on it.
    """

    statement: Statement
    events: list[Event]
    mends: frozenset[str]
    whole: bool
    telling: bool = False
    needed: list[list[Array]] | None = None
    followed: bool = False

    @property
    def is_operand(self) -> bool:
        """Whether it computes numbers that do not depend on the incoming gradients."""
        event = self.events[0]
        return bool(event.value) and not (self.followed or event.forward or event.depends)


class Locator:
    """Excludes statements, by what a traced run tells.

    The gradients are linear in the values of the backward pass. So what they lack is a combination of their derivatives
    in the numbers that the wrong statement computes, whatever the right ones are.

    Args:
        program: the program.
        known: what the run tells.
        right: the numbers of statements that are not looked at.
    """

    def __init__(self, program: Program, known: Sensitivity, right: Collection[int] = ()):
        self._known = known
        self._rows, self._missing, self._owner = known.rows()
        groups: dict[int, list[Event]] = {}
        for event in self._events(program):
            groups.setdefault(event.statement, []).append(event)
        found = [self._suspect(program.by_number[n], events) for n, events in groups.items() if n not in right]
        self.suspects = [one for one in found if one]

    @property
    def blindly(self) -> bool:
        """Whether nothing is known of what a change would change: in forward, and where only shapes are wrong."""
        return self._known.forward or not self._known.wrong

    @cached_property
    def likely(self) -> list[Suspect]:
        """The statements of which one is wrong, if only one is.

        A value of a right run, in the place of its own, may make everything right. The first statement of which that is
        so, and whose own value is none of a right run, is the last that may be wrong: what comes after it is right,
        but what adds to it or hands it on as it is. Before it, what computes a value of a right run is right, unless
        another would make everything right.
        """
        found: list[Suspect] = []
        last: Suspect | None = None
        for one in sorted(self.suspects, key=lambda one: one.events[0].order) if not self.blindly else ():
            if one.whole and not one.events[0].forward and not _is_whole_number(one):
                right, apt = self._is_right(one), self._is_apt(one)
                if last is None and (apt or not right):
                    found.append(one)
                    last = one if apt and not right else None
                elif last and apt and _continues(one.statement.node, last.statement.node):
                    found.append(one)
        return found if last or any(map(self._is_apt, found)) else []

    @cached_property
    def fresh(self) -> list[Suspect]:
        """Where outputs are wrong, the statements of forward that compute no value of a right run."""
        found = self.suspects if self._known.forward else []
        return [one for one in found if one.events[0].value and not self.recognised(one.events[0].value)]

    @cached_property
    def taken(self) -> list[Suspect]:
        """The statements that compute what fresh ones take: a value of a right run, but maybe only a part of theirs."""
        read = {(one.statement.function, name) for one in self.fresh for name in names_in(one.statement.node)}
        made = ((one, one.statement.function, targets(one.statement.node)) for one in self.suspects)
        found = [one for one, function, names in made if read.intersection((function, name) for name in names)]
        return [one for one in found if one not in self.fresh]

    def lacking(self, shape: tuple[int, ...]) -> list[Array]:
        """Return the first values of a shape that the reference computes and the user's forward pass does not."""
        return [one for one in self._known.known.values(shape, False) if not self._own.has(one)][:LACKING]

    @cached_property
    def _own(self) -> Known:
        """The values that the user's forward pass computes."""
        own = Known()
        for event in self._known.run.events:
            for value in event.value if event.forward else ():
                own.add(value)
        return own

    def recognised(self, values: list[Array]) -> bool:
        """Whether all of these are values of a right run, or nothing."""
        return all(self._known.known.has(value) for value in values if value.any())

    def becomes_known(self, natural: list[list[Array]], edited: list[list[Array]]) -> bool:
        """Whether, where an edit first changes something, it computes values of a right run."""
        for before, after in zip(natural, edited):
            changed = [b for a, b in zip(before, after) if a.shape != b.shape or not np.array_equal(a, b)]
            if changed:
                return self.recognised(changed) and all(b.any() for b in changed)
        return False

    def _events(self, program: Program) -> list[Event]:
        """Return the events whose values may be wrong, those of the pass that is wrong.

        Where forward is right, it may still keep the wrong thing for backward.
        """
        events = self._known.run.events
        forward = [event for event in events if event.forward]
        if self._known.forward:
            return forward
        together = ast.Tuple | ast.Dict | ast.List
        kept = [event for event in forward if isinstance(value_of(program.by_number[event.statement].node), together)]
        backward = [event for event in events if not event.forward]
        begin = next((k for k, event in enumerate(backward) if event.depends), 0)
        before = [event for event in backward[:begin] if not event.value or any(one.any() for one in event.value)]
        return before + backward[begin:] + kept

    def _suspect(self, statement: Statement, events: list[Event]) -> Suspect | None:
        """Return what is known of a statement, if it may be wrong."""
        wrong = self._known.wrong
        if self.blindly:
            return Suspect(statement, events[:2], wrong, True)
        reached = [self._known.reach(event) for event in events]
        active = [event for event, names in zip(events, reached) if names & wrong]
        if events[0].forward:
            return Suspect(statement, events[:2], wrong, True) if active else None
        if not any(reached):
            return Suspect(statement, events[:1], wrong, True) if _is_opaque(statement.node) else None
        if not 0 < len(active) <= MOST:
            return None
        everything = frozenset().union(*reached) == wrong
        if any(event.depends for event in active) or not any(one.any() for one in active[0].value):
            found = self._followed(statement, active)
            elsewhere = not found.whole and everything and _has_a_place(statement.node)
            return Suspect(statement, active, wrong, True) if elsewhere else found
        # What does not depend on the incoming gradients is no part of what is linear in these.
        return Suspect(statement, active, wrong, True) if everything else None

    def _followed(self, statement: Statement, events: list[Event]) -> Suspect:
        """Return what other values of a statement could do."""
        known = self._known
        shapes = [ids.shape for event in events for ids in event.value_ids]
        flat = np.concatenate([ids.ravel() for event in events for ids in event.value_ids] or [np.zeros(0, int)])
        ids, back = np.unique(flat, return_inverse=True)
        live = self._rows[:, ids].any(0)
        columns = self._rows[:, ids[live]]
        wrong = np.array([name in known.wrong for name in known.names], bool)
        good = ~wrong[self._owner]
        mends = frozenset(
            known.names[j]
            for j in np.flatnonzero(wrong)
            if self._solved(columns, good | (self._owner == j)) is not None
        )
        which = good | np.isin(self._owner, [known.names.index(name) for name in mends])
        solution = self._solved(columns, which) if mends else None
        needed = None
        telling = bool(live.sum() < which.sum())
        if solution is not None and live.sum() <= which.sum() and np.linalg.matrix_rank(columns[which]) == live.sum():
            change = np.zeros(len(ids))
            change[live] = solution
            sizes = [np.prod(shape, dtype=int) for shape in shapes]
            parts = np.split(change[back], np.cumsum(sizes)[:-1])
            changes = iter([part.reshape(shape) for part, shape in zip(parts, shapes)])
            needed = [[value + next(changes) for value in event.value] for event in events]
        whole = solution is not None and len(mends) == wrong.sum()
        return Suspect(statement, events, mends, whole, telling, needed, True)

    def needed(self, suspect: Suspect) -> list[list[Array]] | None:
        """Return the values that a suspect needs, if they are unique: at all occurrences, or at one that is enough."""
        if suspect.needed or not suspect.followed or len(suspect.events) > MOST // 4:
            return suspect.needed
        for event in suspect.events:
            alone = self._followed(suspect.statement, [event])
            if alone.needed and alone.mends == suspect.mends:
                return [alone.needed[0] if one is event else one.value for one in suspect.events]
        return None

    def _is_right(self, suspect: Suspect) -> bool:
        """Whether a statement computes values of a right run, as far as they matter."""
        if suspect.is_operand:
            return all(self.recognised(event.value) for event in suspect.events)
        node = suspect.statement.node
        # What is added is a part of a sum, and right runs have parts, too.
        if not suspect.followed or _has_a_place(node) or isinstance(node, ast.AugAssign):
            return False
        return self.recognised([value for value, _ in self._live(suspect.events[:1])])

    def _is_apt(self, suspect: Suspect) -> bool:
        """Whether values of a right run in the place of those of a statement make everything right."""
        if suspect.needed is not None and suspect.telling:
            values = [value for its in suspect.needed for value in its]
            if any(value.any() for value in values) and self.recognised(values):
                return True
        for value, ids in self._live(suspect.events) if suspect.followed else ():
            changes = self._known.known.values(value.shape).reshape(-1, value.size) - value.ravel()
            off = np.abs(changes @ self._rows[:, ids.ravel()].T - self._missing)
            if (off.max(1, initial=0) <= POSSIBLE).any():
                return True
        return False

    def _live(self, events: list[Event]) -> list[tuple[Array, Array]]:
        """Return the values that gradients depend on, with their ids."""
        pairs = [pair for event in events for pair in zip(event.value, event.value_ids)]
        return [(value, ids) for value, ids in pairs if self._rows[:, ids].any()]

    def _solved(self, columns: Array, which: Array) -> Array | None:
        """Return the combination of columns that is what these rows lack; None if there is none."""
        some, missing = columns[which], self._missing[which]
        solution = np.linalg.lstsq(some, missing, rcond=1e-12)[0]
        return solution if np.abs(some @ solution - missing).max(initial=0) <= POSSIBLE else None


def _has_a_place(node: ast.stmt) -> bool:
    """Whether a statement may write a right value in a wrong place."""
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    keyed = isinstance(target, ast.Subscript) and isinstance(getattr(target.slice, "value", None), str)
    return isinstance(node, ast.Expr) or (isinstance(target, ast.Subscript) and not keyed)


def _continues(node: ast.stmt, other: ast.stmt) -> bool:
    """Whether a statement adds to what another one assigns, or hands it on as it is beside what it computes."""
    targets = other.targets if isinstance(other, ast.Assign) else []
    if isinstance(node, ast.AugAssign):
        named = node.target.value if isinstance(node.target, ast.Subscript) else node.target
        return ast.unparse(named) in map(ast.unparse, targets)
    parts = getattr(node.value, "elts", []) if isinstance(node, ast.Return) else []
    plain = {one.id for one in parts if isinstance(one, ast.Name)}
    return len(plain) < len(parts) and not plain.isdisjoint(names_in(ast.Tuple(targets, ast.Load())))


def _is_opaque(node: ast.stmt) -> bool:
    """Whether a statement may write into an array, or compute a mask or an index, without values that are followed."""
    if isinstance(node, ast.Return) and node.value:
        return any(isinstance(one, ast.Compare) for one in ast.walk(node.value))
    return isinstance(node, ast.Assign | ast.AugAssign | ast.Expr)


def _is_whole_number(suspect: Suspect) -> bool:
    """Whether a statement computes an index or a size."""
    node = suspect.statement.node
    if not isinstance(node, ast.Assign) or isinstance(node.targets[0], ast.Subscript) or suspect.events[0].value:
        return False
    return not any(isinstance(one, ast.Compare) for one in ast.walk(node.value))
