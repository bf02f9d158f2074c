"""The table of a report: the errors of everything that differs, by step."""

import re

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.checker.compare import Compared
from compare.checker.report.findings import Findings

#: The largest number of steps in a table.
SHOWN_STEPS = 10

RED = "bold red"


def show(report: Findings, console: Console) -> None:
    """Print the errors of everything that differs, by step, as the code runs and with the reference fed back.

    The two halves stand below each other where they do not fit side by side, with as many steps as fit: nothing is cut.
    """
    fed_back = {one.label: one for one in report.fed_back}
    differing = [one for one in report.as_run if not one.agrees or not fed_back.get(one.label, one).agrees]
    steps = sorted({t for one in differing for t in one.steps})
    right = [fed_back.get(one.label, one) for one in differing]
    shown = _selected_steps(differing, steps, SHOWN_STEPS)
    tables = {"as the code runs | with the reference fed back": [differing, right]}
    if _width(_table([differing, right], shown), console) > console.width:
        tables = {"as the code runs": [differing], "with the reference fed back": [right]}
        while len(shown) > 1 and _width(_table([differing], shown), console) > console.width:
            shown = _selected_steps(differing, steps, len(shown) - 1)
    part = f" ({len(shown)} of {len(steps)} steps)" if len(shown) < len(steps) else ""
    for title, halves in tables.items():
        table = _table(halves, shown)
        console.print(f"Relative error by step{part}: {title}", highlight=False, soft_wrap=True)
        console.print(table, width=max(console.width, _width(table, console)), crop=False)


def _table(halves: list[list[Compared]], steps: list[int]) -> Table:
    """Return a table with a row for each quantity, and the errors of each half in it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for k, _ in enumerate(halves):
        if k:
            table.add_column("|")
        for heading in map(str, steps) if steps else [""]:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in zip(*halves):
        cells = [cell for one in row for cell in [Text("|"), *_cells(one, steps)]]
        table.add_row(row[0].label, *cells[1:])
    return table


def _width(table: Table, console: Console) -> int:
    """Return the number of columns that a table needs."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum


def _selected_steps(compared: list[Compared], steps: list[int], most: int) -> list[int]:
    """Return the steps of the table: all if there is room, otherwise those at which something differs first."""
    wrong = sorted({t for one in compared for t in one.wrong_steps()})
    return sorted([*wrong, *(t for t in steps if t not in wrong)][:most])


def _cells(one: Compared, steps: list[int]) -> list[Text]:
    """Return the magnitude of each error, or a dot if it is within the limit."""
    cells = [
        Text("·", style="green") if error <= limit else Text(_magnitude(error), style=RED)
        for error, limit in zip(one.errors, one.limits)
    ]
    if one.steps:
        by_step = dict(zip(one.steps, cells))
        return [by_step.get(t, Text("")) for t in steps]
    return (cells or [Text("?", style=RED)]) + [Text("")] * (max(len(steps), 1) - max(len(cells), 1))


def _magnitude(error: float) -> str:
    return "inf" if np.isinf(error) else re.sub(r"e([+-])0?", r"e\1", f"{error:.0e}")
