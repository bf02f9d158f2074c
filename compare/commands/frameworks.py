"""``frameworks``: the same layer in every framework that is installed."""

import argparse
import json

from rich.console import Console

from compare.commands import AGREE, DISAGREE
from compare.commands.output import add_out, console, make_ready
from compare.frameworks import comparison, report
from compare.frameworks.registry import FRAMEWORKS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison of frameworks."""
    parser.description = (
        "Give each framework the same weights, input, states and incoming gradients, and compare its outputs and "
        "gradients with the hand-derived ones, in each form of cell that it has, at several sizes, in both dtypes. "
        "Errors of both are measured against long double. Each framework runs in a process of its own. "
        "Exit status: 0 they agree, 1 they do not, 2 bad input."
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(FRAMEWORKS), metavar="NAME", help=f"some of {', '.join(FRAMEWORKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="the smallest size only")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_out(parser, "folder for README.md, frameworks.json and frameworks.png")


def run(options: argparse.Namespace) -> int:
    """Compare, print, write."""
    make_ready(options.out)
    errors = Console(stderr=True)

    def on_done(one: comparison.Comparison) -> None:
        if errors.is_terminal:
            errors.print(f"{one.framework}: {one.case.title}, {one.case.dtype}, T = {one.case.T}", highlight=False)

    sizes = comparison.SIZES[:1] if options.quick else comparison.SIZES
    findings = comparison.run(options.only or list(FRAMEWORKS), sizes, on_done)
    if options.json:
        print(json.dumps(report.as_json(findings), indent=2))
    else:
        report.show(findings, console(200))
    report.write(findings, options.out)
    if not options.json:
        print(f"Written to {options.out}")
    return AGREE if findings.agrees else DISAGREE
