"""Programs with faults, written by another hand than the checker's: how often is the right line named?"""

from pathlib import Path

from bed.case import Case

__all__ = ["CASES", "RESULTS"]

CASES = {file.stem: Case(file) for file in sorted((Path(__file__).parent / "programs").glob("*.txt"))}

#: What ``python -m bed`` writes.
RESULTS = Path(__file__).parent / "results.json"
