"""What an audit found: tables in the terminal, JSON, and a figure."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.diagnosis.equations import equation
from compare.files import replacing
from compare.published.audit import PROBLEMS, Audit, Audited, Distance, Trial

#: The numbers of problems that stand on an axis.
TICKS = (100, 1_000, 10_000, 100_000)

#: Those that a table has room for, beside the last.
SHOWN = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


def show(audit: Audit, console: Console) -> None:
    """Print everything."""
    summed = f"summed over {PROBLEMS} problems of the recipe"
    _print(console, f"The published gradient against autograd's, {summed}", _systems(audit))
    for audited in audit.systems:
        _findings(audited, console)
    console.print()
    sums, losses = ([t for t in audit.trials if t.counts_sums is kind] for kind in (True, False))
    _print(console, "Sums right to the last bit after so many problems, median of the starts", _costs(sums, ".1%"))
    _print(
        console, "Mean loss of the epoch that ends with so many problems, median of the starts", _costs(losses, ".3f")
    )
    _print(console, f"The no-bias LSTM after {audit.repair_problems:,} problems, median of the starts", _repairs(audit))
    looked = "which looked at weight_hh_f with 2 steps"
    _print(console, f"The LSTM layer's gradient check, {looked}: relative error of each gradient", _check(audit))


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything a script could ask for."""
    return {
        "systems": {
            audited.system.name: {
                "source": audited.system.source,
                "at_start": vars(audited.start),
                "after_training": vars(audited.trained) if audited.trained else None,
                "departures": [departure.words for departure in audited.system.departures],
                "dormant": [departure.words for departure in audited.system.dormant],
                "faults": [
                    {
                        "name": fault.name,
                        "equation": equation(audited.system.cell, fault.name).number,
                        "gate": fault.gate,
                        "steps": fault.steps,
                        "hint": fault.hint,
                    }
                    for fault in audited.checked.faults
                ],
                "found": audited.found,
                "expected": audited.expected,
            }
            for audited in audit.systems
        },
        "trials": {
            trial.title: {
                "recipe": trial.recipe.name,
                "value": "sums right to the last bit" if trial.counts_sums else "mean loss of an epoch",
                "problems": trial.true.marks,
                "published": trial.published.values.tolist(),
                "true": trial.true.values.tolist(),
            }
            for trial in audit.trials
        },
        "repairs": {"problems": audit.repair_problems, **{repair.words: repair.right for repair in audit.repairs}},
        "gradient_check": audit.check,
    }


def write(audit: Audit, text: str, folder: Path) -> None:
    """Leave ``audit.json``, which is the ``text``, and ``audit.png``."""
    with replacing(folder / "audit.json") as path:
        path.write_text(text + "\n", encoding="utf-8")
    draw(audit, folder / "audit.png")


def draw(audit: Audit, path: Path) -> None:
    """A panel for each trial: all runs, and their median, by the published gradient and by the true one."""
    columns = 4
    rows = -(-len(audit.trials) // columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(audit.trials) :]:
        panel.set_axis_off()
    for axes, trial in zip(panels, audit.trials):
        for label, curve, colour in (("true", trial.true, "tab:blue"), ("published", trial.published, "tab:red")):
            style: dict[str, Any] = {"color": colour, "linestyle": "-" if label == "true" else "--"}
            axes.plot(curve.marks, curve.values, linewidth=0.7, alpha=0.4, **style)
            axes.plot(curve.marks, np.median(curve.values, axis=1), linewidth=2.2, label=label, **style)
        axes.set(title=trial.title, xlabel="problems", ylabel="sums right" if trial.counts_sums else "mean loss")
        if trial.counts_sums:
            axes.set(xscale="log", ylim=(-0.03, 1.03))
            axes.minorticks_off()
            ticks = [mark for mark in TICKS if mark <= trial.true.marks[-1]]
            axes.set_xticks(ticks, [f"{mark:,}" for mark in ticks])
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=100)


def _print(console: Console, title: str, table: Table) -> None:
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)
    console.print()


def _table(*columns: str) -> Table:
    """Columns whose name ends in a blank are words, the others numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.strip(), justify="left" if column.endswith(" ") else "right")
    return table


def _systems(audit: Audit) -> Table:
    table = _table("system ", "error at start", "cosine", "after training", "cosine", "equations found wrong ")
    for audited in audit.systems:
        faults = audited.checked.faults
        numbers = list(dict.fromkeys(f"({equation(audited.system.cell, fault.name).number})" for fault in faults))
        found = ", ".join(numbers) or "none"
        missed = set(audited.expected) ^ set(audited.found)
        row = [*_words(audited.start), *_words(audited.trained)]
        table.add_row(audited.system.name, *row, f"{found}{f'; not as listed: {sorted(missed)}' if missed else ''}")
    return table


def _words(distance: Distance | None) -> tuple[str, str]:
    if distance is None:
        return "—", "—"
    return f"{distance.error:{'.2f' if distance.error > 0.01 else '.0e'}}", f"{distance.cosine:+.3f}"


def _findings(audited: Audited, console: Console) -> None:
    """What the localiser says of a system; gates that share an equation and a hint are one line."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for fault in audited.checked.faults:
        number = equation(audited.system.cell, fault.name).number
        bare = fault.name if fault.steps or not fault.gate else fault.name.removesuffix(f"_{fault.gate}")
        lines.setdefault((number, bare, fault.hint), []).append("" if fault.steps else fault.gate)
    console.print(Text(f"{audited.system.name}: {len(lines) or 'nothing'} found", style="bold"))
    for (number, bare, hint), gates in lines.items():
        console.print(
            f"    ({number}) {' '.join([bare, *filter(None, gates)])}: {hint}", highlight=False, soft_wrap=True
        )


def _costs(trials: list[Trial], form: str) -> Table:
    """The medians over the starts at some of the marks."""
    marks = {mark for t in trials for mark in (*t.true.marks[4::5], t.true.marks[0]) if not t.counts_sums}
    marks |= {mark for t in trials for mark in t.true.marks if t.counts_sums and mark in (*SHOWN, t.true.marks[-1])}
    table = _table("trained ", "gradient ", "starts", *(f"{mark:,}" for mark in sorted(marks)))
    for trial in trials:
        for label, curve in (("true", trial.true), ("published", trial.published)):
            values = dict(zip(curve.marks, np.median(curve.values, axis=1)))
            row = [f"{values[mark]:{form}}" if mark in values else "" for mark in sorted(marks)]
            table.add_row(trial.title, label, str(trial.seeds), *row)
    return table


def _repairs(audit: Audit) -> Table:
    table = _table("gradient ", "sums right")
    for repair in audit.repairs:
        table.add_row(repair.words, f"{repair.right:.1%}")
    return table


def _check(audit: Audit) -> Table:
    """What the check looked at, what it did not, and what a third step shows."""
    table = _table("gradient ", *(f"{T} steps" for T in audit.check))
    for name in next(iter(audit.check.values())):
        table.add_row(name, *(f"{errors[name]:.1e}" for errors in audit.check.values()))
    return table
