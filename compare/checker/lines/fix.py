"""Write the right lines into a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def fixed(path: Path, faults: Sequence[Mapping[str, Any]]) -> tuple[bytes, list[int]]:
    """Return a file with the right lines, and the numbers of those that were replaced.

    Args:
        path: the file.
        faults: as ``Report.as_json`` has them.
    """
    content = path.read_bytes()
    starts = [0]
    for text in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    repairs = {
        tuple(fault["span"]): fault["repair"]
        for fault in faults
        if fault["repair"] and Path(fault["file"]).resolve() == path.resolve()
    }
    for (line, column, last, end), repair in sorted(repairs.items(), reverse=True):
        content = content[: starts[line - 1] + column] + repair.encode() + content[starts[last - 1] + end :]
    return content, sorted(span[0] for span in repairs)
