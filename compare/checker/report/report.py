"""The report of a check: its findings, to print, to draw and to read from a script."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from compare.checker.compare import Compared
from compare.checker.report import picture, wording
from compare.checker.report.findings import Findings
from compare.checker.report.printable import finite

#: The version of what ``Report.as_json`` returns; a key that is taken away or means something else makes a new one.
VERSION = 1

#: The width of a plain-text report, in columns.
WIDTH = 120


class Report(Findings):
    """What a check found, to print, to draw and to read from a script."""

    def __str__(self) -> str:
        text = StringIO()
        self.show(Console(file=text, width=WIDTH, color_system=None))
        return text.getvalue().rstrip()

    def __repr__(self) -> str:
        return f"<Report: {self.verdict().plain}>"

    def _repr_html_(self) -> str:
        """Return the report for a notebook, with the colours of a terminal."""
        console = Console(file=StringIO(), width=WIDTH, record=True)
        self.show(console)
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")

    @property
    def message(self) -> str:
        """The report as plain text with the verdict first: pytest shows the first line of an assertion's message."""
        *findings, last = str(self).splitlines()
        return "\n".join([last, *findings])

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
            "version": VERSION,
            "verdict": self.outcome,
            "kinds": ["equation"] if self.placed else self.kinds,
            "subject": self.subject,
            "dtype": self.dtype,
            "tolerance": self.tolerance,
            "question": self.question,
            "misfits": [{"file": one.file, "line": one.line, "problem": one.words} for one in self.misfits],
            "faults": [fault.as_json() for fault in self.faults] if not self.unsteady else [],
            "not_sought": self.not_sought,
            "misplaced": [fault.as_json() for fault in self.misplaced],
            "unused": self.unused,
            "changed": self.changed,
            "consequences": self.hidden,
            "add_probes": self.unrecorded if self.hidden or not self.placed else [],
            "unsteady": self.unsteady,
            "arguments_changed": list(self.written),
            "left_out": list(self.left_out),
            "right": list(self.progress.right),
            "wrong": list(self.progress.wrong),
            "open": list(self.progress.open),
            "broken": [vars(breach) for breach in self.broken],
            "less_accurate": self.less_accurate,
            "set_aside": self.aside,
            "not_judged": self.undecided,
            "not_exercised": self.not_exercised,
            "sizes": [{"size": size.label, "agrees": size.agrees, "raised": size.raised} for size in self.sizes],
            "as_run": {one.label: _worst(one) for one in self.as_run},
            "fed_back": {one.label: _worst(one) for one in self.fed_back},
            "limits": {one.label: float(one.limits.max()) if len(one.limits) else 0.0 for one in self.as_run},
        }


def _worst(one: Compared) -> float | str:
    return finite(one.errors.max() if len(one.errors) else np.inf)
