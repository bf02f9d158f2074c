"""``python -m compare``."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # ``python -m`` puts the working folder first in the search path, where a random.py, say, would hide Python's.
    here = Path(__file__).resolve().parent.parent
    if Path(sys.path[0]).resolve() != here:
        if not sys.flags.safe_path:
            sys.path.append(sys.path.pop(0))
        sys.path.insert(0, str(here))
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, and the next file would take its place
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115 - until the end

    from compare.cli import main

    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on; the exit status still says what came out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
