"""``audit``: the published backward passes against the true one."""

import argparse
from contextlib import nullcontext

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from compare.commands import AGREE
from compare.commands.output import add_out, console, make_ready
from compare.files import filling
from compare.published import audit_figures, audit_tables
from compare.published.audit import audit

#: With --quick: the starts, and the share of the problems.
QUICK_STARTS, QUICK_SHARE = 2, 0.05


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an audit."""
    parser.description = (
        "Run the backward passes of five public write-ups as they were published: how far they are from autograd's "
        "gradient, which equations are wrong, and how training by them compares with training by the true gradient, "
        "from the same starts on the same problems. One process for each core. A report: the exit status is 0."
    )
    parser.add_argument("--starts", type=int, metavar="N", help="starts of each training (default: 25)")
    parser.add_argument(
        "--quick", action="store_true", help=f"a twentieth of the problems, by default from {QUICK_STARTS} starts"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_out(parser, "folder for audit.json, answer.png, audit.png and carry.png")


def run(options: argparse.Namespace) -> int:
    """Audit, print, draw.

    Raises:
        ValueError: fewer starts than one.
    """
    starts = options.starts if options.starts is not None else QUICK_STARTS if options.quick else 25
    if starts < 1:
        raise ValueError(f"starts: expected at least 1, got {starts}")
    make_ready(options.out)
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    columns = TextColumn("training"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    is_shown = errors.is_terminal and not options.json
    progress = Progress(*columns, console=errors, disable=not is_shown, transient=True)
    with progress if is_shown else nullcontext():  # Rich ends even a disabled one's line
        task = progress.add_task("training")
        results = audit(
            starts,
            QUICK_SHARE if options.quick else 1.0,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    text = audit_tables.as_text(results)
    if options.json:
        print(text, end="")
    else:
        audit_tables.show(results, console())
    with filling(options.out, "audit.json", "answer.png", "audit.png", "carry.png") as path:
        (path / "audit.json").write_text(text, encoding="utf-8")
        audit_figures.draw_answer(results, path / "answer.png")
        audit_figures.draw_trials(results, path / "audit.png")
        audit_figures.draw_carry(results, path / "carry.png")
    if not options.json:
        print(f"Written to {options.out}")
    return AGREE
