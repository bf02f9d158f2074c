"""The figures of an audit: what is learnt by the true and the published gradients, and how far a gradient carries."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from compare.published.audit.tables import KINDS, wilson

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
    axes.set_title(f"Median, quartiles, and 5 to 95 % of {results['seeds']} seeds")
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
        title=f"Median, quartiles, and 5 to 95 % of {results['seeds']} seeds",
    )
    _save(figure, path)


def draw_kept(results: dict[str, Any], path: Path) -> None:
    """Draw how many networks get every sum right, with the remedies against losing that, and the deepest fall."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    counts, fall = figure.subplots(2, 1)
    for colour, (words, curve) in zip(("tab:blue", "tab:orange", "tab:green"), results["remedies"].items()):
        right = [sum(share == 1 for share in values) for values in curve["values"]]
        low, high = zip(*(wilson(count, results["seeds"]) for count in right))
        counts.fill_between(curve["problems"], low, high, color=colour, alpha=0.2, linewidth=0)
        counts.plot(curve["problems"], np.array(right) / results["seeds"], color=colour, marker=".", label=words)
    counts.set(ylabel="networks with every sum right", ylim=(-0.03, 1.03))
    counts.set_title(f"Of {results['seeds']} seeds, with the 95 % interval")
    counts.legend(loc="lower right")
    if found := results["fall"]:
        fall.set_title(f"The deepest fall: seed {found['seed']}, rate 0.1")
        fall.plot(found["problems"], found["values"], color="tab:blue", label="sums right")
        lengths = fall.twinx()
        numbers = found["first"] + 1 + np.arange(len(found["steps"]))
        lengths.plot(numbers, found["steps"], ".", color="tab:red", markersize=2)
        lengths.set(yscale="log", ylim=(1e-4, 30))
        lengths.set_ylabel("length of the step", color="tab:red")
        fall.set(ylabel="sums right", ylim=(-0.03, 1.03))
        fall.yaxis.label.set_color("tab:blue")
    for axes in (counts, fall):
        axes.set_xlabel("problems")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
    _save(figure, path)


def draw_compared(results: dict[str, Any], path: Path) -> None:
    """Draw LSTM and RNN with equal units and equal loss: a panel for each number of units and each loss."""
    losses = {"bce": "cross-entropy", "mse": "squared error"}
    units = sorted({one["units"] for one in results["compared"]})
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    panels = figure.subplots(len(losses), len(units), sharex=True, sharey=True)
    for row, (loss, words) in zip(panels, losses.items()):
        for axes, size in zip(row, units):
            for one in results["compared"]:
                if (one["loss"], one["units"]) == (loss, size):
                    colour, style = ("tab:blue", "-") if one["cell"] == "LSTM" else ("tab:gray", "-.")
                    _band(axes, one["problems"], one["values"], one["cell"], colour, style)
            _show_sums(axes, 20_000)
            axes.set_title(f"{size} units, {words}", fontsize="medium")
            axes.label_outer()
    panels[0, 0].legend(loc="upper left")
    figure.suptitle(f"Median, quartiles, and 5 to 95 % of {results['seeds']} seeds")
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
        title=f"A gradient carried back: median, quartiles, and 5 to 95 % of {results['seeds']} seeds\n"
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
    """Draw the median of the seeds over their quartiles and 90 % of them; values are (len(x), seeds)."""
    low, first, median, third, high = np.quantile(np.asarray(values), [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.fill_between(x, first, third, color=colour, alpha=0.3, linewidth=0)
    axes.plot(x, median, style, color=colour, linewidth=1.8, label=label)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", dpi=100)
