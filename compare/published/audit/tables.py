"""The tables of an audit, in Markdown, so that the terminal and README.md show the same; and its JSON."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.text import Text

#: The standard score of a two-sided interval of 95 %.
SCORE = 1.959964


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of the share of which ``count`` in ``of`` were seen.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share, weight = count / of, SCORE**2 / of
    centre, half = share + weight / 2, SCORE * math.sqrt(share * (1 - share) / of + weight / (4 * of))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    return max(0.0, low) if count else 0.0, min(1.0, high) if count < of else 1.0


#: After how many problems the tables show the sums, besides the last.
COLUMNS = (500, 1_000, 2_000, 5_000, 10_000)

#: After how many problems it is counted which networks get every sum right, and which have lost that.
KEPT = (1_000, 2_000, 5_000, 10_000, 20_000)

#: After how many problems the table of long numbers shows them.
LONG = (2_000, 5_000, 10_000, 20_000)

#: What the two trainings of a trial are, where they differ in something else than the gradient.
KINDS = {"concatenated LSTM": ("true, gates one by one", "true, gates equal")}

#: After how many steps back a table shows the carry.
STEPS_BACK = (8, 64, 256, 1_024)


#: Says in a cell what values are.
Said = Callable[[Iterable[float]], str]


class Table(NamedTuple):
    """A table and its title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return the table in Markdown, its columns aligned."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows)]
        lines = [self.header, ["-" * width for width in widths], *self.rows]
        return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """Yield every table of an audit's results."""
    yield _gradients(results)
    yield _by_problems(results, "Sums right to the last bit", shares)
    yield _by_problems(results, "Seeds that get every sum right", complete)
    yield _losses(results)
    yield _repairs(results)
    yield _remedies(results)
    yield _compared(results)
    yield _long(results)
    yield _gradient_check(results)
    yield _carry(results)
    yield _recipes(results)


def show(results: dict[str, Any], console: Console) -> None:
    """Print the tables, and what the localiser finds wrong in each system."""
    console.print(f"Of {results['seeds']} seeds: medians (5 to 95 % of them), counts (95 % interval for all seeds)\n")
    for table in tables(results):
        console.print(table.title, style="bold", highlight=False, soft_wrap=True)
        console.print(Text(table.markdown()), soft_wrap=True)
        console.print()
    for name, system in results["systems"].items():
        _findings(name, system, console)


def as_text(results: dict[str, Any]) -> str:
    """Return the results as JSON, each list of numbers on a line of its own."""
    text = json.dumps(results, indent=2, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def percent(share: float) -> str:
    """Return a share in percent, to one digit after the point; near 100 to two, and never rounded up to 100."""
    if share == 1:
        return "100"
    return f"{math.floor(share * 1e4) / 100:.2f}" if share > 0.999 else f"{share:.1%}"[:-1]


def shares(values: Iterable[float]) -> str:
    """Return the median of shares and 5 to 95 % of them, in percent."""
    median, *rest = quantiles(values, percent).split(" ", 1)
    return " ".join([median, "%", *rest])


def quantiles(values: Iterable[float], form: Callable[[float], str] = "{:.2f}".format) -> str:
    """Return the median of numbers and 5 to 95 % of them."""
    low, median, high = (form(float(value)) for value in np.quantile(list(values), [0.05, 0.5, 0.95]))
    return median if low == high else f"{median} ({low} to {high})"


def counted(count: int, of: int) -> str:
    """Return a count and the 95 % interval of the share of all seeds, in percent."""
    low, high = wilson(count, of)
    return f"{count} of {of} ({100 * low:.0f} to {100 * high:.0f} %)"


def complete(values: Iterable[float]) -> str:
    """Return from how many seeds every sum is right."""
    right = [value == 1 for value in values]
    return counted(sum(right), len(right))


def _gradients(results: dict[str, Any]) -> Table:
    header = "system", "problems", "error at the start", "cosine", "error after training", "cosine", "found wrong"
    rows = []
    for name, system in results["systems"].items():
        numbers = dict.fromkeys(fault["equation"] for fault in system["faults"])
        missed = sorted(set(system["expected"]) ^ set(system["found"]))
        found = f"{', '.join(numbers) or 'nothing'}{f'; not as listed: {missed}' if missed else ''}"
        start, trained = system["at_start"], system["after_training"]
        cells = [quantiles(start["error"], _error), quantiles(start["cosine"], cosine)]
        cells += [quantiles(trained["error"], _error), quantiles(trained["cosine"], cosine)] if trained else ["—", "—"]
        rows.append([name, str(start["problems"]), *cells, found])
    return Table("The published gradient against autograd's", header, rows)


def _trained(results: dict[str, Any]) -> Iterator[tuple[str, str, dict[int, list[float]]]]:
    """Yield title, gradient and values by problems of every training on sums; one that several trials share, once."""
    shown: list[dict[int, list[float]]] = []
    for title, trial in results["trials"].items():
        same = trial["true"] == trial["published"]
        for kind, words in zip(("true",) if same else ("true", "published"), KINDS.get(title, ("true", "published"))):
            values = dict(zip(trial["problems"], trial[kind]))
            again = any(all(other.get(n) == found for n, found in values.items()) for other in shown)
            if trial["value"].startswith("sums") and not again:
                shown.append(values)
                yield title, "both" if same else words, values


def _by_problems(results: dict[str, Any], what: str, said: Said) -> Table:
    rows = [
        [title, kind, *_at(values, COLUMNS, said), said(values[max(values)])]
        for title, kind, values in _trained(results)
    ]
    header = "trained", "gradient", *(f"{n:,}" for n in COLUMNS), "at the end"
    return Table(f"{what}, by number of problems", header, rows)


def _at(values: dict[int, list[float]], numbers: Iterable[int], said: Said) -> list[str]:
    """Say what the values are after so many problems, where they were taken."""
    return [said(values[n]) if n in values else "" for n in numbers]


def _losses(results: dict[str, Any]) -> Table:
    rows, first = [], 0
    for title, trial in results["trials"].items():
        if trial["value"].startswith("mean loss"):
            first = trial["problems"][0]
            for kind in ("true", "published"):
                rows.append([title, kind, *(quantiles(trial[kind][at], "{:.3f}".format) for at in (0, -1))])
    return Table("Mean loss of an epoch", ("trained", "gradient", f"{first:,}", "at the end"), rows)


def _repairs(results: dict[str, Any]) -> Table:
    repairs = {name: values for name, values in results["repairs"].items() if name != "problems"}
    rows = [[name, shares(values), complete(values)] for name, values in repairs.items()]
    title = f"The no-bias LSTM after {results['repairs']['problems']:,} problems"
    return Table(title, ("gradient", "sums right", "every sum right"), rows)


def _remedies(results: dict[str, Any]) -> Table:
    rows = []
    for words, curve in results["remedies"].items():
        right = _at(dict(zip(curve["problems"], curve["values"])), KEPT, complete)
        rows.append([words, *right, lost(curve), f"{percent(lowest(curve))} %"])
    header = "descent", *(f"{n:,}" for n in KEPT), "had it and lost it", "lowest after that"
    return Table(
        "No-bias LSTMs with every sum right, and those that had that at one look and not at a later one", header, rows
    )


def lost(curve: dict[str, Any]) -> str:
    """Return how many networks had every sum right at one look and not at a later one, of all that ever had."""
    right = np.array(curve["values"]) == 1  # (looks, seeds)
    had = np.maximum.accumulate(right, axis=0)
    return counted(int((had & ~right).any(axis=0).sum()), int(had[-1].sum())) if had[-1].any() else "0 of 0"


def lowest(curve: dict[str, Any]) -> float:
    """Return the smallest share of sums right of any network at a look after it had all of them right."""
    shares = np.array(curve["values"])
    return float(np.where(np.maximum.accumulate(shares == 1, axis=0), shares, 1).min())


def _compared(results: dict[str, Any]) -> Table:
    rows = []
    for one in results["compared"]:
        values = dict(zip(one["problems"], one["values"]))
        loss = {"bce": "cross-entropy", "mse": "squared error"}[one["loss"]]
        cells = _at(values, (1_000, 5_000, 10_000), shares)
        rows.append([one["cell"], loss, str(one["units"]), *cells, complete(values[max(values)])])
    header = "cell", "loss", "units", "1,000", "5,000", "10,000", "every sum right at the end"
    return Table("LSTM and RNN with equal units and equal loss: sums right, by number of problems", header, rows)


def _long(results: dict[str, Any]) -> Table:
    rows = [
        [cell, *_at(dict(zip(curve["problems"], curve["values"])), LONG, shares)]
        for cell, curve in results["long"].items()
    ]
    return Table("Sums of 16 bits right, by number of problems", ("cell", *(f"{n:,}" for n in LONG)), rows)


def _gradient_check(results: dict[str, Any]) -> Table:
    check = results["gradient_check"]
    names, said = next(iter(check.values())), partial(_error, form=".2g")
    rows = [[name, *(quantiles(errors[name], said) for errors in check.values())] for name in names]
    title = "Relative errors in the LSTM layer's check, which looked at weight_hh_f with 2 steps"
    return Table(title, ("gradient", *(f"{T} steps" for T in check)), rows)


def _carry(results: dict[str, Any]) -> Table:
    carry, rows = results["carry"], []
    for name in carry:
        if name != "steps_back":
            norms = dict(zip(carry["steps_back"], carry[name]["norm"]))
            rows.append([name, *(quantiles(norms[n], "{:z.1f}".format) for n in STEPS_BACK)])
    header = ("layer", *(f"{n:,} steps back" for n in STEPS_BACK))
    return Table("Norm of the carried gradient over that of the incoming one, log10", header, rows)


def _recipes(results: dict[str, Any]) -> Table:
    rows = []
    for name, end in results["recipes"].items():
        if end["value"].startswith("sums"):
            found = f"sums right: {shares(end['values'])}", complete(end["values"])
        else:
            found = f"loss: {quantiles(end['values'], '{:.3f}'.format)}", ""
        rows.append([f"`{name}`", f"{end['problems']:,}", *found])
    return Table("The recipes at their end", ("recipe", "problems", "result", "every sum right"), rows)


def _error(error: float, form: str = ".2f") -> str:
    return "0" if error < 1e-12 else format(error, form)


def cosine(value: float) -> str:
    """Return a cosine to two digits, near 1 to three."""
    return "1" if value > 1 - 1e-9 else f"{value:.3f}" if value > 0.99 else f"{value:z.2f}"


def _findings(name: str, system: dict[str, Any], console: Console) -> None:
    """Print what the localiser says of a system; gates that share an equation are one line."""
    lines: dict[tuple[str, str], list[str]] = {}
    for fault in system["faults"]:
        where, gate = fault["name"], "" if fault["steps"] else fault["gate"]
        lines.setdefault((fault["equation"], where.removesuffix(f"_{gate}")), []).append(gate)
    console.print(Text(f"{name}: {len(lines) or 'nothing'} found", style="bold"))
    for (number, where), gates in lines.items():
        console.print(f"    ({number}) {' '.join([where, *filter(None, gates)])}", highlight=False, soft_wrap=True)
