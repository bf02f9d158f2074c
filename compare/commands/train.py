"""``train``: both sides learn binary addition in lock-step."""

import argparse
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compare import report, run_folder
from compare.commands import AGREE, DISAGREE, PIPED_WIDTH
from compare.lockstep import Step
from compare.training import CELLS, Settings, train
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
        parser.add_argument(f"--{name.replace('_', '-')}", default=value, help=meaning, **(kind | more))

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
    parser.add_argument("--out", type=Path, metavar="DIR", default=now, help="folder for the results")
    parser.add_argument("--quiet", action="store_true", help="print the verdict only")


def run(options: argparse.Namespace) -> int:
    """Train, report, and leave a folder behind."""
    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    try:  # before the work, whose results would otherwise have nowhere to go
        options.out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=options.out).close()
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

        finished = train(settings, advance)
    run_folder.write(finished, options.out)
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if options.quiet:
        console.print(report.verdict(finished), highlight=False, soft_wrap=True)
    else:
        report.show(finished, console)
        console.print(f"Written to {options.out}", highlight=False, soft_wrap=True)
    return AGREE if finished.agrees else DISAGREE
