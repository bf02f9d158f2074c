"""Every figure on the page of the write-ups, and about them in the main README, is that of ``audit.json``."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "compare" / "published" / "README.md").read_text()
MAIN = (ROOT / "README.md").read_text()
RESULTS = json.loads((ROOT / "compare" / "published" / "audit.json").read_text())

#: What a figure looks like: a share, a count of starts, a decimal number, a power of ten.
FIGURE = re.compile(r"\d[\d.,]* ?%|\b\d+ of \d+\b|(?<![\w.])-?\d+\.\d+\b|\b\d+(?:\.\d+)?e-?\d+\b|10\^|⁻")
