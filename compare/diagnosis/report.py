"""What a check found: in words, as a table of names × time steps, as JSON, and as a picture."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.diagnosis.diagnose import Checked
from compare.diagnosis.equations import equation
from compare.diagnosis.localise import Fault
from compare.files import replacing
from manual.arrays import Array


def show(checked: Checked, console: Console) -> None:
    """Print what is wrong, and where; or that nothing is."""
    if not checked.localisation.agrees:
        for words in _paragraphs(checked):
            console.print(words, soft_wrap=True)
        console.print(_table(checked))
    console.print(verdict(checked), highlight=False, soft_wrap=True)


def verdict(checked: Checked) -> str:
    """One line."""
    found = checked.localisation
    if found.agrees:
        compared = f"{len(found.forced)} intermediates and gradients compared at {found.tolerance:.0e}"
        worst = max(errors.max() for errors in found.chained.values())
        return f"[bold green]AGREE[/]: {checked.subject}: {compared}, worst {worst:.1e}"
    wrong = titles(checked)
    differing = sum((errors > found.tolerance).any() for errors in found.chained.values())
    chained = f"as the code runs, {differing} of {len(found.chained)} things differ"
    if not wrong:
        return f"[bold red]DISAGREE[/]: {checked.subject}: {chained}, but no equation by itself"
    return f"[bold red]DISAGREE[/]: {checked.subject}: wrong: {', '.join(wrong)} ({chained})"


def titles(checked: Checked) -> list[str]:
    """Number and name of each wrong equation."""
    return list(dict.fromkeys(_title(checked, fault) for fault in checked.localisation.faults))


def as_json(checked: Checked) -> dict[str, Any]:
    """Everything a script could ask for."""
    found = checked.localisation
    return {
        "verdict": "agree" if found.agrees else "disagree",
        "subject": checked.subject,
        "tolerance": found.tolerance,
        "faults": [
            {
                "name": fault.name,
                "equation": equation(checked.cell, fault.name).number,
                "formula": equation(checked.cell, fault.name).formula,
                "gate": fault.gate,
                "steps": fault.steps,
                "rows": fault.rows,
                "error": _finite(fault.worst.error),
                "at": fault.worst.index,
                "actual": fault.worst.actual,
                "expected": fault.worst.reference,
                "hint": hint,
            }
            for fault, hint in zip(found.faults, checked.hints, strict=True)
        ],
        "chained": {name: _finite(errors.max()) for name, errors in found.chained.items()},
        "forced": {name: _finite(errors.max()) for name, errors in found.forced.items()},
    }


def draw(checked: Checked, path: Path) -> None:
    """Write a heat map, names × time steps, of the errors as the code runs and with the reference fed back."""
    found = checked.localisation
    timed = [name for name, errors in found.chained.items() if len(errors) > 1]
    rest = [name for name, errors in found.chained.items() if len(errors) == 1]
    height = 1.5 + 0.22 * (len(timed) + len(rest))
    figure = Figure(figsize=(10, height), layout="constrained")
    grid = figure.subplots(
        2, 2, squeeze=False, sharey="row", gridspec_kw={"height_ratios": [max(len(timed), 1), max(len(rest), 1)]}
    )
    norm = LogNorm(1e-16, 1.0, clip=True)
    runs = (("as the code runs", found.chained), ("with the reference fed back", found.forced))
    for column, (title, errors) in enumerate(runs):
        for row, names in enumerate((timed, rest)):
            axes = grid[row, column]
            values = np.array([np.nan_to_num(errors[name], posinf=1.0) for name in names] or [[0.0]])
            image = axes.imshow(np.maximum(values, 1e-16), norm=norm, cmap="inferno", aspect="auto")
            axes.set_yticks(range(len(names)), names, fontsize=8)
            if row == 0:
                axes.set_title(title)
                axes.set_xlabel("time step")
            else:
                axes.set_xticks([])
    figure.colorbar(image, ax=grid, label=f"relative error (tolerance {found.tolerance:.0e})")
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def _title(checked: Checked, fault: Fault) -> str:
    """Number and name, without the gate for a parameter's gradient: it is the same equation for all gates."""
    number = equation(checked.cell, fault.name).number
    name = fault.name if fault.steps else fault.name.removesuffix(f"_{fault.gate}")
    return f"({number}) {name}" if number else name


def _paragraphs(checked: Checked) -> list[Text]:
    """For each fault what it is, where it shows and what it looks like; gates that share all of it are one."""
    together: dict[tuple[Any, ...], list[Fault]] = {}
    for fault, hint in zip(checked.localisation.faults, checked.hints, strict=True):
        key = _title(checked, fault), fault.gate if fault.steps else "", hint
        together.setdefault(key, []).append(fault)
    paragraphs = []
    for (*_, hint), faults in together.items():
        fault = max(faults, key=lambda fault: fault.worst.error)
        gates = [f.gate for f in faults if f.gate]
        words = Text(_title(checked, fault), style="bold red")
        if gates:
            words.append(f"  gate{'s' if len(gates) > 1 else ''} {' '.join(gates)}", style="bold")
        if fault.steps:
            words.append(f"  steps {_spans(fault.steps)}, rows {_spans(fault.rows)}")
        words.append(f"\n    ought to be {formula}" if (formula := equation(checked.cell, fault.name).formula) else "")
        worst = fault.worst
        axes = ("step", "row", "unit") if fault.steps else ("",) * len(worst.index)
        where = ", ".join(f"{axis} {k}".strip() for axis, k in zip(axes, worst.index))
        words.append(f"\n    worst at {where}: {worst.actual:.6g} for {worst.reference:.6g}, off by {worst.error:.1e}")
        words.append(f"\n    looks like: {hint}" if hint else "")
        paragraphs.append(words)
    return paragraphs


def _spans(numbers: tuple[int, ...]) -> str:
    """0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _table(checked: Checked) -> Table:
    """What differs as the code runs, and whether it still does with the reference fed back, step by step."""
    found = checked.localisation
    table = Table(
        title="Relative error by time step: as the code runs | with the reference fed back",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("")
    T = max(len(errors) for errors in found.chained.values())
    for t in range(T):
        table.add_column(str(t), justify="right")
    table.add_column("|")
    for t in range(T):
        table.add_column(str(t), justify="right")
    for name, chained in found.chained.items():
        if (chained > found.tolerance).any():
            cells = [_padded(errors, T, found.tolerance) for errors in (chained, found.forced[name])]
            table.add_row(name, *cells[0], "|", *cells[1])
    return table


def _padded(errors: Array, T: int, tolerance: float) -> list[Text]:
    """The decimal exponent of each error, a dot where it is within the tolerance."""
    cells = [
        Text("·", style="green") if error <= tolerance else Text(_exponent(error), style="bold red") for error in errors
    ]
    return cells + [Text("")] * (T - len(cells))


def _exponent(error: float) -> str:
    return "inf" if np.isinf(error) else re.sub(r"e([+-])0?", r"e\1", f"{error:.0e}")


def _finite(error: float) -> float | str:
    """JSON has no infinity."""
    return float(error) if np.isfinite(error) else str(float(error))
