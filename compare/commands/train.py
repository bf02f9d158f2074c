"""``train``: train both sides on binary addition in lock-step."""

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare.commands import AGREE, DISAGREE, INTERRUPTED, TERMINATED
from compare.commands.output import add_out, console, make_ready, to_whoever_reads
from compare.lockstep import report, run_folder
from compare.lockstep.checkpoint import NAME, Checkpoint
from compare.lockstep.distributed import processes
from compare.lockstep.file_names import FILES
from compare.lockstep.lockstep import Step
from compare.lockstep.settings import CHOICES, Settings
from compare.lockstep.training import Interruption, Run, train
from compare.published.recipe_training import train_recipe
from compare.published.recipes import RECIPES, Recipe
from manual.engines import fastest_for_few_rows

#: What may be changed about a recipe.
CHANGEABLE = ("steps", "seed", "engine")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a run."""
    parser.description = (
        "Train hand-derived recurrent layers and their autograd twins on binary addition, and compare every output, "
        "loss, gradient, parameter and optimiser buffer at every step. Exit status: 0 the sides agree, 1 they do not, "
        "2 bad input, 3 an internal error, 4 a file cannot be read or written, 130 and 143 interrupted; then the "
        "folder has what was reached."
    )
    defaults = {field.name: field.default for field in fields(Settings)}

    def option(name: str, meaning: str) -> None:
        default = defaults[name]
        choices = CHOICES.get(name)
        kind: dict[str, Any] = (
            {"action": "store_true"} if isinstance(default, bool) else {"type": type(default), "choices": choices}
        )
        # With a default of the parser's own, one could not tell which options were given, and a recipe allows few.
        meaning = f"{meaning} (default: {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=meaning, **kind)

    option("cell", "kind of recurrent layer")
    option("hidden_size", "units of each layer and direction, H")
    option("layers", "stacked recurrent layers")
    option("bidirectional", "run each layer in both directions")
    option("bits", "length of the sums, T")
    option("steps", "training steps")
    option("batch_size", "sums in a batch, B")
    option("optimizer", "optimiser")
    option("learning_rate", "learning rate of the optimiser")
    option("momentum", "momentum of sgd")
    option("nesterov", "Nesterov momentum, for sgd")
    option("weight_decay", "weight decay of the optimiser")
    option("loss", "binary cross-entropy on logits, or mean squared error on their sigmoids")
    option("dtype", "dtype of all arrays")
    option("against", "framework to compare with, its optimiser included")
    option("device", "where the torch side runs; the hand-derived side always runs on the CPU")
    option("seed", "seed of the initial weights and the sums")
    option("engine", "what runs the hand-derived layer: compiled loops, for few rows, need Numba")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="train a published system, with the true gradient, and print what its author prints; only --steps, "
        "--seed and --engine can be changed, and the engine is compiled where Numba is installed; "
        "`python -m compare recipes` lists the recipes",
    )
    folder = parser.add_mutually_exclusive_group()
    add_out(folder, "folder for the results")
    folder.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with an interrupted or killed run that has a checkpoint in its folder, to the same bits",
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


def run(options: argparse.Namespace) -> int:
    """Train, write the folder of results, and report; of several processes only the first writes and prints."""
    with processes() as rank:
        return _run(options, rank)


def _run(options: argparse.Namespace, rank: int) -> int:
    names = ("recipe", *(field.name for field in fields(Settings)))
    given = {name: getattr(options, name) for name in names if name in options}
    settings, checkpoint = _start(options, given)
    make_ready(options.out)
    if not options.force and not options.resume:
        if (options.out / NAME).exists():
            raise ValueError(
                f"out: expected no checkpoint in {options.out}; --resume continues it, --force replaces it"
            )
        for name in FILES:
            if (options.out / name).exists():
                raise ValueError(f"out: expected a folder without {name}, got {options.out}; --force replaces results")
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    is_shown = errors.is_terminal and not (options.quiet or rank > 0 or "recipe" in options)
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
        task = progress.add_task("training", total=settings.steps, loss=float("nan"), worst=0.0)
        worst = 0.0

        def advance(step: Step) -> None:
            nonlocal worst
            worst = max(worst, *step.errors.values())
            progress.update(task, advance=1, loss=step.loss_manual, worst=worst)
            if signals:
                raise Interruption

        finished = _train(settings, advance, checkpoint, options.quiet or rank > 0)
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


def _configure(recipe: str | None = None, **given: Any) -> Settings | Recipe:
    """Return the settings, or a recipe with what may be changed about it. Recipes have one row."""
    if recipe is None:
        return Settings(**given)
    if recipe not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {recipe!r}")
    for option, value in given.items():
        if option not in CHANGEABLE:
            raise ValueError(f"{option}: expected no value with --recipe, which sets it, got {value}")
    return replace(RECIPES[recipe], **{"engine": fastest_for_few_rows()} | given)


def _configuration(settings: Settings | Recipe) -> dict[str, Any]:
    """Return the arguments from which ``_configure`` makes these settings."""
    if isinstance(settings, Settings):
        return asdict(settings)
    return {"recipe": settings.name} | {name: getattr(settings, name) for name in CHANGEABLE}


def _start(options: argparse.Namespace, given: dict[str, Any]) -> tuple[Settings | Recipe, Checkpoint | None]:
    """Return what to train, and its checkpoint if it is to have one; a resumed run goes on in its folder."""
    every = options.checkpoint_every
    if every is not None and every < 1:
        raise ValueError(f"checkpoint_every: expected at least 1, got {every}")
    if (every or options.resume) and dist.is_initialized():
        # DistributedDataParallel groups gradients anew after its first step, which can change the order of its sums.
        raise ValueError("checkpoint_every, resume: expected one process, for several may end in other bits")
    if not options.resume:
        settings = _configure(**given)
        return settings, Checkpoint(options.out, every, _configuration(settings)) if every else None
    checkpoint = Checkpoint.read(options.resume)
    for name, value in given.items():
        before = checkpoint.configuration.get(name, "no value")
        if value != before:
            raise ValueError(f"{name}: expected {before}, with which the run was started, got {value}")
    options.out, checkpoint.every = options.resume, every or checkpoint.every
    return _configure(**checkpoint.configuration), checkpoint


def _train(
    settings: Settings | Recipe, advance: Callable[[Step], None], checkpoint: Checkpoint | None, quiet: bool
) -> Run:
    """Train by settings or by a recipe, which also prints what its author prints."""
    if isinstance(settings, Settings):
        return train(settings, advance, checkpoint)
    say = (lambda line: None) if quiet else partial(print, flush=True)
    return train_recipe(settings, advance, say, checkpoint)
