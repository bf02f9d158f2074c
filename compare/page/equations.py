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

#: What the scripts need of a quantity.
FOR_SCRIPT = ("whole", "id", "backward", "actual", "right", "difference", "steps", "errors")


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
            derived = formulas.get(number)
            shown = (derived.mathml, derived.text) if derived else (one["formula"], Markup())
            rows[one["id"]] = Row(one["id"], number, *shown)
        rows[one["id"]].quantities.append(one)
    return list(rows.values())


def row_id(one: Mapping[str, Any]) -> str:
    """Return the ``id`` of the row of a quantity."""
    return one["equation"] or re.sub(r"[^\w.-]+", "-", one["name"])


def cells(one: Mapping[str, Any], row: int, part: str = "actual") -> list[list[tuple[float | str, float]]]:
    """Return what a strip shows: by unit and column the number, and its share of the largest magnitude, from -1 to 1.

    That is the largest of the reference, or of the differences. Gradients differ by orders of magnitude from step to
    step, so their share is the cube root. What is no number has the share 1.
    """

    def columns(part: str) -> list[list[float | str]]:
        """Return the columns of the row; where rows are not apart, there is one for all."""
        grid: list[list[list[float | str]]] = one[part]
        return grid[row if row < len(grid) else 0]

    scale = "right" if part == "actual" and "right" in one else part
    largest = max((abs(v) for column in columns(scale) for v in column if not isinstance(v, str)), default=0.0) or 1.0
    power = 1 / 3 if one["backward"] else 1.0

    def share(value: float | str) -> float:
        return 1.0 if isinstance(value, str) else math.copysign(min(abs(value) / largest, 1.0) ** power, value)

    return [[(value, share(value)) for value in unit] for unit in zip(*columns(part))]


def at(one: Mapping[str, Any], row: int, step: int) -> list[tuple[float | str, float]]:
    """Return what the diagram shows of a quantity at a step, or all of it where it has no steps."""
    columns = list(zip(*cells(one, row))) if one["actual"] else []
    if not one["steps"]:
        return [cell for column in columns for cell in column][:SHOWN]
    return list(columns[one["steps"].index(step)]) if step in one["steps"] else []


def for_script(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the scripts need of a quantity."""
    return {key: one[key] for key in FOR_SCRIPT if key in one}


#: What the templates of rows call.
SHARED = {"parts": PARTS, "cells": cells, "at": at}
