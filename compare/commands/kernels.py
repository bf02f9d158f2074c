"""``kernels``: four kernels against autograd, and the cost of what the published mLSTM leaves out."""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from compare.bounds import check_at_least
from compare.commands import AGREE, DISAGREE
from compare.commands.output import add_out, console, make_ready
from compare.files import replacing
from compare.published.kernels.findings import find


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of draws and the form of the output."""
    parser.description = (
        "Hold the backward passes of mLSTM, layer norm, softmax attention and a selective scan against autograd, and "
        "compare the published gradients of the mLSTM with the true ones. Exit status: 0 all four kernels agree, "
        "1 not all, 2 bad input."
    )
    parser.add_argument("--draws", type=int, default=25, help="random draws that the mLSTM is measured on")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_out(parser, "folder for kernels.json")


def run(options: argparse.Namespace) -> int:
    """Check, measure, print, write."""
    check_at_least(options, draws=1)
    make_ready(options.out)
    found = find(options.draws)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if options.json:
        print(text)
    else:
        show(found, console())
    with replacing(options.out / "kernels.json") as path:
        path.write_text(text + "\n", encoding="utf-8")
    if not options.json:
        print(f"Written to {options.out / 'kernels.json'}")
    return AGREE if all(kernel["agrees"] for kernel in found["kernels"].values()) else DISAGREE


def show(found: dict[str, Any], screen: Console) -> None:
    """Print a table of the kernels, how the published mLSTM is named, and a table of what it costs."""
    table = _table("kernel", "compared", "sizes", "worst error", "verdict")
    for name, kernel in found["kernels"].items():
        verdict = "agrees" if kernel["agrees"] else "DISAGREES"
        table.add_row(name, str(kernel["compared"]), str(kernel["sizes"]), f"{kernel['worst']:.1e}", verdict)
    screen.print(table)
    published, sizes = found["published"], found["sizes"]
    for words in (
        "",
        f"The mLSTM as published: as the code runs, {', '.join(published['differ as the code runs'])} differ.",
        "With the reference fed back, one equation is wrong:",
        *(f"    {fault['line']}" for fault in published["faults"]),
        "",
        f"Its gradients against the true ones, {sizes['draws']} draws, {sizes['B']} heads, T = {sizes['T']}, "
        f"D = {sizes['D']}, H = {sizes['H']}: median (range)",
    ):
        screen.print(words, highlight=False, markup=False, soft_wrap=True)
    table = _table("behind the cell", "gradient", "|published - true| / |true|", "cosine")
    for setting, gradients in found["costs"].items():
        for name, cost in gradients.items():
            table.add_row(setting, name, _spread(cost["error"], ".2g"), _spread(cost["cosine"], ".2f"))
    screen.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), highlight=False)
    for k, column in enumerate(columns):
        table.add_column(column, no_wrap=True, justify="left" if k == 0 else "right")
    return table


def _spread(values: list[float], form: str) -> str:
    """The median, and in brackets the least and the most."""
    median, least, most = (format(value, form) for value in values)
    return f"{median} ({least} to {most})"
