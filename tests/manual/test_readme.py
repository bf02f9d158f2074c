"""The guide to the equations quotes them."""

import re
from pathlib import Path

import manual

FOLDER = Path(manual.__file__).parent


def test_the_quoted_lines_stand_in_the_text():
    quoted = re.findall(r"`([^`]*# \(L\d+\))`", (FOLDER / "README.md").read_text())
    assert len(quoted) >= 3
    assert set(quoted) <= {line.strip() for line in (FOLDER / "lstm.py").read_text().splitlines()}
