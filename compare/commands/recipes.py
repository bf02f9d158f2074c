"""``recipes``: the systems that ``train --recipe`` can train."""

import argparse
import json
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from compare.cells.layout import Layout
from compare.commands import AGREE
from compare.commands.output import console
from compare.published.recipes import RECIPES, Recipe


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output format."""
    parser.description = "List the published systems, which `train --recipe NAME` trains with the true gradient."
    parser.add_argument("--json", action="store_true", help="print the recipes as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    if options.json:
        print(json.dumps({name: asdict(recipe) for name, recipe in RECIPES.items()}, indent=2, ensure_ascii=False))
        return AGREE
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("name", "units", "start", "weights", "loss", "rate", "problems"):
        table.add_column(column, justify="right" if column in ("units", "rate", "problems") else "left")
    for recipe in RECIPES.values():
        table.add_row(
            recipe.name,
            str(recipe.hidden_size),
            str(recipe.start),
            escape(_weights(recipe.layout)),
            _loss(recipe),
            f"{recipe.learning_rate:g}",
            f"{recipe.steps:,}",
        )
    screen = console()
    screen.print(table, highlight=False)
    screen.print()
    for recipe in RECIPES.values():
        screen.print(f"{recipe.name}: {recipe.source}. Wanted: {recipe.wanted}.", highlight=False, soft_wrap=True)
    return AGREE


def _weights(layout: Layout) -> str:
    """Describe a layout in a few words."""
    shape = "x W" if layout.columns else "W x"
    if layout.joined:
        shape = f"W [{', '.join(layout.joined)}]"
    biases = {0: "no bias", 1: "one bias", 2: "two biases", "scalar": "one number a gate"}[layout.biases]
    return f"{shape}, {biases}"


def _loss(recipe: Recipe) -> str:
    """Describe the write-up's loss in a few words."""
    return {
        "bce": "cross-entropy, summed",
        "mse": "½ (p - y)², summed",
        "squares": "½ |h - y|², averaged",
        "last": "sum of the last h",
    }[recipe.loss]
