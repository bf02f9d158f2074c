"""``bench.html``: how the contenders' times compare with that of the hand-derived layer, case by case."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compare.page.axis import LogAxis, duration
from compare.page.render import render

#: The width of a row's drawing in its own units; the page stretches it.
WIDTH = 1000


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write the page of a benchmark, given what ``bench.json`` has."""
    cases, machine = results["cases"], results["machine"]
    choices = [_choice(case) for case in cases]
    ratios = [number for case in cases for one in _contenders(case) for number in one["ratio"] or ()]
    axis = LogAxis([1, *ratios])
    groups: dict[str, list[dict[str, Any]]] = {}
    for case, choice in zip(cases, choices):
        rows = [_row(one, axis) for one in _contenders(case)]
        title = case["title"] + (f", {case['sweep']} varies" if case["sweep"] else "")
        groups.setdefault(title, []).append({"choice": choice, "rows": rows})
    page = {
        "first": next(iter(cases[0]["timings"].values()))["label"],
        "machine": "{processor}, {cores} cores, load {load:.2f} at the start".format(**machine),
        "versions": {name: value for name, value in machine.items() if name not in ("processor", "cores", "load")},
        "count": len(cases),
        "disagreeing": sum(any((one["used"] or 0) > 1 for one in case["timings"].values()) for case in cases),
        "swept": any(case["sweep"] for case in cases),
        "ticks": [(tick.label, WIDTH * tick.place) for tick in axis.ticks],
        "one": WIDTH * float(axis.places([1])[0]),
        "width": WIDTH,
        "choices": {name: list(dict.fromkeys(choice[name] for choice in choices)) for name in choices[0]},
        "groups": groups,
    }
    render("bench.html", page, {}, path)


def _choice(case: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells a case from the others: the choices that a reader has, by name."""
    its = case["case"]
    return {
        "timed": case["what"] + (f", {case['sweep']} varies" if case["sweep"] else ""),
        "cell": its["cell"],
        "size": ", ".join(f"{letter} {its[letter]}" for letter in "TBDH"),
        "dtype": its["dtype"],
        "threads": str(its["threads"]),
    }


def _contenders(case: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the measurements of all contenders in a case, and those of the lower bound."""
    limit = case["products"][case["limit"]] if case["limit"] else None
    return [*case["timings"].values(), *([limit | {"label": "lower bound"}] if limit else [])]


def _row(one: Mapping[str, Any], axis: LogAxis) -> dict[str, Any]:
    """Return the row of a contender: its ratio to the first one, where that lies on the axis, and its own figures."""
    return {
        "label": one["label"],
        "problem": one["problem"],
        "ratio": one["ratio"],
        "places": (WIDTH * axis.places(one["ratio"])).tolist() if one["ratio"] else None,
        "time": duration(one["quartiles"][1]) if one["quartiles"] else "",
        "memory": "" if one["peak"] is None else f"{one['peak'] / 2**20:,.1f} MiB",
        "first": duration(one["first"]),
    }
