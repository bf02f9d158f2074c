"""``run.html``: what a run found: verdict, curves by step, tensors, sums, versions and arguments."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compare.page.axis import LogAxis, Tick, duration, step_ticks
from compare.page.render import render
from manual.arrays import Array

#: The number of steps whose values the page has. Of a longer run it has one of every few.
MOST_STEPS = 2000

#: The size of a plot in its own units; the page stretches it.
WIDTH, HEIGHT = 1000, 300

VERDICTS = {"agree": ("AGREE", "right"), "disagree": ("DISAGREE", "wrong"), "interrupted": ("INTERRUPTED", "doubt")}


@dataclass(frozen=True)
class Plot:
    """A plot of a few columns by step, on a logarithmic axis."""

    title: str  #: what is plotted
    ticks: list[Tick]  #: of the vertical axis
    paths: dict[str, str]  #: by column, the path of its line or dots; empty if no value can be drawn
    undrawn: int  #: how many values are 0 or not finite
    limit: float | None = None  #: the place of the tolerance, if it is drawn


def write(
    summary: Mapping[str, Any],
    arguments: Mapping[str, Any],
    columns: Mapping[str, Iterable[float]],
    derivation: bool | None,
    path: Path,
) -> None:
    """Write the page of a run, given what ``summary.json`` and ``steps.csv`` have.

    ``derivation`` says whether ``derivation.html`` is in the same folder; None if there is no such page of this
    network.
    """
    steps, *curves = (np.array(list(column), dtype=float) for column in columns.values())
    names = list(columns)[1:]
    losses, groups = names[:2], names[2:-1]
    shown = _shown(np.stack(curves[2:-1], axis=1))
    values = {name: curve[shown] for name, curve in zip(names, curves)}
    last = int(steps[-1]) if len(steps) else 0
    x = steps[shown] / (last + 1)
    counted = summary.get("curves", {}).get("sums right", [])
    if counted:
        values["sums_right"] = _held(steps[shown], counted)
    shares = {"Share of sums with every bit correct, counted now and then": ["sums_right"]} if counted else {}
    errors = "Worst relative error of each group"
    titles = {**shares, "Loss": losses, errors: groups, "Drift of an independent autograd run": ["drift"]}
    plots = [
        _plot(title, x, {name: values[name] for name in its}, summary["tolerance"] if title == errors else None)
        for title, its in titles.items()
    ]
    word, judgement = VERDICTS[summary["verdict"]]
    explanation, *reasons = summary["sentence"].removeprefix(word).split("; ", -1 if word == "DISAGREE" else 0)
    page = {
        "summary": summary,
        "word": word,
        "judgement": judgement,
        "explanation": explanation,
        "reasons": reasons,
        "arguments": _flat(arguments),
        "derivation": derivation,
        "times": {name: duration(seconds) for name, seconds in summary["seconds_per_step"].items()},
        "plots": plots,
        "step_ticks": step_ticks(last),
        "size": (WIDTH, HEIGHT),
        "last": last,
        "shown": len(x),
        "latest": {name: _digits(column[-1]) for name, column in values.items() if len(column)},
        "tensors": sorted(summary["tensors"], key=lambda one: -np.nan_to_num(float(one["of_tolerance"]), nan=np.inf)),
        "examples": [_example(**one) for one in summary["examples"]],
    }
    data = {
        "steps": steps[shown].astype(int).tolist(),
        "series": {name: [_rounded(value) for value in column.tolist()] for name, column in values.items()},
    }
    render("run.html", page, data, path)


def _held(steps: Array, counted: Iterable[tuple[int, float]]) -> Array:
    """Return at each step the last value counted before it, NaN before the first; ``counted`` is (step, value)."""
    at, values = np.array(list(counted)).T
    before = np.searchsorted(at, steps, side="right") - 1
    return np.where(before >= 0, values[before], np.nan)


def _shown(errors: Array) -> Array:
    """Return the indices of the steps that the page has: of each few, the one with the largest error, and the last."""
    count = len(errors)
    if count <= MOST_STEPS:
        return np.arange(count)
    worst = np.nan_to_num(errors.max(axis=1), nan=np.inf)
    parts = np.array_split(worst, MOST_STEPS - 1)
    starts = np.cumsum([0, *map(len, parts)])
    return np.unique([*(start + part.argmax() for start, part in zip(starts, parts)), count - 1])


def _plot(title: str, x: Array, series: Mapping[str, Array], limit: float | None = None) -> Plot:
    """Lay out a plot: lines, or if there is a limit, dots below or above it."""
    limits = [] if limit is None else [limit]
    axis = LogAxis([*np.concatenate(list(series.values())), *limits])
    paths, undrawn = {}, 0
    for name, values in series.items():
        y = axis.places(values)
        undrawn += int(np.isnan(y).sum())
        paths[name] = _path(WIDTH * x, HEIGHT * (1 - y), dots=limit is not None)
    return Plot(title, axis.ticks, paths, undrawn, float(axis.places(limits)[0]) if limits else None)


def _path(x: Array, y: Array, dots: bool) -> str:
    """Return an SVG path through the points, with a gap where y is NaN; or with a dot at each point."""
    words = []
    pen = "M"
    for across, down in zip(x.tolist(), y.tolist()):
        if np.isnan(down):
            pen = "M"
            continue
        words.append(f"{pen}{across:.2f} {down:.1f}")
        if dots or pen == "M":
            words.append("h0")  # a single point would not be drawn
        pen = "M" if dots else "L"
    return "".join(words)


def _rounded(value: float) -> float | str:
    """Return the value in six significant digits; as a string, as in ``summary.json``, if JSON cannot hold it."""
    rounded: float | str = json.loads(json.dumps(float(f"{value:.6g}")), parse_constant=str)
    return rounded


def _digits(value: float) -> str:
    """Write a value as the page's script does."""
    rounded = _rounded(value)
    return rounded if isinstance(rounded, str) else f"{rounded:g}"


def _flat(arguments: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write the arguments out, those of a nested one under both names."""
    found: dict[str, str] = {}
    for name, value in arguments.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        word = ("no", "yes")[value] if isinstance(value, bool) else str(value)
        found |= _flat(value, f"{label}, ") if isinstance(value, Mapping) else {label: word}
    return found


def _example(a: str, b: str, predicted: str, true: str) -> dict[str, Any]:
    """Lay a sum out as on paper: of each number the bits, whether each is right, and the number itself."""
    rows = {"a": a, "+ b": b, "predicted": predicted, "true": true}
    return {
        "right": predicted == true,
        "rows": [
            {
                "name": name,
                "bits": [(bit, name != "predicted" or bit == wanted) for bit, wanted in zip(bits, true)],
                "number": int(bits, 2),
            }
            for name, bits in rows.items()
        ],
    }
