"""The findings of a run in the terminal: tables, example sums, times, and the verdict on one line."""

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compare.lockstep.lockstep import GROUPS, Lockstep
from compare.lockstep.rounding import most_explained
from compare.lockstep.training import Run


def show(run: Run, console: Console, verbose: bool = False) -> None:
    """Print the findings of a run: the worst error of each group and one example, or with ``verbose`` all there are."""
    console.print(_errors(run, verbose), "")
    if run.correct_sums:
        console.print(_correct_sums(run))
        if run.agrees and any(sums.manual != sums.autograd for sums in run.correct_sums):
            console.print(
                "These are two independent runs, which rounding alone drives apart: by "
                f"{run.lockstep.steps[-1].drift:.1e} of the largest parameter.\n"
                "The comparison starts each step from equal parameters.",
                highlight=False,
            )
        console.print()
    if run.examples:
        examples = run.written_examples if verbose else run.written_examples[:1]
        console.print(_examples(examples), highlight=False, soft_wrap=True)
    console.print(_times(run), highlight=False)
    if run.shows_faults:
        run.checked.show(console)
    console.print(verdict(run), highlight=False, soft_wrap=True)


def verdict(run: Run) -> str:
    """Say on one line whether the sides agree, and if not, what is wrong."""
    lockstep = run.lockstep
    compared = f"{len(lockstep.steps):,} step{'s' * (len(lockstep.steps) != 1)} in {run.settings.dtype}"
    if run.interrupted:
        so_far = "the sides agreed so far" if lockstep.agrees else "the sides disagreed"
        return f"[bold yellow]INTERRUPTED[/] after {compared}; {so_far}"
    if run.agrees:
        share = max(finding.difference.used for finding in lockstep.worst.values())
        individually = f"{len(run.checked.fed_back)} intermediates and gradients individually"
        fast = (
            f", the fast kernels against the equations within {run.checked.fast_error:.1e}" if run.checked.fast else ""
        )
        errors = lockstep.explained
        explained = f"; {errors:,} errors above it are no larger than rounding makes them" if errors else ""
        used = f"at most {share:.2%} of the tolerance used{explained}{_unjudged(lockstep)}"
        return f"[bold green]AGREE[/]: {compared}, {individually}{fast}; {used}"
    wrong = dict.fromkeys(
        f"{f.group} {f.difference.name}".strip() for f in lockstep.worst.values() if not f.difference.agrees
    )
    differing = ", ".join(run.checked.fast_faults)
    fast_faults = [f"fast kernels against the equations: {differing}"] if differing else []
    return f"[bold red]DISAGREE[/]: {compared}; " + "; ".join(
        map(escape, [*run.checked.titles, *wrong, *fast_faults, *lockstep.failures])
    )


def _unjudged(lockstep: Lockstep) -> str:
    """Name a few of the things that cannot be judged."""
    if not lockstep.unjudged:
        return ""
    more = len(lockstep.unjudged) - 3
    words = ", ".join(lockstep.unjudged[:3]) + (f" and {more:,} more" if more > 0 else "")
    return f"; not judged: {words}, where rounding alone explains more than {most_explained(lockstep.tolerance):.0e}"


def _table(title: str, *columns: str) -> Table:
    """Make a table whose columns are right-aligned, except those whose heading ends in a blank."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.strip(), justify="left" if column.endswith(" ") else "right")
    return table


def _errors(run: Run, verbose: bool) -> Table:
    """Tabulate the worst error of each group over the run, or of each tensor, and where it occurred."""
    lockstep = run.lockstep
    findings = lockstep.worst_by_tensor()
    scope = "each tensor" if verbose else "each group"
    table = _table(
        f"Worst relative error of {scope} over {len(lockstep.steps):,} steps (tolerance {lockstep.tolerance:.0e})",
        *("group ", "tensor ", "error", "of tolerance", "against ", "step", "position "),
    )
    for group in GROUPS:
        own = [finding for finding in findings if finding.group == group]
        for finding in own if verbose else sorted(own, key=lambda finding: -finding.difference.error)[:1]:
            found = finding.difference
            row = [f"{found.error:.1e}", f"{found.used:.2%}", finding.opponent, f"{finding.step:,}", run.where(finding)]
            table.add_row(group, found.name, *row, style="" if found.agrees else "red")
    if not verbose:
        table.caption = f"--verbose lists all {len(findings)} tensors"
        table.caption_justify = "left"
    return table


def _correct_sums(run: Run) -> Table:
    table = _table("Sums with every bit correct", "bits", "sums", "manual", "autograd")
    for sums in run.correct_sums:
        table.add_row(f"{sums.bits:,}", f"{sums.count:,}", f"{sums.manual:.2%}", f"{sums.autograd:.2%}")
    return table


def _examples(examples: list[dict[str, str]]) -> str:
    """Write out sums, most significant bit first, as on paper."""
    lines = ["[bold]An example[/]" if len(examples) == 1 else "[bold]Examples[/]"]
    for example in examples:
        for name, bits in example.items():
            label = {"a": "  a", "b": "+ b"}.get(name, name)
            lines.append(f"  {label:<10} {' '.join(bits)} {int(bits, 2):>6}")
        lines.append("")
    return "\n".join(lines)


def _times(run: Run) -> str:
    median = {what: float(np.median(spent)) * 1e3 for what, spent in run.lockstep.seconds.items()}
    others = ", ".join(
        f"{'its equations under autograd' if name == 'autograd' else name} {median[name]:.2f} ms "
        f"({median[name] / median['manual']:.2f} times as long)"
        for name in run.lockstep.opponents
    )
    return (
        f"Median time per training step: manual {median['manual']:.2f} ms, {others}, "
        f"comparison {median['comparing']:.2f} ms\n"
        f"Drift of an independent autograd run: {run.lockstep.steps[-1].drift:.1e} of the largest parameter"
    )
