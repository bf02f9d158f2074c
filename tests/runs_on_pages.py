"""Runs of any length to be shown on a page, and what the page shows of their curves."""

import csv
from dataclasses import replace

import numpy as np

from compare.lockstep.lockstep import GROUPS

SERIES = ("loss_manual", "loss_autograd", *GROUPS, "drift")


def lengthened(run, count: int):
    """Give a run ``count`` steps of which each has values of its own, and every fifth an error of 0."""
    rng = np.random.default_rng(3)
    run.lockstep.steps[:] = [
        replace(
            run.lockstep.steps[0],
            loss_manual=0.7 / (1 + k) + rng.uniform(0, 0.01),
            loss_autograd=0.7 / (1 + k) + rng.uniform(0, 0.01),
            errors={group: 0.0 if k % 5 == 0 else 10 ** rng.uniform(-17, -14) for group in GROUPS},
            drift=1e-15 * (1 + k),
        )
        for k in range(count)
    ]
    return run


def rows(folder) -> list[dict[str, str]]:
    with (folder / "steps.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def shown_values(tab) -> dict[str, str]:
    return {name: tab.locator(f'[data-series="{name}"]').inner_text() for name in SERIES}


def steps_on_axis(tab) -> list[int]:
    """Return the labels of the axis of steps, which all plots share."""
    axes = [plot.locator(".x-axis span").all_inner_texts() for plot in tab.locator(".plot").all()]
    assert axes[0] == axes[1] == axes[2]
    return [int(label.replace(",", "")) for label in axes[0]]


def drag(tab, start: float, end: float, plot: int = 0) -> None:
    """Drag across a plot, between two shares of its width."""
    box = tab.locator(".plot svg").nth(plot).bounding_box()
    across, middle = (lambda share: box["x"] + share * box["width"]), box["y"] + box["height"] / 2
    tab.mouse.move(across(start), middle)
    tab.mouse.down()
    tab.mouse.move(across((start + end) / 2), middle)
    tab.mouse.move(across(end), middle)
    tab.mouse.up()
