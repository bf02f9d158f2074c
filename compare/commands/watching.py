"""Check a file again whenever it is saved, and show what changed."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from compare.commands.output import to_whoever_reads

#: How long to wait between two looks at the files, in seconds.
INTERVAL = 0.2


def watch(check: Callable[[], Mapping[str, Any]], files: Iterable[Path]) -> None:
    """Check until interrupted. What cannot be checked is said, and waits for the next save."""
    files, before = list(files), None
    while True:
        saved = _saved(files)
        try:
            found = check()
        except ValueError as error:
            with to_whoever_reads():
                print(error)
        else:
            if before is not None:
                with to_whoever_reads():
                    print(changes(before, found))
            before = found
        while _saved(files) == saved:
            time.sleep(INTERVAL)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say what changed from one report to the next: each equation that is right, wrong or open, and was not before."""
    states = [{title: state for state in ("right", "open", "wrong") for title in one[state]} for one in (before, now)]
    changed: dict[str, list[str]] = {}
    for title, state in states[1].items():
        if states[0].get(title) != state:
            changed.setdefault(state, []).append(title)
    return "; ".join(f"Now {state}: {', '.join(titles)}" for state, titles in changed.items()) or "Nothing changed"


def _saved(files: list[Path]) -> list[tuple[int, int] | None]:
    """Return when each file was saved last, and its size; an editor may take it away for a moment."""
    return [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]
