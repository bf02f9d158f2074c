"""The wrong lines of a derivation, each with the line that is right."""

import time
import warnings
from dataclasses import dataclass
from typing import Any

from compare.checker.lines.case import Case
from compare.checker.lines.search import Mended, Search
from compare.checker.lines.text import edited
from compare.checker.lines.words import words

#: How long the search for a repair may take, in seconds of processor time.
SECONDS = 6.0


@dataclass(frozen=True)
class Change:
    """A statement of the user's and what could stand in its place.

    ``line`` and ``end`` are its first and last line in ``file``, ``code`` its text, ``repair`` the right one, which is
    "" if none is known. ``words`` say what is wrong.
    """

    file: str
    line: int
    end: int
    code: str
    repair: str
    words: str


@dataclass(frozen=True)
class WrongLine:
    """A wrong line, or one of several that could be wrong.

    Args:
        changes: the equally simple changes that make everything right, one for each line; if there is no repair, the
            lines that may be wrong.
    """

    changes: tuple[Change, ...]

    @property
    def firm(self) -> bool:
        """Whether this line is wrong: only with a change of it everything agrees."""
        return len(self.changes) == 1 and bool(self.changes[0].repair)

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines."""
        return tuple(change.line for change in self.changes)


def wrong_lines(pair: Any, trials: list[Any], seconds: float = SECONDS) -> list[WrongLine]:
    """Find the wrong lines of a derivation in NumPy, and the lines that are right.

    Args:
        pair: the derivation, a ``Pair``.
        trials: problems of several sizes and values with their references.
        seconds: how long the search may take.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = Case(pair, trials)
        if not case.program.statements:
            return []
        started = time.process_time()
        case.wrong(0)
        case.longest = max(0.5, 5 * (time.process_time() - started))
        search = Search(case, seconds)
        found = search.repairs()
        if found:
            return [WrongLine(tuple(_changes(one))) for one in found]
        return []


def _changes(found: list[Mended]) -> list[Change]:
    """Return the simplest change of each line."""
    best: dict[int, tuple[float, int, Mended, str]] = {}
    for one in found:
        text = edited(one.candidate)
        rank = (round(one.candidate.cost, 1), len(text), one, text)
        number = one.candidate.statement.number
        if number not in best or rank[:2] < best[number][:2]:
            best[number] = rank
    return [
        Change(
            one.candidate.statement.source.file,
            one.candidate.statement.line,
            one.candidate.statement.node.end_lineno or one.candidate.statement.line,
            one.candidate.statement.text,
            text,
            words(one.candidate),
        )
        for _, _, one, text in sorted(best.values(), key=lambda rank: rank[:2])
    ]
