"""``train``: both sides learn binary addition in lock-step."""

import argparse
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare.cells import CELLS
from compare.commands import AGREE, DISAGREE
from compare.commands.output import add_out, console, make_ready
from compare.lockstep import report, run_folder
from compare.lockstep.lockstep import Step
from compare.lockstep.training import Run, Settings, train
from compare.published.lockstep import train_recipe
from compare.published.recipes import RECIPES, Recipe
from manual import LOSSES

HELP = "train both sides on binary addition in lock-step (the default)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a run can be told."""
    parser.description = (
        "Train hand-derived recurrent layers and their autograd twins on binary addition, comparing every output, "
        "loss, gradient, parameter and optimiser buffer at every step. Exit status: 0 they agree, 1 they do not, "
        "2 bad input."
    )
    default = {field.name: field.default for field in fields(Settings)}

    def option(name: str, meaning: str, **more: Any) -> None:
        value = default[name]
        kind: dict[str, Any] = {} if isinstance(value, bool) else {"type": type(value)}
        # No default of the parser's own: so one can tell what was asked for, which a recipe may not allow.
        meaning = f"{meaning} (default: {value})"
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=meaning, **(kind | more))

    option("cell", "kind of recurrent layer", choices=tuple(CELLS))
    option("hidden_size", "units of each layer and direction")
    option("layers", "recurrent layers, one above the other")
    option("bidirectional", "let each layer also run from the last bit to the first", action="store_true")
    option("bits", "length of the numbers that are added")
    option("steps", "training steps")
    option("batch_size", "problems in a batch")
    option("optimizer", "how the gradients are used", choices=("adam", "sgd"))
    option("learning_rate", "of the optimiser")
    option("momentum", "of sgd")
    option("nesterov", "Nesterov's momentum, for sgd", action="store_true")
    option("weight_decay", "of the optimiser")
    option("loss", "binary cross-entropy on logits, or mean squared error of sigmoid outputs", choices=tuple(LOSSES))
    option("dtype", "of everything", choices=("float64", "float32"))
    option("seed", "of the initial weights and the problems")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="train a write-up's system as it should be, printing what its author prints; of the options above only "
        "--steps and --seed go with it; `python -m compare recipes` lists them",
    )
    add_out(parser, "folder for the results")
    parser.add_argument("--quiet", action="store_true", help="print the verdict only")


def run(options: argparse.Namespace) -> int:
    """Train, report, and leave a folder behind."""
    given = {field.name: getattr(options, field.name) for field in fields(Settings) if hasattr(options, field.name)}
    settings = _recipe(options.recipe, given) if "recipe" in options else Settings(**given)
    make_ready(options.out)
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}  worst disagreement {task.fields[worst]:.1e}"),
        console=errors,
        disable=options.quiet or "recipe" in options or not errors.is_terminal,
        transient=True,
    )
    with progress:
        task = progress.add_task("training", total=settings.steps, loss=float("nan"), worst=0.0)
        worst = 0.0

        def advance(step: Step) -> None:
            nonlocal worst
            worst = max(worst, *step.errors.values())
            progress.update(task, advance=1, loss=step.loss_manual, worst=worst)

        finished = _train(settings, advance, options.quiet)
    run_folder.write(finished, options.out)
    screen = console()
    if options.quiet:
        screen.print(report.verdict(finished), highlight=False, soft_wrap=True)
    else:
        report.show(finished, screen)
        screen.print(f"Written to {options.out}", highlight=False, soft_wrap=True)
    return AGREE if finished.agrees else DISAGREE


def _recipe(name: str, given: dict[str, Any]) -> Recipe:
    """A recipe, with what may be changed about it."""
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    for option, value in given.items():
        if option not in ("steps", "seed"):
            raise ValueError(f"{option}: expected to be left out beside --recipe, which says what it is, got {value}")
    return replace(RECIPES[name], **given)


def _train(settings: Settings | Recipe, advance: Callable[[Step], None], quiet: bool) -> Run:
    """Train as told; a recipe prints what its author would."""
    if isinstance(settings, Settings):
        return train(settings, advance)
    return train_recipe(settings, advance, (lambda line: None) if quiet else partial(print, flush=True))
