"""The folder of a run: summary, steps, weights, figure and page. A folder that has a summary is complete."""

import csv
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.text import Text

from compare.converter import read_arrays, save
from compare.files import filling
from compare.lockstep.lockstep import GROUPS
from compare.lockstep.report import verdict
from compare.lockstep.training import Run
from compare.page import derivation
from compare.page import run as page

SUMMARY, WEIGHTS = "summary.json", "weights.safetensors"

#: Everything that a run may write.
FILES = (SUMMARY, "steps.csv", WEIGHTS, "run.html", "derivation.html", "agreement.png", "faults.png", "error_curve.png")

#: Up to so many parameters, the page of the derivation takes about a second, and a run leaves it.
MOST_PARAMETERS = 10_000


def write(run: Run, folder: Path) -> None:
    """Write ``summary.json``, ``steps.csv``, ``agreement.png``, ``run.html`` and the manual side's weights.

    Also write the run's own figures and, if nothing is wrong, ``derivation.html``. The weights are read back.
    """
    summary, columns = _summary(run), _columns(run)
    with filling(folder, *FILES) as path:
        (path / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
        with (path / "steps.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            rows.writerows(zip(*columns.values()))
        _save_weights(run, path / WEIGHTS)
        _draw(run, path / "agreement.png")
        page.write(summary, asdict(run.settings), columns, _derive(run, path / "derivation.html"), path / "run.html")
        for name, draw in run.figures.items():
            draw(path / name)


def _derive(run: Run, path: Path) -> bool | None:
    """Write the page of the derivation with the trained weights, unless that takes long or something is wrong.

    Returns:
        whether it has been written; None for a recipe's network, which has no such page.
    """
    if not run.settings.has_page:
        return None
    model = run.lockstep.manual.model
    if not run.agrees or sum(array.size for array in model.parameters.values()) > MOST_PARAMETERS:
        return False
    derivation.write(model, derivation.origin(len(run.lockstep.steps), run.settings.batch_size), path)
    return True


def _columns(run: Run) -> dict[str, list[float]]:
    """Return what each step measured, by column."""
    steps = run.lockstep.steps
    return {
        "step": list(range(1, len(steps) + 1)),
        "loss_manual": [step.loss_manual for step in steps],
        "loss_autograd": [step.loss_autograd for step in steps],
        **{group: [step.errors[group] for step in steps] for group in GROUPS},
        "drift": [step.drift for step in steps],
    }


def _save_weights(run: Run, path: Path) -> None:
    """Write the manual side's weights, and read them back."""
    model = run.lockstep.manual.model
    save(path, model, run.gates)
    read, _ = read_arrays(path, finite=False)
    if not all(np.array_equal(read[name], array, equal_nan=True) for name, array in model.parameters.items()):
        raise OSError(f"{path}: the weights that are read back are not those written")


def _summary(run: Run) -> dict[str, Any]:
    """Gather everything a script may ask for. JSON has only finite numbers, so all others are written as strings."""
    lockstep = run.lockstep
    names = ("accuracy", *(f"accuracy_{sums.bits}" for sums in run.correct_sums[1:]))
    summary = {
        "verdict": "interrupted" if run.interrupted else "agree" if run.agrees else "disagree",
        "sentence": Text.from_markup(verdict(run)).plain,
        "title": run.settings.title,
        "steps_taken": len(lockstep.steps),
        **asdict(run.settings),
        "versions": {name: version(name) for name in ("numpy", "torch")},
        "tolerance": lockstep.tolerance,
        "worst": {group: lockstep.worst_of(group) for group in GROUPS},
        "tensors": [
            {
                "compared": finding.group,
                "tensor": finding.difference.name,
                "error": finding.difference.error,
                "of_tolerance": finding.difference.used,
                "against": finding.opponent,
                "step": finding.step,
                "position": run.where(finding),
            }
            for finding in lockstep.worst_by_tensor()
        ],
        "disagreements": [
            {"against": f.opponent, "compared": f.group, "tensor": f.difference.name, "error": f.difference.error}
            for f in lockstep.worst.values()
            if not f.difference.agrees
        ],
        "faults": run.checked.titles,
        "fast_against_equations": run.checked.fast_error,
        "failures": lockstep.failures,
        "not_judged": lockstep.unjudged,
        "drift": lockstep.steps[-1].drift,
        **{name: {"manual": s.manual, "autograd": s.autograd} for name, s in zip(names, run.correct_sums)},
        "curves": run.curves,
        "sums": [asdict(sums) for sums in run.correct_sums],
        "examples": run.written_examples,
        "seconds_per_step": {what: sorted(spent)[len(spent) // 2] for what, spent in lockstep.seconds.items()},
    }
    finite: dict[str, Any] = json.loads(json.dumps(summary), parse_constant=str)
    return finite


def _draw(run: Run, path: Path) -> None:
    """Draw both loss curves, the error of each group per step with the tolerance, and the drift."""
    steps = run.lockstep.steps
    numbers = range(1, len(steps) + 1)
    figure = Figure(figsize=(8, 9), layout="constrained")
    losses, errors, drift = figure.subplots(3, 1, sharex=True)
    marker = "o" if len(steps) == 1 else "-"  # a line through one point shows nothing
    manual, autograd = [step.loss_manual for step in steps], [step.loss_autograd for step in steps]
    losses.plot(numbers, manual, marker, label="manual", linewidth=3, alpha=0.5)
    losses.plot(numbers, autograd, marker, label="autograd", linewidth=1, color="black")
    has_log = min(manual + autograd) > 0
    losses.set(yscale="log" if has_log else "linear", ylabel="loss", title=run.settings.title)
    losses.legend()
    for group in GROUPS:
        # A log axis cannot show an error of exactly 0, so it is left out.
        errors.plot(numbers, [step.errors[group] or None for step in steps], ".", markersize=3, label=group)
    errors.axhline(run.lockstep.tolerance, color="red", linestyle="--", label="tolerance")
    errors.set(yscale="log", ylabel="worst relative error")
    errors.legend(ncols=3, fontsize="small", loc="upper right", bbox_to_anchor=(1, 0.9))  # below the tolerance
    drift.plot(numbers, [step.drift or None for step in steps], marker, color="tab:purple")
    drift.set(yscale="log", ylabel="drift", xlabel="step")
    drift.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axes in (losses, errors, drift):
        axes.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
