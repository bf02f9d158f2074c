"""``recipes``: list the published systems, or train one of them."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from compare.cells import CELLS, Form
from compare.cells.layout import Layout
from compare.commands import AGREE, DISAGREE
from compare.commands.output import console, to_whoever_reads
from compare.commands.runs import running
from compare.page.render import render
from compare.published.gradient_check import LIMIT, check
from compare.published.recipe_training import CHANGEABLE, FromRecipe, changed
from compare.published.recipes import RECIPES, Recipe
from compare.published.systems import PUBLISHED
from manual.engines import ENGINES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe, and what may be changed about it."""
    parser.description = (
        "List the published systems or, given a name, train one: the hand-derived side and "
        "autograd in lock-step, every step compared, with its author's print-outs. Exit statuses are those of train."
    )
    parser.add_argument("recipe", nargs="?", metavar="NAME", help="the system to train; without it, they are listed")
    parser.add_argument("--hidden-size", type=int, metavar="H", default=argparse.SUPPRESS, help="units")
    parser.add_argument("--bits", type=int, metavar="T", default=argparse.SUPPRESS, help="length of the sums")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", default=argparse.SUPPRESS, help="of the descent")
    parser.add_argument(
        "--gradient",
        metavar="NAMES",
        default=argparse.SUPPRESS,
        help="true, published, or a list of departures from the true one with commas between, such as "
        "nothing-through-h,slope-of-h (default: true); the list of recipes names them",
    )
    parser.add_argument("--problems", dest="steps", type=int, metavar="N", default=argparse.SUPPRESS, help="how many")
    parser.add_argument("--seed", type=int, default=argparse.SUPPRESS, help="seed of the initial weights and problems")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=argparse.SUPPRESS,
        help="what runs the hand-derived layer (default: compiled where Numba is installed)",
    )
    parser.add_argument(
        "--check-gradient",
        action="store_true",
        help="print the numeric gradient of the first problem beside the hand-derived, element by element, and do "
        "not train; the exit status is 1 if they differ",
    )
    parser.add_argument("--json", action="store_true", help="list the recipes as JSON")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write a page that trains no-bias-lstm in the browser",
    )
    running.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """List the recipes, or train one."""
    if options.page:
        if options.page.exists() and not options.force:
            raise ValueError(f"page: expected a new file, but {options.page} exists; --force replaces it")
        render("answer.html", {}, {}, options.page)
        print(f"Written to {options.page}")
        return AGREE
    given = {name: getattr(options, name) for name in CHANGEABLE if name in options}
    if given.get("steps", 1) < 1:
        raise ValueError(f"problems: expected at least 1, got {options.steps}")
    if options.check_gradient:
        if options.recipe is None or "steps" in given or options.resume:
            raise ValueError("check_gradient: expected the name of a recipe, and neither --problems nor --resume")
        return _check_gradient(changed(options.recipe, given))
    if options.recipe or options.resume:
        return running.run(options, ({"recipe": options.recipe} if options.recipe else {}) | given)
    if given:
        raise ValueError(f"{', '.join(given)}: expected only with the name of a recipe")
    return _list(options.json)


def _check_gradient(recipe: Recipe) -> int:
    """Print the gradient check of the first problem, and say which gradients are wrong."""
    experiment = FromRecipe(recipe)
    trainer, (x, y) = experiment.set_up().manual, next(experiment.batches())
    worst: dict[str, float] = {}
    with to_whoever_reads():
        for (name, *lines), error in check(trainer, Form(CELLS[recipe.cell], recipe.options).gates, x, y):
            print(name, *lines, sep="\n")
            worst[name] = error
        wrong = [name for name, error in worst.items() if not error <= LIMIT]
        said = f"wrong: {', '.join(wrong)}" if wrong else f"all {len(worst)} gradients"
        print(f"{'DISAGREE' if wrong else 'AGREE'}: {said}; largest relative difference {max(worst.values()):.1e}")
    return DISAGREE if wrong else AGREE


def _list(as_json: bool) -> int:
    """Print the list."""
    if as_json:
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
        if recipe.name in PUBLISHED and (departures := PUBLISHED[recipe.name].departures):
            names = ", ".join(departure.name for departure in departures)
            screen.print(f"    published gradient: {names}", highlight=False, soft_wrap=True)
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
