"""The tables of an audit, in Markdown, so that the terminal and README.md show the same; and its JSON."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.text import Text

#: After how many problems the tables show the sums, besides the last.
COLUMNS = (500, 1_000, 2_000, 5_000, 10_000, 20_000)

#: What the two trainings of a trial are, where they differ in something else than the gradient.
KINDS = {"concatenated LSTM": ("true, gates one by one", "true, gates equal")}

#: After how many steps back a table shows the carry.
STEPS_BACK = (8, 64, 256, 1_024)


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
    yield _sums(results)
    yield _complete(results)
    yield _losses(results)
    yield _repairs(results)
    yield _gradient_check(results)
    yield _carry(results)
    yield _recipes(results)


def show(results: dict[str, Any], console: Console) -> None:
    """Print the tables, and what the localiser finds wrong in each system."""
    console.print(f"Median (smallest to largest) of {results['starts']} starts, or of the number that a title names\n")
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
    """Return the median and range of shares, in percent."""
    median, *rest = spread(values, percent).split(" ", 1)
    return " ".join([median, "%", *rest])


def spread(values: Iterable[float], form: Callable[[float], str] = "{:.2f}".format) -> str:
    """Return the median and range of numbers."""
    low, median, high = (form(float(v)) for v in np.quantile(list(values), [0, 0.5, 1]))
    return median if low == high else f"{median} ({low} to {high})"


def complete(values: Iterable[float]) -> str:
    """Return of how many starts every sum is right."""
    values = list(values)
    return f"{sum(value == 1 for value in values)} of {len(values)}"


def _gradients(results: dict[str, Any]) -> Table:
    header = "system", "problems", "error at the start", "cosine", "error after training", "cosine", "found wrong"
    rows = []
    for name, system in results["systems"].items():
        numbers = dict.fromkeys(fault["equation"] for fault in system["faults"])
        missed = sorted(set(system["expected"]) ^ set(system["found"]))
        found = f"{', '.join(numbers) or 'nothing'}{f'; not as listed: {missed}' if missed else ''}"
        start, trained = system["at_start"], system["after_training"]
        cells = [spread(start["error"], _error), spread(start["cosine"], cosine)]
        cells += [spread(trained["error"], _error), spread(trained["cosine"], cosine)] if trained else ["—", "—"]
        rows.append([name, str(start["problems"]), *cells, found])
    starts = len(next(iter(results["systems"].values()))["at_start"]["error"])
    title = f"The published gradient against autograd's; error and cosine at the start from {starts} starts"
    return Table(title, header, rows)


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


def _sums(results: dict[str, Any]) -> Table:
    rows = []
    for title, kind, values in _trained(results):
        early = [shares(values[n]) if n in values else "" for n in COLUMNS]
        rows.append([title, kind, *early, shares(values[max(values)])])
    header = "trained", "gradient", *(f"{n:,}" for n in COLUMNS), "at the end"
    return Table("Sums right to the last bit, by number of problems", header, rows)


def _complete(results: dict[str, Any]) -> Table:
    rows = [
        [title, kind, *(complete(values[n]) if n in values else "" for n in COLUMNS), complete(values[max(values)])]
        for title, kind, values in _trained(results)
    ]
    header = "trained", "gradient", *(f"{n:,}" for n in COLUMNS), "at the end"
    return Table("Starts that get every sum right, by number of problems", header, rows)


def _losses(results: dict[str, Any]) -> Table:
    rows, first = [], 0
    for title, trial in results["trials"].items():
        if trial["value"].startswith("mean loss"):
            first = trial["problems"][0]
            for kind in ("true", "published"):
                rows.append([title, kind, *(spread(trial[kind][at], "{:.3f}".format) for at in (0, -1))])
    return Table("Mean loss of an epoch", ("trained", "gradient", f"{first:,}", "at the end"), rows)


def _repairs(results: dict[str, Any]) -> Table:
    repairs = {name: values for name, values in results["repairs"].items() if name != "problems"}
    rows = [[name, shares(values), complete(values)] for name, values in repairs.items()]
    title = f"The no-bias LSTM after {results['repairs']['problems']:,} problems"
    return Table(title, ("gradient", "sums right", "starts with every sum right"), rows)


def _gradient_check(results: dict[str, Any]) -> Table:
    check = results["gradient_check"]
    names = next(iter(check.values()))
    rows = [[name, *(spread(errors[name], _small_error) for errors in check.values())] for name in names]
    starts = len(next(iter(next(iter(check.values())).values())))
    title = f"Relative errors in the LSTM layer's check, which looked at weight_hh_f with 2 steps, from {starts} starts"
    return Table(title, ("gradient", *(f"{T} steps" for T in check)), rows)


def _carry(results: dict[str, Any]) -> Table:
    carry, rows = results["carry"], []
    for name in carry:
        if name != "steps_back":
            norms = dict(zip(carry["steps_back"], carry[name]["norm"]))
            rows.append([name, *(spread(norms[n], "{:z.1f}".format) for n in STEPS_BACK)])
    header = ("layer", *(f"{n:,} steps back" for n in STEPS_BACK))
    return Table("Norm of the carried gradient over that of the incoming one, log10", header, rows)


def _recipes(results: dict[str, Any]) -> Table:
    rows = []
    for name, end in results["recipes"].items():
        if end["value"].startswith("sums"):
            found = f"sums right: {shares(end['values'])}", complete(end["values"])
        else:
            found = f"loss: {spread(end['values'], '{:.3f}'.format)}", ""
        rows.append([f"`{name}`", f"{end['problems']:,}", *found])
    return Table("The recipes at their end", ("recipe", "problems", "result", "starts with every sum right"), rows)


def _error(error: float) -> str:
    return "0" if error < 1e-12 else f"{error:.2f}"


def _small_error(error: float) -> str:
    return "0" if error < 1e-12 else f"{error:.2g}"


def cosine(value: float) -> str:
    """Return a cosine to two digits, near 1 to three."""
    return "1" if value > 1 - 1e-9 else f"{value:.3f}" if value > 0.99 else f"{value:z.2f}"


def _findings(name: str, system: dict[str, Any], console: Console) -> None:
    """Print what the localiser says of a system; gates that share an equation and a hint are one line."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for fault in system["faults"]:
        where, gate = fault["name"], "" if fault["steps"] else fault["gate"]
        lines.setdefault((fault["equation"], where.removesuffix(f"_{gate}"), fault["hint"]), []).append(gate)
    console.print(Text(f"{name}: {len(lines) or 'nothing'} found", style="bold"))
    for (number, where, hint), gates in lines.items():
        console.print(
            f"    ({number}) {' '.join([where, *filter(None, gates)])}: {hint}", highlight=False, soft_wrap=True
        )
