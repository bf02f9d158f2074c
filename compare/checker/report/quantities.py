"""What was compared, as data for a page: each quantity as a grid of columns and units, for each row of the batch."""

from typing import Any

import numpy as np

from compare.checker.compare import Compared
from compare.checker.notation import Notation
from compare.checker.report.fault import place_of
from compare.checker.report.printable import SHOWN, finite
from compare.checker.report.report import Report
from manual.arrays import Array

#: The largest number of steps that are shown of a quantity.
STEPS = 64

#: The number of numbers in a report above which fewer rows and units are shown.
MANY = 30_000

#: The significant digits of a value, and of a difference or an error.
DIGITS, FEW = 5, 2


def quantity(one: Compared, notation: Notation, shown: int = SHOWN) -> dict[str, Any]:
    """Return a compared quantity as data.

    ``whole`` is the name of the parameter of which it is one gate, or its own. ``actual`` is a list by row of the
    batch, column and unit. The columns are the ``steps``, or where there are none the first axis of the array.
    ``right`` and ``difference`` are the same for the reference and the difference from it; a quantity that agrees has
    neither. ``cut`` says that these lists are only the beginning. ``errors`` are relative, one for each step.
    """
    found = notation.equation(one.name, one.gate)
    data: dict[str, Any] = {
        "name": one.name,
        "whole": one.name.removesuffix(f"_{one.gate}") if one.gate and not one.recorded else one.name,
        "label": one.label,
        "gate": one.gate,
        "kind": one.kind,
        "backward": one.kind in ("adjoint", "d_input", "gradient"),
        "equation": found.number.partition(", ")[0],
        "formula": found.formula,
        "agrees": one.agrees,
        "problem": one.problem,
        "steps": list(one.steps[:STEPS]),
        "errors": [_rounded(error, FEW) for error in one.errors],
        "limit": float(one.limits.max()) if len(one.limits) else 0.0,
        **place_of(one),
        "actual": [],
        "cut": False,
    }
    grid = _grid(one.actual, one)
    if grid is None:
        return data
    data["actual"] = _lists(_cut(grid, one, shown), DIGITS)
    data["cut"] = _cut(grid, one, shown).size < grid.size
    right = _grid(one.right, one)
    if not one.agrees and right is not None and right.shape == grid.shape:
        data["right"] = _lists(_cut(right, one, shown), DIGITS)
        with np.errstate(invalid="ignore"):
            data["difference"] = _lists(_cut(grid - right, one, shown), FEW)
    return data


def displayed(report: Report) -> dict[str, Any]:
    """Return what a page shows of a report, besides what ``Report.as_json`` has: its text, and all quantities twice."""
    as_run: list[dict[str, Any]] = []
    fed_back: list[dict[str, Any]] = []
    for shown in (SHOWN, SHOWN // 2, SHOWN // 4, SHOWN // 8, SHOWN // 16):
        as_run, fed_back = (
            [quantity(one, report.notation, shown) for one in run] for run in (report.as_run, report.fed_back)
        )
        if sum(np.size(one.get(part, ())) for one in as_run + fed_back for part in ("actual", "right")) <= MANY:
            break
    return {
        "cell": report.notation.cell_name,
        "text": str(report),
        "verdict": report.verdict().plain,
        "as_run": [_withheld(one, report) for one in as_run],
        "fed_back": [_withheld(one, report) for one in fed_back],
    }


def _withheld(one: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return a quantity without what a learner is to find."""
    if report.told == "solution" or one["label"] not in {fault.label for fault in report.faults}:
        return one
    return one | {"equation": "", "formula": ""} | ({} if report.told else {"file": "", "line": 0, "code": ""})


def _grid(parts: list[Array], one: Compared) -> Array | None:
    """Arrange the parts as (rows, columns, units); None if they are not numbers of one shape."""
    shapes = {part.shape for part in parts}
    if len(shapes) != 1 or parts[0].dtype.kind not in "fiub" or not parts[0].size:
        return None
    if one.rows_axis is not None:
        parts = [np.moveaxis(part, one.rows_axis, 0) for part in parts]
        return np.stack([part.reshape(len(part), -1) for part in parts], axis=1)
    if one.steps:
        return np.stack([part.reshape(1, -1) for part in parts], axis=1)
    part = np.atleast_1d(parts[0])
    return part.reshape(1, len(part), -1)


def _cut(grid: Array, one: Compared, shown: int) -> Array:
    return grid[:shown, : STEPS if one.steps else shown, :shown]


def _lists(grid: Array, digits: int) -> list[Any]:
    return [_lists(part, digits) if part.ndim else _rounded(part, digits) for part in grid]


def _rounded(number: Any, digits: int) -> Any:
    return finite(float(f"{float(number):.{digits}g}"))
