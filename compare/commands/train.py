"""``train``: train both sides on binary addition in lock-step."""

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare.cells import CELLS
from compare.commands import AGREE, DISAGREE, INTERRUPTED, TERMINATED
from compare.commands.output import add_out, console, make_ready, to_whoever_reads
from compare.lockstep import report, run_folder
from compare.lockstep.distributed import processes
from compare.lockstep.lockstep import Step
from compare.lockstep.settings import SIDES, Settings
from compare.lockstep.training import Interruption, Run, train
from compare.published.recipe_training import RecipeRun, train_recipe
from compare.published.recipes import RECIPES, Recipe
from manual import LOSSES
from manual.engines import ENGINES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a run."""
    parser.description = (
        "Train hand-derived recurrent layers and their autograd twins on binary addition, and compare every output, "
        "loss, gradient, parameter and optimiser buffer at every step. Exit status: 0 the sides agree, 1 they do not, "
        "2 bad input, 3 an internal error, 4 a file cannot be read or written, 130 and 143 interrupted; then the "
        "folder has what was reached."
    )
    defaults = {field.name: field.default for field in fields(Settings)}

    def option(name: str, meaning: str, **more: Any) -> None:
        default = defaults[name]
        kind: dict[str, Any] = {} if isinstance(default, bool) else {"type": type(default)}
        # With a default of the parser's own, one could not tell which options were given, and a recipe allows few.
        meaning = f"{meaning} (default: {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=meaning, **(kind | more))

    option("cell", "kind of recurrent layer", choices=tuple(CELLS))
    option("hidden_size", "units of each layer and direction, H")
    option("layers", "stacked recurrent layers")
    option("bidirectional", "run each layer in both directions", action="store_true")
    option("bits", "length of the sums, T")
    option("steps", "training steps")
    option("batch_size", "sums in a batch, B")
    option("optimizer", "optimiser", choices=("adam", "sgd"))
    option("learning_rate", "learning rate of the optimiser")
    option("momentum", "momentum of sgd")
    option("nesterov", "Nesterov momentum, for sgd", action="store_true")
    option("weight_decay", "weight decay of the optimiser")
    option("loss", "binary cross-entropy on logits, or mean squared error on their sigmoids", choices=tuple(LOSSES))
    option("dtype", "dtype of all arrays", choices=("float64", "float32"))
    option("against", "framework to compare with, its optimiser included", choices=tuple(SIDES))
    option("device", "where the torch side runs; the hand-derived side always runs on the CPU", choices=("cpu", "cuda"))
    option("seed", "seed of the initial weights and the sums")
    option("engine", "what runs the hand-derived layer: compiled loops, for few rows, need Numba", choices=ENGINES)
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="train a published system, with the true gradient, and print what its author prints; only --steps, "
        "--seed and --engine can be changed; `python -m compare recipes` lists the recipes",
    )
    add_out(parser, "folder for the results")
    parser.add_argument("--force", action="store_true", help="replace the results in the folder, if it has any")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--verbose", action="store_true", help="print a line for each tensor, and more examples")
    amount.add_argument("--quiet", action="store_true", help="print only the verdict")


def run(options: argparse.Namespace) -> int:
    """Train, write the folder of results, and report; of several processes only the first writes and prints."""
    with processes() as rank:
        return _run(options, rank)


def _run(options: argparse.Namespace, rank: int) -> int:
    given = {field.name: getattr(options, field.name) for field in fields(Settings) if hasattr(options, field.name)}
    settings = _recipe(options.recipe, given) if "recipe" in options else Settings(**given)
    make_ready(options.out)
    if (options.out / "summary.json").exists() and not options.force:
        raise ValueError(f"out: expected a folder without results, got {options.out}; --force replaces them")
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}  worst error {task.fields[worst]:.1e}"),
        console=errors,
        disable=options.quiet or rank > 0 or "recipe" in options or not errors.is_terminal,
        transient=True,
    )
    with progress, _interruptible() as signals:
        task = progress.add_task("training", total=settings.steps, loss=float("nan"), worst=0.0)
        worst = 0.0

        def advance(step: Step) -> None:
            nonlocal worst
            worst = max(worst, *step.errors.values())
            progress.update(task, advance=1, loss=step.loss_manual, worst=worst)
            if signals:
                raise Interruption if isinstance(settings, Settings) else KeyboardInterrupt

        finished = _train(settings, advance, options.quiet or rank > 0)
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
    if isinstance(finished, RecipeRun) and finished.curve:
        finished.draw_curve(options.out / "error_curve.png")
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


def _recipe(name: str, given: dict[str, Any]) -> Recipe:
    """Look up a recipe and change what may be changed about it."""
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    for option, value in given.items():
        if option not in ("steps", "seed", "engine"):
            raise ValueError(f"{option}: expected no value with --recipe, which sets it, got {value}")
    return replace(RECIPES[name], **given)


def _train(settings: Settings | Recipe, advance: Callable[[Step], None], quiet: bool) -> Run:
    """Train by settings or by a recipe, which also prints what its author prints."""
    if isinstance(settings, Settings):
        return train(settings, advance)
    return train_recipe(settings, advance, (lambda line: None) if quiet else partial(print, flush=True))
