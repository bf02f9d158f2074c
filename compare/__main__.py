"""``python -m compare``."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # ``python -m`` puts the working folder first in the search path, where any manual.py would hide this project's.
    here = Path(__file__).resolve().parent.parent
    if Path(sys.path[0]).resolve() != here:
        sys.path.insert(0, str(here))

    from compare.cli import main

    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on; the exit status still says what came out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
