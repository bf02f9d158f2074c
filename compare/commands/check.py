"""``check``: somebody's own derivation against autograd."""

import argparse
import json
from pathlib import Path

from compare.bounds import check_least
from compare.commands import AGREE, DISAGREE
from compare.commands.output import add_out, console, make_ready
from compare.diagnosis import report as fault_report
from compare.diagnosis.sandbox import check_within

HELP = "say which equation of a derivation in a file is wrong"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and what it is checked against."""
    parser.description = (
        "Hold the derivation in FILE against autograd, first as it runs, then with the reference fed back at each "
        "probe, so that exactly the wrong equations show. `python -m compare new FILE` writes a file to begin with. "
        "Exit status: 0 it agrees, 1 it does not, 2 bad input."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the derivation")
    parser.add_argument(
        "--reference",
        metavar="FILE:CLASS",
        help="a torch module to check against, where FILE has INPUTS in the place of CELL",
    )
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="how long the file may run")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights and arguments")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_out(parser, "folder for faults.png")


def run(options: argparse.Namespace) -> int:
    """Check, and say what is wrong."""
    if not options.timeout > 0:
        raise ValueError(f"timeout: expected more than 0 seconds, got {options.timeout:g}")
    check_least(options, seed=0)
    reference = None
    if options.reference is not None:
        file, colon, name = options.reference.rpartition(":")
        if not (file and colon and name):
            raise ValueError(f"reference: expected FILE:CLASS, got {options.reference}")
        reference = Path(file), name
    checked = check_within(options.timeout, options.file, reference, options.seed)
    if options.json:
        print(json.dumps(fault_report.as_json(checked), indent=2))
    else:
        screen = console()
        fault_report.show(checked, screen)
    if checked.localisation.agrees:
        return AGREE
    make_ready(options.out)
    fault_report.draw(checked, options.out / "faults.png")
    if not options.json:
        print(f"Drawn in {options.out / 'faults.png'}")
    return DISAGREE
