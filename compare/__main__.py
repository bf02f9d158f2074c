"""``python -m compare``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # ``python -m`` puts the working folder first in the search path, where a random.py, say, would hide Python's.
    here = Path(__file__).resolve().parent.parent
    if Path(sys.path[0]).resolve() != here:
        if not sys.flags.safe_path:
            sys.path.append(sys.path.pop(0))
        sys.path.insert(0, str(here))

    from compare.cli import program

    sys.exit(program("python -m compare"))
