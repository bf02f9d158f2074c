"""What the check makes of a program: is a fault caught, are its lines named, and is the repair right?"""

import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from bed import CASES
from compare.checker.lines.fix import fixed


def tried(name: str, number: int) -> dict:
    """Return what the check makes of a program, right (0) or with a fault."""
    case = CASES[name]
    fault = case.faults[number - 1] if number else None
    record = {"name": f"{name}:{number}", "program": case.kind, "fault": fault.kind if fault else ""}
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as folder:
        path = case.write(fault.program if fault else case.program, Path(folder))
        started = time.process_time()
        try:
            report = case.check(path)
            found = report.as_json()
        except Exception as problem:  # of the checker's: nothing is found then
            found = {"verdict": repr(problem)}
        record |= {"verdict": found["verdict"], "seconds": time.process_time() - started}
        if fault and found["verdict"] == "disagree":
            places = {one.line: one.span[2] for wrong in report.wrong_lines for one in wrong.changes}
            places |= {one.line: one.line for one in report.misfits}
            repaired, lines = fixed(path, found["faults"])
            path.write_bytes(repaired)
            record |= {"caught": True, "repair given": bool(lines), "repair right": bool(lines) and case.is_right(path)}
            record |= judged(fault.lines, places)
    return record


def judged(wrong: set[int], places: dict[int, int]) -> dict[str, bool]:
    """Judge the statements that a report names, alone or as one of several, in a finding or in a note.

    They are exact if every wrong line is in one of them and at most one other is named.

    Args:
        wrong: the wrong lines.
        places: the first line of each statement, and its last.
    """
    wrong = {next((first for first, last in places.items() if first <= line <= last), line) for line in wrong}
    exact = wrong <= places.keys() and len(places) <= len(wrong) + 1
    return {"exact": exact, "innocent lines only": bool(places) and not wrong & places.keys()}
