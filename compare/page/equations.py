"""The rows of a page: the quantities of a run by the number of their equation, and what each row shows."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from compare.checker.report.printable import SHOWN
from compare.page.sources import Formula, Line

#: What every row shows of a quantity that agrees, and of one that does not.
PARTS = {"actual": "value", "right": "reference", "difference": "difference"}


@dataclass
class Row:
    """One equation: its number, if it has one, the quantities it computes, and the lines of code that compute them.

    ``id`` is the number, or else the name; it is the fragment of the row's address.
    """

    id: str
    number: str
    formula: Markup | str
    text: Markup | str = ""
    lines: list[Line] = field(default_factory=list)
    quantities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names of the quantities, once each."""
        return list(dict.fromkeys(one["whole"] for one in self.quantities))

    @property
    def backward(self) -> bool:
        """Whether it belongs to the backward pass."""
        return any(one["backward"] for one in self.quantities)

    @property
    def error(self) -> float | str:
        """The largest relative error against autograd."""
        return max((error for one in self.quantities for error in one["errors"]), key=float, default=0.0)


def rows_of(quantities: list[dict[str, Any]], formulas: Mapping[str, Formula]) -> list[Row]:
    """Group quantities by equation, in the order of their first appearance, and note in each the ``id`` of its row."""
    rows: dict[str, Row] = {}
    for one in quantities:
        number = one["equation"]
        one["id"] = row_id(one)
        if one["id"] not in rows:
            derived = formulas.get(number, Formula(number, one["formula"], Markup()))
            rows[one["id"]] = Row(one["id"], number, derived.mathml, derived.text)
        rows[one["id"]].quantities.append(one)
    return list(rows.values())


def row_id(one: Mapping[str, Any]) -> str:
    """Return the ``id`` of the row of a quantity."""
    return one["equation"] or re.sub(r"[^\w.-]+", "-", one["name"])


def scale(one: Mapping[str, Any], row: int, part: str = "actual") -> float:
    """Return the magnitude that is drawn in full colour: the largest of the reference, or of the differences."""
    grid = one.get("right", one["actual"]) if part == "actual" or part == "right" else one[part]
    numbers = [abs(v) for column in _row(grid, row) for v in column if not isinstance(v, str)]
    return max(numbers, default=0.0) or 1.0


def cells(one: Mapping[str, Any], row: int, part: str = "actual") -> list[list[tuple[float | str, float]]]:
    """Return what a strip shows: by unit and column the number, and its share of the scale, from -1 to 1.

    Gradients differ by orders of magnitude from step to step, so their share is the cube root.
    """
    largest = scale(one, row, part)
    units = zip(*_row(one[part], row))
    power = 1 / 3 if one["backward"] else 1.0
    return [[(v, _share(v, largest, power)) for v in unit] for unit in units]


def _share(value: float | str, largest: float, power: float) -> float:
    """Return a number's share of the scale; 1 for what is no number."""
    if isinstance(value, str):
        return 1.0
    return math.copysign(min(abs(value) / largest, 1.0) ** power, value)


def _row(grid: list[Any], row: int) -> list[list[float | str]]:
    """Return the columns of a row of the batch; where rows are not apart, there is one for all."""
    shown: list[list[float | str]] = grid[row if row < len(grid) else 0]
    return shown


def at(one: Mapping[str, Any], row: int, step: int) -> list[tuple[float | str, float]]:
    """Return what the diagram shows of a quantity at a step, or all of it where it has no steps."""
    columns = list(zip(*cells(one, row))) if one["actual"] else []
    if not one["steps"]:
        return [cell for column in columns for cell in column][:SHOWN]
    return list(columns[one["steps"].index(step)]) if step in one["steps"] else []
