"""``check.html``: a derivation of one's own, each quantity right, wrong, or wrong only as a consequence."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from markupsafe import Markup

from compare.cells import CELLS
from compare.checker.report.printable import printable
from compare.page import diagram
from compare.page.equations import PARTS, SHARED, for_script, row_id, rows_of
from compare.page.render import render
from compare.page.sources import Line, formulas

#: The judgements, from good to bad, in words.
JUDGEMENTS = {
    "right": "right",
    "consequence": "wrong only as a consequence",
    "misplaced": "shows another quantity",
    "wrong": "wrong",
}

#: The height of a drawing below which it stands above the rows rather than beside them.
LOW = 250

#: The two runs, in words.
MODES = {"as_run": "as the code runs", "fed_back": "with the reference fed back"}


def write(name: str, found: Mapping[str, Any], quantities: Mapping[str, Any], path: Path) -> None:
    """Write the page of a check. It opens on the run that its text is of: where there are faults, the one fed back.

    The findings are as ``Report.as_json`` returns them, the quantities as ``report.quantities.displayed`` does.
    """
    name, found, quantities = printable(name), printable(found), printable(quantities)
    runs = {mode: quantities[mode] for mode in MODES}
    as_run, fed_back = runs.values()
    faults = [_fault(fault, as_run) for fault in _merged(found["faults"] + found["misplaced"])]
    mode = "fed_back" if faults else "as_run"
    rows = {key: rows_of(run, formulas()) for key, run in runs.items()}[mode]
    judged = {key: _judged(run, found) for key, run in runs.items()}
    judgement = {
        row.id: max((judged[mode][one["label"]] for one in row.quantities), key=list(JUDGEMENTS).index) for row in rows
    }
    for one in rows:
        lines = (Line(Path(of["file"]).name, of["line"], of["code"]) for of in one.quantities if of["code"])
        one.lines = list(dict.fromkeys(lines))
    cell = CELLS.get(quantities["cell"])
    drawn = diagram.of_cell(cell, as_run) if cell and cell.places else diagram.in_order(as_run)
    steps = sorted({step for one in as_run for step in one["steps"]})
    rows_shown = max((len(one["actual"]) for one in as_run), default=1)
    step, row = _place(faults, steps, rows_shown)
    of_run, of_fed_back = ({one["label"]: for_script(one) for one in run} for run in (as_run, fed_back))
    render(
        "check.html",
        {
            "name": name,
            "found": found,
            "verdict": quantities["verdict"],
            "text": quantities["text"],
            "modes": MODES,
            "mode": mode,
            "rows": sorted(rows, key=lambda one: judgement[one.id] != "wrong"),
            "differing": {one["label"]: {*PARTS} & {*one, *other} for one, other in zip(as_run, fed_back)},
            "faults": faults,
            "judgements": JUDGEMENTS,
            "judgement": judgement,
            "diagram": drawn,
            "by_label": {one["label"]: one for one in runs[mode]},
            "steps": steps,
            "step": step,
            "row_count": rows_shown,
            "row": row,
            "low": LOW,
            **SHARED,
        },
        {
            "quantities": of_run,
            "fed_back": {label: one for label, one in of_fed_back.items() if one != of_run.get(label)},
            "judged": judged,
            "judgements": JUDGEMENTS,
            "modes": MODES,
            "faults": list(dict.fromkeys(fault["id"] for fault in faults if fault["id"])),
        },
        path,
    )


def _judged(compared: list[dict[str, Any]], found: Mapping[str, Any]) -> dict[str, str]:
    """Return the judgement of each quantity of a run, by label."""
    judged = {one["label"]: "right" if one["agrees"] else "consequence" for one in compared}
    for kind, judgement in (("misplaced", "misplaced"), ("faults", "wrong")):
        judged |= {fault["label"]: judgement for fault in found[kind] if fault["label"] in judged}
    return judged


def _merged(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge the faults that differ only in their gate, and keep the worst of each."""
    merged: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for fault in faults:
        gate = fault["gate"]
        name = fault["name"].removesuffix(f"_{gate}") if gate and not fault["code"] else fault["name"]
        merged.setdefault((name, fault["hint"]), []).append(fault)
    return [
        max(group, key=lambda fault: float(fault["error"]))
        | {"name": name, "gates": [fault["gate"] for fault in group if fault["gate"]]}
        for (name, _), group in merged.items()
    ]


def _fault(fault: dict[str, Any], as_run: list[dict[str, Any]]) -> dict[str, Any]:
    """Add the row it stands in, where its line is, and the line beside the right one, if that is known."""
    code, repair = fault["code"], fault["repair"]
    return fault | {
        "id": next((row_id(one) for one in as_run if one["label"] == fault["label"]), ""),
        "place": f"{Path(fault['file']).name}:{fault['line']}",
        "sides": marked(code, repair) if repair else (code, fault["formula"]),
        "alternatives": [_fault(other, as_run) for other in fault["alternatives"]],
    }


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


def marked(old: str, new: str) -> tuple[Markup, Markup]:
    """Return both lines as HTML, where what only one of them has is in a ``mark`` element, word by word."""
    words_of = re.compile(r"\w+|\s+|\*\*|[^\w\s]")
    ours, theirs = words_of.findall(old), words_of.findall(new)
    before: list[Markup] = []
    after: list[Markup] = []
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for side, words in ((before, ours[a:b]), (after, theirs[c:d])):
            text = "".join(words)
            side.append(Markup("<mark>{}</mark>").format(text) if kind != "equal" and text else Markup.escape(text))
    return Markup("").join(before), Markup("").join(after)
