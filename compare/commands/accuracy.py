"""``accuracy``: the rounding error of each side."""

import argparse
import json
from dataclasses import asdict

from rich.table import Table

from compare.benchmark.accuracy import SIDES, measure, ratio_to_manual
from compare.bounds import check_at_least
from compare.cells import CELLS
from compare.commands import AGREE
from compare.commands.output import console


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes and the seed."""
    parser.description = (
        "Run the hand-derived layer, its written-out twin and torch's own layer in float32 and float64, and measure "
        "their errors against the hand-derived equations in long double. The tables show the root mean square error "
        "and the worst error of each tensor, in ulps of its largest element. Exit status: 0, or 1 if a side is wrong "
        "by more than rounding; the long double results themselves are confirmed by equations of their own."
    )
    parser.add_argument("--cell", type=str.lower, choices=tuple(CELLS), default="lstm", help="kind of recurrent layer")
    parser.add_argument("--hidden-size", type=int, default=16, help="units, H")
    parser.add_argument("--batch-size", type=int, default=8, help="batch rows, B")
    parser.add_argument("--lengths", type=int, nargs="+", default=[8, 64, 512], help="numbers of time steps, T")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and arguments")
    parser.add_argument("--json", action="store_true", help="print the errors as JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, and print a table for each dtype."""
    check_at_least(options, hidden_size=1, batch_size=1, seed=0)
    if min(options.lengths) < 1:
        raise ValueError(f"lengths: expected at least 1, got {min(options.lengths)}")
    errors = measure(options.cell, options.hidden_size, options.batch_size, options.lengths, options.seed)
    if options.json:
        print(json.dumps([asdict(error) for error in errors], indent=2))
        return AGREE
    screen = console()
    of = {(e.dtype, e.T, e.tensor, e.side): e for e in errors}
    titles = {side: f"nn.{CELLS[options.cell].class_name}" if side == "nn" else side for side in SIDES}
    for dtype in ("float32", "float64"):
        table = Table(title=f"{dtype}: error in ulps, root mean square/worst", title_justify="left", box=None)
        table.add_column("tensor", no_wrap=True)
        for T in options.lengths:
            for side in SIDES:
                table.add_column(
                    f"{titles[side]}\nT = {T}" if side == SIDES[0] else f"{titles[side]}\n",
                    justify="right",
                    no_wrap=True,
                )
        for tensor in dict.fromkeys(error.tensor for error in errors):
            cells = [of[dtype, T, tensor, side] for T in options.lengths for side in SIDES]
            table.add_row(tensor, *(f"{cell.rms:.2f}/{cell.worst:.1f}" for cell in cells))
        screen.print(table)
        for side in SIDES[1:]:
            ratio = ratio_to_manual(errors, dtype, side)
            closer = "manual" if ratio > 1 else titles[side]
            screen.print(
                f"{dtype}: the error of {titles[side]} is {ratio:.2f} times that of manual (geometric mean over the "
                f"table), so {closer} is closer to the truth\n",
                highlight=False,
                soft_wrap=True,
            )
    return AGREE
