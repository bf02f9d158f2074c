"""Carry an experiment out from the command line: its folder, checkpoints, signals, progress and report."""

import argparse
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare.commands import AGREE, DISAGREE, INTERRUPTED, TERMINATED
from compare.commands.output import add_out, console, make_ready, to_whoever_reads
from compare.lockstep import report, run_folder
from compare.lockstep.adding import Adding
from compare.lockstep.checkpoint import NAME, Checkpoint
from compare.lockstep.distributed import processes
from compare.lockstep.lockstep import Step
from compare.lockstep.settings import Settings
from compare.lockstep.training import Experiment, Interruption, train
from compare.published.recipe_training import FromRecipe, changed

#: So many steps say how long a run will take.
TRIAL_STEPS = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every run: its folder, its checkpoints, and how much it prints."""
    folder = parser.add_mutually_exclusive_group()
    add_out(folder, "folder for the results")
    folder.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with an interrupted or killed run that has a checkpoint in its folder, to the same bits "
        "with the same libraries, BLAS kernel and threads",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        metavar="N",
        help="save the run in its folder every N steps, and when it is interrupted (default: never, or as before)",
    )
    parser.add_argument("--force", action="store_true", help="replace the results in the folder, if it has any")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--verbose", action="store_true", help="print a line for each tensor, and more examples")
    amount.add_argument("--quiet", action="store_true", help="print only the verdict")


def run(options: argparse.Namespace, given: Mapping[str, Any]) -> int:
    """Train, write the folder of results, and report; of several processes only the first writes and prints."""
    with processes() as rank:
        return _run(options, given, rank)


def experiment(recipe: str | None = None, **given: Any) -> Experiment:
    """Return binary addition by these settings, or a recipe as it is changed; a ValueError if one is out of range."""
    return Adding(Settings(**given)) if recipe is None else FromRecipe(changed(recipe, given))


def _run(options: argparse.Namespace, given: Mapping[str, Any], rank: int) -> int:
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    chosen, checkpoint = _start(options, given)
    make_ready(options.out)
    if not options.force and not options.resume:
        if (options.out / NAME).exists():
            raise ValueError(
                f"out: expected no checkpoint in {options.out}; --resume continues it, --force replaces it"
            )
        for name in run_folder.FILES:
            if (options.out / name).exists():
                raise ValueError(f"out: expected a folder without {name}, got {options.out}; --force replaces results")
    if chosen.prints and not (options.quiet or options.resume or rank > 0):
        with to_whoever_reads():
            print(_foretold(given, chosen.settings.steps), flush=True)
    errors = Console(stderr=True)
    is_shown = errors.is_terminal and not (options.quiet or rank > 0 or chosen.prints)
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}  worst error {task.fields[worst]:.1e}"),
        console=errors,
        disable=not is_shown,
        transient=True,
    )
    with progress if is_shown else nullcontext(), _interruptible() as signals:  # Rich ends even a disabled one's line
        task = progress.add_task("training", total=chosen.settings.steps, loss=float("nan"), worst=0.0)
        worst = 0.0

        def advance(step: Step) -> None:
            nonlocal worst
            worst = max(worst, *step.errors.values())
            progress.update(task, advance=1, loss=step.loss_manual, worst=worst)
            if signals:
                raise Interruption

        say = (lambda line: None) if options.quiet or rank > 0 else partial(print, flush=True)
        finished = train(chosen, advance, checkpoint, say)
    status = AGREE if finished.agrees else DISAGREE
    if finished.interrupted:
        status = TERMINATED if signals[0] == signal.SIGTERM else INTERRUPTED
    if rank > 0:
        return status
    screen = console()
    with to_whoever_reads():
        if finished.interrupted or options.quiet:
            screen.print(report.verdict(finished), highlight=False, soft_wrap=True)
        else:
            report.show(finished, screen, options.verbose)
    run_folder.write(finished, options.out)
    if not (checkpoint and finished.interrupted):
        (options.out / NAME).unlink(missing_ok=True)
    if not finished.interrupted and not options.quiet:
        with to_whoever_reads():
            screen.print(f"Written to {options.out}", highlight=False, soft_wrap=True, markup=False)
    return status


def _foretold(given: Mapping[str, Any], steps: int) -> str:
    """Say how long a run will take: that of a few steps, the first of which compiles and does not count."""
    trial = experiment(**given)
    lockstep = trial.set_up()
    ends: list[float] = []
    for x, y in islice(trial.batches(), TRIAL_STEPS):
        lockstep.step(x, y)
        ends.append(perf_counter())
    seconds = (ends[-1] - ends[0]) / max(1, len(ends) - 1)
    minutes = round(seconds * steps / 60)
    words = f"{minutes} minutes" if minutes > 1 else "a minute" if minutes else "a moment"
    return f"{steps:,} problems take about {words}"


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in place of being ended by them; training stops after the step. A second one ends."""
    signals: list[int] = []

    def note(number: int, frame: object) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, which alone gets signals
        before = {}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(options: argparse.Namespace, given: Mapping[str, Any]) -> tuple[Experiment, Checkpoint | None]:
    """Return what to train, and its checkpoint if it is to have one; a resumed run goes on in its folder."""
    every = options.checkpoint_every
    if every is not None and every < 1:
        raise ValueError(f"checkpoint_every: expected at least 1, got {every}")
    if (every or options.resume) and dist.is_initialized():
        # DistributedDataParallel groups gradients anew after its first step, which can change the order of its sums.
        raise ValueError("checkpoint_every, resume: expected one process, for several may end in other bits")
    if not options.resume:
        chosen = experiment(**given)
        return chosen, Checkpoint(options.out, every, chosen.arguments) if every else None
    checkpoint = Checkpoint.read(options.resume)
    for name, value in given.items():
        before = checkpoint.configuration.get(name, "no value")
        if value != before:
            raise ValueError(f"{name}: expected {before}, with which the run was started, got {value}")
    if others := checkpoint.other_arithmetic():
        print(f"resume: {'; '.join(others)}: the last bits may be others than in one go", file=sys.stderr)
    options.out, checkpoint.every = options.resume, every or checkpoint.every
    return experiment(**checkpoint.configuration), checkpoint
