"""One finding of a check: a quantity that is wrong although everything it is computed from is right."""

import linecache
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compare.agreement import Difference
from compare.checker.compare import Compared
from compare.checker.lines.wrong_line import Change, WrongLine
from compare.checker.notation import Notation


@dataclass(frozen=True)
class Fault:
    """A quantity that is wrong although everything it is computed from is right.

    ``name`` is that of the probe or tensor, ``gate`` that of the block, if any. ``steps`` and ``rows`` say where it is
    wrong; they are empty if there is no such axis. ``worst`` is the worst element, indexed with the step first.
    ``problem`` says why it could not be compared. ``file``, ``line`` and ``code`` locate the probe that recorded it.
    ``number`` and ``formula`` are those of its equation in ``manual/DERIVATION.md``, if it belongs to a cell.
    Where no probe names a quantity, ``code`` is the wrong statement. ``repair`` is the right one, "" if none is known;
    it replaces what is from ``span[:2]`` to ``span[2:]``, lines and columns. If other lines could be changed just as
    well, ``one_of`` holds all of them.
    """

    name: str
    gate: str
    label: str
    recorded: bool
    steps: tuple[int, ...]
    rows: tuple[int, ...]
    worst: Difference
    where: str
    problem: str
    hint: str
    number: str
    formula: str
    file: str
    line: int
    code: str
    repair: str = ""
    one_of: tuple[int, ...] = ()
    span: tuple[int, ...] = ()

    @classmethod
    def of(cls, one: Compared, notation: Notation, hint: str) -> "Fault":
        """Make a fault of a compared quantity."""
        found = notation.equation(one.name)
        place = one.places[one.worst] if one.places else None
        if place:
            linecache.checkcache(place.file)
        code = linecache.getline(place.file, place.line).strip() if place else ""
        problem = one.problem
        if not problem and one.missing and one.agrees:
            problem = f"not recorded at step{'s' if len(one.missing) > 1 else ''} {spans(one.missing)}"
        return cls(
            one.name,
            one.gate,
            one.label,
            one.recorded,
            one.wrong_steps() or (one.missing if one.agrees else ()),
            one.wrong_rows(),
            one.difference(),
            one.where(),
            problem,
            hint,
            found.number,
            found.formula,
            place.file if place else "",
            place.line if place else 0,
            code,
        )

    def repaired(self, lines: list[WrongLine]) -> "Fault":
        """Return the fault with the repair of its line, if there is one."""
        for change in (change for wrong in lines for change in wrong.changes):
            if change.file == self.file and change.span[0] <= self.line <= change.span[2] and change.repair:
                return replace(self, hint=change.words, repair=change.repair, span=change.span)
        return self

    def at(self, change: Change, wrong: WrongLine) -> "Fault":
        """Return this, the worst of what is wrong, as a fault of a line."""
        return replace(
            self,
            name=change.name or self.name,
            label=change.name or self.label,
            gate="",
            steps=(),
            rows=(),
            problem="",
            hint=change.words,
            file=change.file,
            line=change.line,
            code=change.code,
            repair=change.repair,
            one_of=wrong.lines if len(wrong.lines) > 1 else (),
            span=change.span,
        )

    @property
    def title(self) -> str:
        """Number and name. The gradient of a parameter is named without its gate: the equation is the same for all."""
        if self.span and not self.recorded:
            lines = ", ".join(map(str, self.one_of))
            return f"one of lines {lines}" if lines else f"line {self.line}"
        name = self.name.removesuffix(f"_{self.gate}") if self.gate and not self.recorded else self.label
        return f"({self.number}) {name}" if self.number else name

    def as_json(self) -> dict[str, Any]:
        """Return the fault for a script."""
        return {
            "name": self.name,
            "label": self.label,
            "equation": self.number,
            "formula": self.formula,
            "gate": self.gate,
            "steps": self.steps,
            "rows": self.rows,
            "error": finite(self.worst.error),
            "at": self.worst.index,
            "where": self.where,
            "actual": finite(self.worst.actual),
            "expected": finite(self.worst.reference),
            "hint": self.hint,
            "problem": self.problem,
            "file": self.file,
            "line": self.line,
            "code": self.code,
            "repair": self.repair,
            "one_of": self.one_of,
            "span": self.span,
        }


def finite(number: Any) -> Any:
    """Return a finite number as it is, any other as a string."""
    return float(number) if np.isfinite(number) else str(float(number))


def spans(numbers: tuple[int, ...]) -> str:
    """Write 0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
