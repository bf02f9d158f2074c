"""The figures of an audit: what is learnt by the true and the published gradients, and how far a gradient carries."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from compare.published.audit_tables import KINDS

#: The numbers of problems that stand on an axis.
TICKS = (100, 1_000, 10_000, 100_000)


def draw_answer(results: dict[str, Any], path: Path) -> None:
    """Draw what the first write-up's networks learn: the LSTM by both gradients, and the RNN."""
    lstm, rnn = results["trials"]["no-bias LSTM"], results["trials"]["RNN, MATLAB"]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    _band(axes, lstm["problems"], lstm["true"], "LSTM, gradient corrected", "tab:blue")
    _band(axes, lstm["problems"], lstm["published"], "LSTM, as published", "tab:red", "--")
    _band(axes, rnn["problems"], rnn["published"], "RNN, as published", "tab:gray", "-.")
    axes.set_title(f"Median, quartiles and range of {results['starts']} starts")
    _show_sums(axes, lstm["problems"][-1])
    axes.legend(loc="center right")
    _save(figure, path)


def draw_trials(results: dict[str, Any], path: Path) -> None:
    """Draw a panel for each trial, with a band for each of the two gradients."""
    trials = results["trials"]
    columns = 2
    rows = -(-len(trials) // columns)
    figure = Figure(figsize=(5 * columns, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(trials) :]:
        panel.set_axis_off()
    for axes, (title, trial) in zip(panels, trials.items()):
        true, published = KINDS.get(title, ("true gradient", "published gradient"))
        _band(axes, trial["problems"], trial["true"], true.removeprefix("true, "), "tab:blue")
        _band(axes, trial["problems"], trial["published"], published.removeprefix("true, "), "tab:red", "--")
        axes.set_title(title)
        if trial["value"].startswith("sums"):
            _show_sums(axes, trial["problems"][-1])
        else:
            axes.set(xlabel="problems", ylabel=trial["value"])
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.grid(alpha=0.3)
        if title in KINDS:
            axes.legend(loc="upper left", fontsize="small")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        title=f"Median, quartiles and range of {results['starts']} starts",
    )
    _save(figure, path)


def draw_carry(results: dict[str, Any], path: Path) -> None:
    """Draw the norm of the carry by steps back, a band for each layer; dotted, its bound or its cells alone."""
    carry = results["carry"]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(name for name in carry if name != "steps_back"):
        _band(axes, carry["steps_back"], carry[name]["norm"], name, f"C{k}")
        dotted = np.median(carry[name]["bound"], axis=1)
        axes.plot(carry["steps_back"], dotted, color=f"C{k}", linestyle=":", linewidth=1)
    axes.set(
        xlabel="steps back",
        ylabel="log10 of the norm, relative to the incoming gradient",
        title=f"A gradient carried back: median, quartiles and range of {results['starts']} starts\n"
        "dotted: of an RNN the bound (V2), of an LSTM the part through the cells alone (V4)",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower left")
    _save(figure, path)


def _show_sums(axes: Axes, last: int) -> None:
    """Make the axes those of a share of sums by the number of problems, at most ``last``."""
    axes.set(xlabel="problems", ylabel="sums right", xscale="log", ylim=(-0.03, 1.03))
    axes.minorticks_off()
    ticks = [tick for tick in TICKS if tick <= 1.01 * last]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)


def _band(axes: Axes, x: Any, values: Any, label: str, colour: str, style: str = "-") -> None:
    """Draw the median of the starts over their quartiles and their range; values are (len(x), starts)."""
    low, first, median, third, high = np.quantile(np.asarray(values), [0, 0.25, 0.5, 0.75, 1], axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.fill_between(x, first, third, color=colour, alpha=0.3, linewidth=0)
    axes.plot(x, median, style, color=colour, linewidth=1.8, label=label)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", dpi=100)
