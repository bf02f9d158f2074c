"""``score``: how many of the known faults the checker catches and names correctly."""

import argparse
import json
from dataclasses import asdict
from importlib.util import find_spec

from rich.table import Table
from rich.text import Text

from compare.commands import AGREE, DISAGREE
from compare.commands.output import console
from compare.diagnosis.catalogue import COMPILED, FAST, FAULTS, FastFault, TextFault
from compare.diagnosis.equations import equation
from compare.diagnosis.scoring import Scored, score


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output format."""
    parser.description = (
        "Inject each fault of the catalogue into a copy of the source, one at a time, and check the result. A fault is "
        "caught if anything differs. A fault of the text is named correctly if the check reports exactly the equations "
        "that the fault broke, at the steps and in the rows where it broke them; a fault of a fast kernel, if exactly "
        "the outputs and gradients that it broke differ from the text's. Compiled kernels take part where Numba is "
        "installed. Exit status: 0 all are named correctly, 1 not "
        "all are."
    )
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")


def run(options: argparse.Namespace) -> int:
    """Score all faults, and print one line for each."""
    faults: list[TextFault | FastFault] = [*FAULTS, *FAST, *(COMPILED if find_spec("numba") else [])]
    scored = [score(fault) for fault in faults]
    all_named = all(entry.caught and entry.named for entry in scored)
    if options.json:
        print(json.dumps([asdict(entry) for entry in scored], indent=2))
        return AGREE if all_named else DISAGREE
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "fault", "caught", "named", "as"):
        table.add_column(column)
    for entry in scored:
        marks = [
            Text("yes" if good else "NO", style="green" if good else "bold red") for good in (entry.caught, entry.named)
        ]
        table.add_row(_part(entry), entry.injected.title, *marks, _said(entry))
    console(140).print(table)
    for part in dict.fromkeys(map(_part, scored)):
        own = [entry for entry in scored if _part(entry) == part]
        caught, named = (sum(getattr(entry, what) for entry in own) for what in ("caught", "named"))
        print(f"{part}: {caught} of {len(own)} caught, {named} of {len(own)} named correctly")
    return AGREE if all_named else DISAGREE


def _part(entry: Scored) -> str:
    """Return the part of the source that a fault was put into."""
    cell = entry.injected.cell.partition(",")[0]
    if not isinstance(entry.injected, FastFault):
        return cell
    return f"{cell}, compiled" if entry.injected.engine == "compiled" else f"{cell}, fast"


def _said(entry: Scored) -> str:
    """Return what the checker said of a fault."""
    if isinstance(entry.injected, FastFault):
        return f"fast against text: {', '.join(entry.found)}"
    numbers = {equation(entry.injected.cell, name.partition("[")[0]).number or name for name in entry.found}
    return f"({', '.join(sorted(numbers))}) {entry.hints[0] if entry.hints else ''}".rstrip()
