"""``audit``: the published backward passes against the true one."""

import argparse
from contextlib import nullcontext

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from compare.commands import AGREE
from compare.commands.output import add_out, console, make_ready
from compare.files import filling
from compare.published.audit import figures, tables
from compare.published.audit.audit import audit

#: The files that an audit writes.
FILES = ("audit.json", "answer.png", "audit.png", "kept.png", "compared.png", "carry.png")

#: With --quick: the number of seeds, and the share of the problems.
QUICK_SEEDS, QUICK_SHARE = 2, 0.05


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an audit."""
    parser.description = (
        "Run the backward passes of five public write-ups as they were published: how far they are from autograd's "
        "gradient, which equations are wrong, and how training by them compares with training by the true gradient, "
        "from the same seeds on the same problems. One process for each core; about half an hour on two idle "
        "ones. A report: the exit status is 0."
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds of each training (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them; from 100 on, it is another set")
    parser.add_argument(
        "--quick", action="store_true", help=f"a twentieth of the problems, by default from {QUICK_SEEDS} seeds"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    add_out(parser, "folder for audit.json and the figures")


def run(options: argparse.Namespace) -> int:
    """Audit, print, draw."""
    seeds = options.seeds if options.seeds is not None else QUICK_SEEDS if options.quick else 100
    for name, value, least in (("seeds", seeds, 1), ("seed", options.seed, 0)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    make_ready(options.out)
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    columns = TextColumn("training"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    is_shown = errors.is_terminal and not options.json
    progress = Progress(*columns, console=errors, disable=not is_shown, transient=True)
    with progress if is_shown else nullcontext():  # Rich ends even a disabled one's line
        task = progress.add_task("training")
        results = audit(
            options.seed,
            seeds,
            QUICK_SHARE if options.quick else 1.0,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    text = tables.as_text(results)
    if options.json:
        print(text, end="")
    else:
        tables.show(results, console())
    with filling(options.out, *FILES) as path:
        (path / "audit.json").write_text(text, encoding="utf-8")
        figures.draw_answer(results, path / "answer.png")
        figures.draw_trials(results, path / "audit.png")
        figures.draw_kept(results, path / "kept.png")
        figures.draw_compared(results, path / "compared.png")
        figures.draw_carry(results, path / "carry.png")
    if not options.json:
        print(f"Written to {options.out}")
    return AGREE
