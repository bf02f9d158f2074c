"""Which statements could be wrong: those of which other values would make gradients right, and nothing else wrong."""

from dataclasses import dataclass

import numpy as np

from compare.checker.lines.trace.record import Event
from compare.checker.lines.trace.sensitivity import Sensitivity
from manual.arrays import Array

#: How near a combination comes to what is missing, relative to the scale of each gradient, to explain it.
POSSIBLE = 1e-7


@dataclass(frozen=True, eq=False)
class Suspect:
    """A statement that could be wrong.

    ``mends`` holds the gradients of which each could be made right by other values of it, ``whole`` says whether all
    of them at once. ``telling`` says that this is no matter of course, as it is where it computes as many numbers as
    all gradients have. ``needed`` are the values that make these right, by occurrence; None if they are not unique.
    """

    events: list[Event]
    mends: frozenset[str]
    whole: bool
    telling: bool = False
    needed: list[list[Array]] | None = None


class Locator:
    """Excludes statements, by what a traced run tells.

    The gradients are linear in the values of the backward pass. So what they lack is a combination of their derivatives
    in the numbers that the wrong statement computes, whatever the right ones are.

    Args:
        known: what the run tells.
    """

    def __init__(self, known: Sensitivity):
        self._known = known
        self._rows, self._missing, self._owner = known.rows()

    def suspect(self, events: list[Event]) -> Suspect:
        """Return what other values of a statement could do, at these occurrences of it."""
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
        if solution is not None and telling and np.linalg.matrix_rank(columns[which]) == live.sum():
            change = np.zeros(len(ids))
            change[live] = solution
            sizes = [np.prod(shape, dtype=int) for shape in shapes]
            parts = np.split(change[back], np.cumsum(sizes)[:-1])
            changes = iter([part.reshape(shape) for part, shape in zip(parts, shapes)])
            needed = [[value + next(changes) for value in event.value] for event in events]
        return Suspect(events, mends, solution is not None and len(mends) == wrong.sum(), telling, needed)

    def _solved(self, columns: Array, which: Array) -> Array | None:
        """Return the combination of columns that is what these rows lack; None if there is none."""
        some, missing = columns[which], self._missing[which]
        solution = np.linalg.lstsq(some, missing, rcond=1e-12)[0]
        return solution if np.abs(some @ solution - missing).max(initial=0) <= POSSIBLE else None
