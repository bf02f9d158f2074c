"""Draw a report as a heat map of relative errors by name and step, for both runs."""

from pathlib import Path

import numpy as np

from compare.checker.compare import Compared
from compare.checker.report.findings import Findings
from compare.checker.report.printable import printable
from compare.files import replacing
from manual.arrays import Array

#: Smaller errors, including 0, get the colour of this one.
LEAST = 1e-16


def draw(report: Findings, path: Path) -> None:
    """Write a PNG file of the errors as the code runs and with the reference fed back."""
    from matplotlib.colors import LogNorm  # takes half a second to import
    from matplotlib.figure import Figure

    fed_back = {one.label: one for one in report.fed_back}
    stepped = [one for one in report.as_run if len(one.errors) > 1]
    rest = [one for one in report.as_run if len(one.errors) <= 1]
    figure = Figure(figsize=(8, 1.2 + 0.15 * (len(stepped) + len(rest))), layout="constrained")
    ratios = [max(len(stepped), 1), max(len(rest), 1)]
    grid = figure.subplots(2, 2, squeeze=False, sharey="row", gridspec_kw={"height_ratios": ratios})
    for column, title in enumerate(("as the code runs", "with the reference fed back")):
        for row, group in enumerate((stepped, rest)):
            axes = grid[row, column]
            ones = [one if column == 0 else fed_back.get(one.label, one) for one in group]
            image = axes.imshow(_errors(ones), norm=LogNorm(LEAST, 1.0, clip=True), cmap="inferno", aspect="auto")
            axes.set_yticks(range(len(ones)), [printable(one.label) for one in ones], fontsize=7, parse_math=False)
            if row == 0:
                axes.set_title(title)
                axes.set_xlabel("step")
            else:
                axes.set_xticks([])
    bar = figure.colorbar(image, ax=grid, label=f"relative error (line: tolerance {report.tolerance:.0e})")
    bar.ax.axhline(report.tolerance, color="white")
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=110)


def _errors(compared: list[Compared]) -> Array:
    """Return the errors as rows of equal length, NaN where a quantity has fewer steps."""
    width = max((len(one.errors) for one in compared), default=1)
    rows = np.full((max(len(compared), 1), max(width, 1)), np.nan)
    for row, one in zip(rows, compared):
        row[: len(one.errors)] = np.maximum(np.nan_to_num(one.errors, posinf=1.0), LEAST)
    return rows
