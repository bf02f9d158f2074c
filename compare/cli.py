"""The command line: ``python -m compare``."""

import argparse
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare import report, run_folder
from compare.lockstep import Step
from compare.training import CELLS, Settings, train
from manual import LOSSES

AGREE, DISAGREE, BAD_INPUT = 0, 1, 2

#: Columns of the tables where no terminal says how many there are.
PIPED_WIDTH = 120

COMMANDS = ("train",)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and leave."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0 where the sides agree, 1 where they do not, 2 for bad input."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or (given[0] not in COMMANDS and given[0] not in ("-h", "--help")):
        given = ["train", *given]
    options = _parser().parse_args(given)
    try:
        return _train(options)
    except ValueError as error:
        print(f"python -m compare: {error}", file=sys.stderr)
        return BAD_INPUT


def _parser() -> Parser:
    parser = Parser(prog="python -m compare", description="Hold hand-derived recurrent layers against autograd.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "train",
        help="train both sides on binary addition in lock-step (the default)",
        description="Train hand-derived recurrent layers and their autograd twins on binary addition, comparing every "
        "output, loss, gradient, parameter and optimiser buffer at every step. Exit status: 0 they agree, 1 they do "
        "not, 2 bad input.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default = {field.name: field.default for field in fields(Settings)}

    def option(name: str, meaning: str, **more: Any) -> None:
        value = default[name]
        kind: dict[str, Any] = {} if isinstance(value, bool) else {"type": type(value)}
        command.add_argument(f"--{name.replace('_', '-')}", default=value, help=meaning, **(kind | more))

    option("cell", "kind of recurrent layer", choices=CELLS)
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
    now = Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    command.add_argument("--out", type=Path, metavar="DIR", default=now, help="folder for the results")
    command.add_argument("--quiet", action="store_true", help="print the verdict only")
    return parser


def _train(options: argparse.Namespace) -> int:
    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    try:  # before the work, whose results would otherwise have nowhere to go
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"out: expected a folder that can be written to, got {options.out}: {error.strerror}"
        ) from None
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    errors = Console(stderr=True)
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.5f}  worst disagreement {task.fields[worst]:.1e}"),
        console=errors,
        disable=options.quiet or not errors.is_terminal,
        transient=True,
    )
    with progress:
        task = progress.add_task("training", total=settings.steps, loss=float("nan"), worst=0.0)
        worst = 0.0

        def advance(step: Step) -> None:
            nonlocal worst
            worst = max(worst, *step.errors.values())
            progress.update(task, advance=1, loss=step.loss_manual, worst=worst)

        run = train(settings, advance)
    run_folder.write(run, options.out)
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if options.quiet:
        console.print(report.verdict(run), highlight=False, soft_wrap=True)
    else:
        report.show(run, console)
        console.print(f"Written to {options.out}", highlight=False, soft_wrap=True)
    return AGREE if run.lockstep.agrees else DISAGREE
