"""What a run found, in the terminal: tables, a few sums, and one line of verdict."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from compare.agreement import place
from compare.binary_addition import Problems
from compare.diagnosis import report as fault_report
from compare.lockstep.training import Run
from manual.arrays import Array


def show(run: Run, console: Console) -> None:
    """Print everything that a run found."""
    console.print(_agreement_table(run), "")
    if run.accuracies:
        console.print(_accuracy_table(run), "")
    if run.examples:
        console.print(_sums(*run.examples), highlight=False, soft_wrap=True)
    console.print(_times(run), highlight=False)
    if run.shows_faults:
        fault_report.show(run.checked, console)
    console.print(verdict(run), highlight=False, soft_wrap=True)


def verdict(run: Run) -> str:
    """One line: whether the sides agree, and if not, what is wrong."""
    lockstep, equations = run.lockstep, run.checked.localisation
    compared = f"{len(lockstep.steps):,} steps in {run.settings.dtype}"
    if run.agrees:
        share = max(finding.difference.used for finding in lockstep.worst.values())
        each = f"{len(equations.forced)} intermediates and gradients each by itself"
        fast = f"fast kernels against text within {run.checked.fast_error:.1e}"
        return f"[bold green]AGREE[/]: {compared}, and {each}, {fast}; at most {share:.2%} of the tolerance used"
    wrong = dict.fromkeys(
        f"{f.group} {f.difference.name}".strip() for f in lockstep.worst.values() if not f.difference.agrees
    )
    kernels = [f"fast against text: {', '.join(run.checked.fast_faults)}"] if run.checked.fast_faults else []
    return f"[bold red]DISAGREE[/]: {compared}; " + "; ".join(
        [*fault_report.titles(run.checked), *wrong, *kernels, *lockstep.deaths]
    )


def _table(title: str, *columns: str) -> Table:
    """A table whose columns after the first two are right-aligned numbers unless their name ends in a blank."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.strip(), justify="left" if column.endswith(" ") else "right")
    return table


def _agreement_table(run: Run) -> Table:
    """For each tensor the worst error against any opponent over the run, and where it was."""
    table = _table(
        f"Worst relative error over {len(run.lockstep.steps):,} steps (tolerance {run.lockstep.tolerance:.0e})",
        *("compared ", "tensor ", "error", "of tolerance", "against ", "step", "where "),
    )
    worst: dict[tuple[str, str], Any] = {}
    for finding in run.lockstep.worst.values():
        key = finding.group, finding.difference.name
        if key not in worst or finding.difference.error > worst[key].difference.error:
            worst[key] = finding
    for (group, name), finding in worst.items():
        found = finding.difference
        where = found.problem or place(name, found.index, finding.shape, run.gates)
        colour = "" if found.agrees else "red"
        row = [f"{found.error:.1e}", f"{found.used:.2%}", finding.opponent, f"{finding.step:,}", where]
        table.add_row(group, name, *row, style=colour)
    return table


def _accuracy_table(run: Run) -> Table:
    table = _table("Sums right to the last bit", "bits", "sums", "manual", "autograd")
    for accuracy in run.accuracies:
        shares = [f"{accuracy.manual:.2%}", f"{accuracy.autograd:.2%}"]
        table.add_row(f"{accuracy.bits:,}", f"{accuracy.problems:,}", *shares)
    return table


def _sums(problems: Problems, logits: Array) -> str:
    """The sums worked out digit by digit, most significant bit first as one writes them."""
    lines = ["[bold]A few sums, as the manual side works them out[/]"]
    predicted = (logits[:, :, 0] > 0).astype(int)
    for row in range(problems.a.shape[1]):
        columns = (problems.a, problems.b, predicted, problems.total)
        for label, column in zip(("    a", "  + b", "  predicted", "  true"), columns):
            bits = column[::-1, row]
            number = int("".join(map(str, bits)), 2)
            lines.append(f"{label:<12} {' '.join(map(str, bits))} {number:>6}")
        lines.append("")
    return "\n".join(lines)


def _times(run: Run) -> str:
    seconds = run.lockstep.seconds
    median = {what: float(np.median(spent)) * 1e3 for what, spent in seconds.items()}
    return (
        f"One training step, median: manual {median['manual']:.2f} ms, autograd {median['autograd']:.2f} ms "
        f"({median['autograd'] / median['manual']:.2f} times as long); comparing {median['comparing']:.2f} ms\n"
        f"Drift of two runs never brought together again: {run.lockstep.steps[-1].drift:.1e} of the parameters' scale"
    )
