"""The report of a benchmark: tables, a figure, and files with all measurements."""

import csv
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from rich.console import Console
from rich.table import Table

from compare.benchmark.contenders import CONTENDERS
from compare.benchmark.machine import busy
from compare.benchmark.measure import Measured, as_json
from compare.files import filling
from compare.page import bench as page
from compare.page.axis import duration

COLUMNS = ("task", "cell", "T", "B", "D", "H", "dtype", "threads", "sweep", "load", "contender", "round", "seconds")


def show(machine: dict[str, Any], measured: list[Measured], console: Console) -> None:
    """Print the machine, and a table for each task, cell, number of threads and dtype."""
    versions = {name: value for name, value in machine.items() if name not in ("processor", "cores", "load")}
    console.print(f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.2f} at the start")
    console.print(", ".join(f"{name} {value}" for name, value in versions.items()), soft_wrap=True)
    if busy(machine):
        console.print(busy(machine), style="bold")
    plain = [one for one in measured if not one.sweep]
    for title in dict.fromkeys(one.case.title for one in plain):
        group = [one for one in plain if one.case.title == title]
        console.print(f"\n{title}", style="bold")
        console.print(_times(group, group[0].case.cell))
        console.print(_details(group, group[0].case.cell))
    for line in advice(plain):
        console.print(line, soft_wrap=True)
    disagreeing = [one for one in measured if not one.agrees]
    if disagreeing:
        console.print(f"DISAGREE: in {len(disagreeing)} of {len(measured)} cases; what disagrees is not timed")
    else:
        console.print(f"AGREE: all outputs and gradients, in all {len(measured)} cases")


def advice(measured: list[Measured]) -> list[str]:
    """Answer in two lines which contender to use, from the measured times; none if there is nothing to choose."""
    best: dict[str, list[str]] = {}
    ahead = []
    for one in measured:
        timed = sorted((t for t in one.timings.values() if t.seconds), key=lambda timing: timing.median)
        if len(timed) > 1:
            first, second = (_label(timing.contender, one.case.cell) for timing in timed[:2])
            place = f"{', '.join(map(str, one.case.size))} ({one.case.title})"
            best.setdefault(first, []).append(place)
            ahead.append((timed[1].over(timed[0])[1], f"{second} at {place}"))
    if not ahead:
        return []
    (winner, places), *others = sorted(best.items(), key=lambda pair: -len(pair[1]))
    elsewhere = "".join(f"; {name} in {len(places)}, as at {places[0]}" for name, places in others)
    (least, nearest), (most, farthest) = min(ahead), max(ahead)
    farther = f", and {most:.2f} times the time, {farthest}" if most > least else ""
    return [
        f"\nWhich should I use? {winner} is the fastest in {len(places)} of {len(ahead)} cases{elsewhere}.",
        f"By how much? The next takes {least:.2f} times the time, {nearest}{farther}.",
    ]


def _label(name: str, cell: str) -> str:
    return CONTENDERS[name].label.format(cell=cell)


def _times(group: list[Measured], cell: str) -> Table:
    """Tabulate, for each size, the time of the first contender and the ratio of every other one's time to it."""
    first, *others = group[0].timings
    caption = rf"time over that of {_label(first, cell)}: median of rounds \[quartiles]"
    table = Table(box=None, caption=caption, caption_justify="left")
    table.add_column("T, B, D, H", no_wrap=True)
    table.add_column(_label(first, cell), justify="right", no_wrap=True)
    for name in others:
        table.add_column(_label(name, cell), justify="right")
    for one in group:
        mine = one.timings[first]
        ratios = [timing.problem or _spread(timing.over(mine)) for timing in list(one.timings.values())[1:]]
        table.add_row(", ".join(map(str, one.case.size)), mine.problem or duration(mine.median), *ratios)
    return table


def _details(group: list[Measured], cell: str) -> Table:
    """Tabulate, for each size and contender, time, quartiles, lower bound, memory and error."""
    table = Table(box=None)
    for name in (
        "T, B, D, H",
        "contender",
        "time",
        "quartiles",
        "lower bound",
        "peak memory",
        "of tolerance",
        "first run",
    ):
        table.add_column(name, justify="left" if name in ("T, B, D, H", "contender") else "right", no_wrap=True)
    for one in group:
        for name, timing in one.timings.items():
            if not timing.seconds:
                continue
            low, _, high = timing.quartiles
            table.add_row(
                ", ".join(map(str, one.case.size)) if name == next(iter(one.timings)) else "",
                _label(name, cell),
                duration(timing.median),
                f"{duration(low)} to {duration(high)}",
                f"{one.share_of_products(name):.0%}" if one.products else "",
                "" if timing.peak is None else f"{timing.peak / 2**20:,.1f} MiB",
                "" if timing.used is None else f"{timing.used:.1%}",
                duration(timing.first),
            )
        for name, timing in one.products.items():
            low, _, high = timing.quartiles
            table.add_row(
                "", f"products, {name}", duration(timing.median), f"{duration(low)} to {duration(high)}", "", "", "", ""
            )
    return table


def _spread(over: tuple[float, float, float]) -> str:
    low, median, high = over
    return f"{median:.2f} [{low:.2f} {high:.2f}]"


def write(machine: dict[str, Any], measured: list[Measured], folder: Path) -> None:
    """Write ``bench.json``, ``bench.csv``, ``bench.html`` and ``bench.png``."""
    results = as_json(machine, measured)
    with filling(folder, "bench.json", "bench.csv", "bench.html", "bench.png") as path:
        (path / "bench.json").write_text(json.dumps(results, indent=1))
        page.write(results, path / "bench.html")
        with (path / "bench.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for one in measured:
                case = one.case
                head = (case.task, case.cell, *case.size, case.dtype, case.threads, one.sweep, f"{one.load:.2f}")
                products = [(f"products, {name}", timing) for name, timing in one.products.items()]
                for name, timing in [*one.timings.items(), *products]:
                    writer.writerows((*head, name, k, repr(seconds)) for k, seconds in enumerate(timing.seconds))
        swept = [one for one in measured if one.sweep]
        figure = draw_sweeps(swept) if swept else draw_ratios(measured)
        figure.savefig(path / "bench.png", format="png", dpi=130)


def draw_ratios(measured: list[Measured]) -> Figure:
    """Draw each contender's time over that of the first, a row for each case, on a logarithmic axis."""
    figure = Figure(figsize=(9, 1.6 + 0.3 * len(measured)), layout="constrained")
    ax = figure.subplots()
    for name in measured[0].timings:
        ratios = [one.timings[name].over(next(iter(one.timings.values())))[1] for one in measured]
        ax.plot(ratios, range(len(measured)), "o", ms=5, label=_label(name, measured[0].case.cell))
    rows = [f"{one.case.title}: {', '.join(map(str, one.case.size))}" for one in measured]
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel=f"time over that of {_label(next(iter(measured[0].timings)), '')}")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return figure


def draw_sweeps(swept: list[Measured]) -> Figure:
    """Draw each contender's time against H, B and T on logarithmic axes."""
    letters = list(dict.fromkeys(one.sweep for one in swept))
    figure = Figure(figsize=(4.5 * len(letters), 4.2), layout="constrained")
    axes: list[Axes] = figure.subplots(1, len(letters), squeeze=False)[0].tolist()
    for letter, ax in zip(letters, axes):
        cases = [one for one in swept if one.sweep == letter]
        x = [getattr(one.case, letter) for one in cases]
        for name in cases[0].timings:
            y = [one.timings[name].median * 1e3 for one in cases]
            ax.plot(x, y, "o-", ms=3, lw=2 if name == "manual" else 1, label=_label(name, cases[0].case.cell))
        ax.plot(x, [one.lower_bound.median * 1e3 for one in cases], "k--", lw=1, label="bare matrix products")
        ax.set(xscale="log", yscale="log", xlabel=letter, ylabel="ms, forward + backward" if ax is axes[0] else "")
        ax.set_xticks(x, [str(value) for value in x])
        ax.minorticks_off()
        fixed = ", ".join(f"{other} {getattr(cases[0].case, other)}" for other in "TBDH" if other != letter)
        ax.set_title(f"{fixed}; {cases[0].case.dtype}, one thread", fontsize=9)
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return figure
