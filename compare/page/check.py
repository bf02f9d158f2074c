"""``check.html``: a derivation of one's own, each quantity right, wrong, or wrong only as a consequence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compare.cells import CELLS
from compare.page import diagram
from compare.page.equations import PARTS, Row, at, cells, rows_of
from compare.page.render import render
from compare.page.sources import Line, formulas

#: The judgements, from good to bad, in words.
JUDGEMENTS = {
    "right": "right",
    "consequence": "wrong only as a consequence",
    "misplaced": "shows another quantity",
    "wrong": "wrong",
}

#: What the scripts need of a quantity.
FOR_SCRIPT = ("whole", "id", "backward", "actual", "right", "difference", "steps", "errors")


def write(name: str, found: Mapping[str, Any], quantities: Mapping[str, Any], path: Path) -> None:
    """Write the page of a check.

    Args:
        name: names the derivation.
        found: the findings, as ``Report.as_json`` returns them.
        quantities: everything compared, as ``report.quantities.displayed`` returns it.
        path: the file to write.
    """
    as_run, fed_back = quantities["as_run"], quantities["fed_back"]
    rows = rows_of(as_run, formulas())
    rows_of(fed_back, formulas())
    judged = {"as_run": _judged(as_run, found), "fed_back": _judged(fed_back, found)}
    faults = [fault | {"id": _id(fault, as_run)} for fault in _merged(found["faults"] + found["misplaced"])]
    judgement = {one.id: _worst_of(one, judged["as_run"]) for one in rows}
    for one in rows:
        one.lines = list(dict.fromkeys(_line(quantity) for quantity in one.quantities if quantity["code"]))
    cell = CELLS.get(quantities["cell"])
    drawn = diagram.of_cell(cell, as_run) if cell and cell.places else diagram.in_order(as_run)
    steps = sorted({step for one in as_run for step in one["steps"]})
    rows_shown = max((len(one["actual"]) for one in as_run), default=1)
    step, row = _place(faults, steps, rows_shown)
    quantities_of = {one["label"]: _for_script(one) for one in as_run}
    render(
        "check.html",
        {
            "name": name,
            "found": found,
            "verdict": quantities["verdict"],
            "text": quantities["text"],
            "rows": sorted(rows, key=lambda one: judgement[one.id] != "wrong"),
            "faults": faults,
            "judgements": JUDGEMENTS,
            "judgement": judgement,
            "diagram": drawn,
            "by_label": {one["label"]: one for one in as_run},
            "steps": steps,
            "step": step,
            "row_count": rows_shown,
            "row": row,
            "parts": PARTS,
            "cells": cells,
            "at": at,
        },
        {
            "quantities": quantities_of,
            "fed_back": {
                one["label"]: _for_script(one)
                for one in fed_back
                if _for_script(one) != quantities_of.get(one["label"])
            },
            "judged": judged,
            "judgements": JUDGEMENTS,
            "first": faults[0]["id"] if faults else "",
        },
        path,
    )


def _judged(compared: list[dict[str, Any]], found: Mapping[str, Any]) -> dict[str, str]:
    """Return the judgement of each quantity of a run, by label."""
    judged = {one["label"]: "right" if one["agrees"] else "consequence" for one in compared}
    for kind, judgement in (("misplaced", "misplaced"), ("faults", "wrong")):
        judged |= {fault["label"]: judgement for fault in found[kind] if fault["label"] in judged}
    return judged


def _worst_of(row: Row, judged: Mapping[str, str]) -> str:
    return max((judged[one["label"]] for one in row.quantities), key=list(JUDGEMENTS).index)


def _merged(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge the faults that differ only in their gate, and keep the worst of each."""
    merged: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for fault in faults:
        name = fault["name"] if fault["code"] else fault["name"].removesuffix(f"_{fault['gate']}")
        merged.setdefault((name, fault["hint"]), []).append(fault)
    return [
        max(group, key=lambda fault: float(fault["error"]))
        | {"name": name, "gates": [fault["gate"] for fault in group if fault["gate"]]}
        for (name, _), group in merged.items()
    ]


def _id(fault: Mapping[str, Any], as_run: list[dict[str, Any]]) -> str:
    return next((one["id"] for one in as_run if one["label"] == fault["label"]), "")


def _place(faults: list[dict[str, Any]], steps: list[int], rows: int) -> tuple[int, int]:
    """Return the step and the row at which the page opens: those of the worst element of the first fault, if shown."""
    step, row = (steps[-1] if steps else 0), 0
    for fault in faults[:1]:
        index = list(fault["at"])
        if fault["steps"] and index:
            step = index.pop(0)
        if fault["rows"]:
            row = index[0] if index and index[0] in fault["rows"] else fault["rows"][0]
    return min(step, steps[-1] if steps else 0), min(row, rows - 1)


def _line(one: Mapping[str, Any]) -> Line:
    return Line(Path(one["file"]).name, one["line"], one["code"])


def _for_script(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one[key] for key in FOR_SCRIPT if key in one}
