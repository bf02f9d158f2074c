"""One finding of a check: a quantity that is wrong although everything it is computed from is right."""

import linecache
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from compare.agreement import Difference
from compare.checker.compare import Compared
from compare.checker.lines.wrong_line import Change, WrongLine
from compare.checker.notation import Notation
from compare.checker.report.printable import finite


@dataclass(frozen=True)
class Fault:
    """A quantity that is wrong although everything it is computed from is right.

    ``name`` is that of the probe or tensor, ``gate`` that of the block, if any. ``steps`` and ``rows`` say where it is
    wrong; they are empty if there is no such axis. ``worst`` is the worst element, indexed with the step first.
    ``problem`` says why it could not be compared. ``file``, ``line`` and ``code`` locate the probe that recorded it.
    ``number`` and ``formula`` are those of its equation in ``manual/DERIVATION.md``, if it belongs to a cell.
    Where no probe names a quantity, ``code`` is the wrong statement; if another could be changed just as well,
    ``alternatives`` hold that. ``lines`` finds the wrong lines and the right ones. ``shown`` says what is told of it;
    for a hint ``ratios`` are what all that is right is multiplied by, with the sizes there, at each size that was
    tried, and ``parts`` says what is in its formula.
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
    number: str
    formula: str
    file: str
    line: int
    code: str
    alternatives: tuple["Fault", ...] = ()
    shown: str = "solution"
    ratios: tuple[tuple[float, Mapping[str, int]], ...] = ()
    parts: str = ""
    lines: Callable[[], list[WrongLine]] = field(default=list, repr=False, compare=False)

    @classmethod
    def of(cls, one: Compared, notation: Notation, sizes: Mapping[str, int]) -> "Fault":
        """Make a fault of a compared quantity; ``sizes`` are those of this trial, by their names."""
        missing = one.missing if one.agrees else ()
        return cls(
            name=one.name,
            gate=one.gate,
            label=one.label,
            recorded=one.recorded,
            steps=one.wrong_steps() or missing,
            rows=one.wrong_rows(),
            worst=one.difference(),
            where=one.where(),
            problem=one.problem or ("not recorded at " + numbered("step", missing) if missing else ""),
            **vars(notation.equation(one.name)),
            **place_of(one),
            ratios=_ratio(one, sizes),
        )

    def also(self, compared: Sequence[Compared], sizes: Mapping[str, int]) -> "Fault":
        """Return the fault with what is known of it from another size."""
        found = [_ratio(one, sizes) for one in compared if one.label == self.label and self.ratios]
        return replace(self, ratios=self.ratios + found[0]) if found else self

    @property
    def factor(self) -> str:
        """What all that is right is multiplied by: a short number, as in "-1", or a size; "" if there is none."""
        ratios = {ratio for ratio, _ in self.ratios}
        if len(ratios) > 1:
            names = [name for name in self.ratios[0][1] if all(name in sizes for _, sizes in self.ratios)]
            named = {name: [(ratio, sizes[name]) for ratio, sizes in self.ratios] for name in names}
            of = [name for name, pairs in named.items() if all(ratio == size for ratio, size in pairs)]
            parts = [f"1/{name}" for name, pairs in named.items() if all(ratio == 1 / size for ratio, size in pairs)]
            return next(iter([*of, *parts]), "")
        ratio = next(iter(ratios), np.nan)
        short = f"1/{round(1 / ratio)}" if 0 < ratio < 0.6 and 1 / round(1 / ratio) == ratio else f"{ratio:.3g}"
        return short if ratios and np.isfinite(ratio) else ""

    @cached_property
    def change(self) -> Change | None:
        """What the wrong statement is to become, looked for when it is asked for first; None if it is not known."""
        changes = [change for wrong in self.lines() for change in wrong.changes if change.repair]
        here = (one for one in changes if one.file == self.file and one.span[0] <= self.line <= one.span[2])
        return next(here, None)

    @property
    def repair(self) -> str:
        """The right statement; "" if it is not known."""
        return self.change.repair if self.change and self.shown == "solution" else ""

    @property
    def hint(self) -> str:
        """What is wrong with the statement in a few words; "" if that is not known."""
        if self.change or not self.shown:
            return self.change.words if self.change else ""
        return f"{self.factor} times the right value" if self.factor else ""

    @property
    def span(self) -> tuple[int, ...]:
        """First line and column, last line and the column after it, of what the repair replaces."""
        return self.change.span if self.change else ()

    def withheld(self, shown: str) -> "Fault":
        """Return this without the solution: with ``"hint"`` the line and what is wrong with it, with "" neither."""
        if shown == "solution":
            return self
        if shown:
            names = dict.fromkeys(
                re.findall(r"\b(?!tanh|at|of)(?:\w+_\w+|[a-z]{1,2})\b", self.formula.replace("ᵀ", ""))
            )
            parts = f"it should be made of {', '.join(names)}" if names else ""
            others = tuple(one.withheld(shown) for one in self.alternatives)
            return replace(self, formula="", shown=shown, parts=parts, alternatives=others)
        return replace(self, file="", line=0, code="", formula="", lines=list, alternatives=(), shown="")

    def at(self, *changes: Change) -> "Fault":
        """Return this, the worst of what is wrong, as a fault of the first of these lines; the others do as well."""
        change = changes[0]
        return replace(
            self,
            name=change.name or self.name,
            label=change.name or self.label,
            gate="",
            steps=(),
            rows=(),
            problem="",
            file=change.file,
            line=change.line,
            code=change.code,
            lines=lambda: [WrongLine((change,))],
            alternatives=tuple(self.at(other) for other in changes[1:]),
        )

    @property
    def title(self) -> str:
        """Number and name. The gradient of a parameter is named without its gate: the equation is the same for all."""
        if not self.recorded and self.file:
            lines = ", ".join(str(one.line) for one in (self, *self.alternatives))
            return f"one of lines {lines}" if self.alternatives else f"line {self.line}"
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
            "span": self.span,
            "alternatives": [one.as_json() for one in self.alternatives],
        }


def place_of(one: Compared) -> dict[str, Any]:
    """Return file, line and code of the probe that recorded the worst part of a quantity; empty if none did."""
    if not one.places:
        return {"file": "", "line": 0, "code": ""}
    place = one.places[one.worst]
    linecache.checkcache(place.file)
    return vars(place) | {"code": linecache.getline(place.file, place.line).strip()}


def _ratio(one: Compared, sizes: Mapping[str, int]) -> tuple[tuple[float, Mapping[str, int]], ...]:
    """Return by what all that is right is multiplied, a short number, with the sizes; NaN if by none, () if unknown."""
    if not any(r.any() for r in one.right):
        return ()
    if one.problem or not all(np.isfinite(actual).all() for actual in one.actual):
        return ((np.nan, sizes),)
    actual, right = (np.concatenate([part.ravel() for part in parts]) for parts in (one.actual, one.right))
    ratio = (actual @ right) / (right @ right)
    near = [float(f"{ratio:.3g}"), *([1 / round(1 / ratio)] if 0 < ratio < 0.6 else []), float(round(ratio))]
    fits = (f for f in near if np.abs(actual - f * right).max() <= 1e-9 * np.abs(right).max())
    return ((next(fits, np.nan), sizes),)


def numbered(word: str, numbers: tuple[int, ...]) -> str:
    """Write a word with numbers, 0, 1, 2, 5 as "steps 0-2, 5"; "" if there are none."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    spans = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"{word}{'s' * (len(numbers) > 1)} {spans}" if numbers else ""
