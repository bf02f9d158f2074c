"""``score``: how many of the known faults the checker catches and names correctly."""

import argparse
import json
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from compare.commands import AGREE, DISAGREE
from compare.commands.output import console
from compare.diagnosis.catalogue import FAULTS
from compare.diagnosis.equations import equation
from compare.diagnosis.scoring import score


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output format."""
    parser.description = (
        "Inject each fault of the catalogue into a copy of the source, one at a time, and check the result. A fault is "
        "caught if anything differs. It is named correctly if the check reports exactly the equations that the fault "
        "broke, at the steps and in the rows where it broke them. Exit status: 0 all faults are named correctly, 1 not "
        "all are."
    )
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(options: argparse.Namespace) -> int:
    """Score all faults, and print one line for each."""
    scored = [score(fault) for fault in FAULTS]
    all_named = all(entry.caught and entry.named for entry in scored)
    if options.json:
        print(json.dumps([asdict(entry) for entry in scored], indent=2))
        return AGREE if all_named else DISAGREE
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "fault", "caught", "named", "as"):
        table.add_column(column)
    for entry in scored:
        numbers = {equation(entry.injected.cell, name.partition("[")[0]).number or name for name in entry.found}
        said = f"({', '.join(sorted(numbers))}) {entry.hints[0] if entry.hints else ''}".rstrip()
        marks = [
            Text("yes" if good else "NO", style="green" if good else "bold red") for good in (entry.caught, entry.named)
        ]
        table.add_row(entry.injected.cell.partition(",")[0], entry.injected.title, *marks, said)
    screen = console(140)
    screen.print(table)
    for cell in ("lstm", "gru", "rnn"):
        own = [entry for entry in scored if entry.injected.cell.partition(",")[0] == cell]
        caught, named = (sum(getattr(entry, what) for entry in own) for what in ("caught", "named"))
        print(f"{cell}: {caught} of {len(own)} caught, {named} of {len(own)} named correctly")
    return AGREE if all_named else DISAGREE
