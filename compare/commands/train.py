"""``train``: train both sides on binary addition in lock-step."""

import argparse
from dataclasses import fields
from typing import Any

from compare.commands.runs import running
from compare.lockstep.settings import CHOICES, Settings


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
            {"action": "store_true"}
            if isinstance(default, bool)
            else {"type": str.lower if name == "cell" else type(default), "choices": choices}
        )
        # With a default of the parser's own, one could not tell which options were given, and a recipe allows few.
        meaning = meaning if default is False else f"{meaning} (default: {default})"
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
        help="train a published system: the same as `recipes NAME`, with --steps for --problems",
    )
    running.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Train with the options that were given."""
    names = ("recipe", *(field.name for field in fields(Settings)))
    return running.run(options, {name: getattr(options, name) for name in names if name in options})
