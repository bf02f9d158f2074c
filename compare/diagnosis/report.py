"""The report of a check: its findings, to print, to draw and to read from a script."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from compare.diagnosis import picture, wording
from compare.diagnosis.comparing import Compared
from compare.diagnosis.findings import Findings, finite


class Report(Findings):
    """The findings of a check, with their words and their picture."""

    def __str__(self) -> str:
        """Return the report as plain text."""
        return wording.plain(self)

    def show(self, console: Console) -> None:
        """Print the findings and the verdict."""
        wording.show(self, console)

    def verdict(self) -> Text:
        """Return the verdict on one line."""
        return wording.verdict(self)

    def draw(self, path: Path | str) -> None:
        """Write a heat map of the errors by name and step, as the code runs and with the reference fed back."""
        picture.draw(self, Path(path))

    def as_json(self) -> dict[str, Any]:
        """Return everything a script may need; numbers that are not finite become strings, since JSON has none."""
        return {
            "verdict": "agree" if self.agrees else "disagree",
            "kinds": self.kinds,
            "subject": self.subject,
            "dtype": self.dtype,
            "tolerance": self.tolerance,
            "faults": [fault.as_json() for fault in self.faults] if not self.unsteady else [],
            "misplaced": [fault.as_json() for fault in self.misplaced],
            "unused": self.unused,
            "changed": self.changed,
            "consequences": self.consequences,
            "add_probes": self.unshown,
            "explanation": self.explanation,
            "unsteady": self.unsteady,
            "arguments_changed": list(self.written),
            "left_out": list(self.left_out),
            "sizes": [{"size": size.label, "agrees": size.agrees, "raised": size.raised} for size in self.sizes],
            "chained": {one.label: _worst(one) for one in self.chained},
            "forced": {one.label: _worst(one) for one in self.forced},
            "limits": {one.label: float(one.limits.max()) if len(one.limits) else 0.0 for one in self.chained},
        }


def _worst(one: Compared) -> float | str:
    return finite(one.errors.max() if len(one.errors) else np.inf)
