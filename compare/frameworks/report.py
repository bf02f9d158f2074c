"""The findings of ``frameworks``: tables in the terminal and in Markdown, a figure, and JSON."""

import json
import re
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from compare.agreement import TOLERANCES
from compare.files import filling
from compare.frameworks.comparison import Comparison, Dispute, Findings
from compare.frameworks.layouts import FORMS, LAYOUTS
from compare.frameworks.registry import FRAMEWORKS

#: The two lines of a README.md that enclose the tables.
BEGIN, END = "<!-- frameworks: begin -->", "<!-- frameworks: end -->"

#: A table: its title, its head, and its rows.
Rows = tuple[str, list[str], list[list[str]]]


def show(findings: Findings, console: Console) -> None:
    """Print the tables, what disagrees, what is missing, and the verdict."""
    for title, head, rows in tables(findings):
        console.print(title, style="bold", soft_wrap=True, highlight=False)
        table = Table(box=None)
        for k, name in enumerate(head):
            table.add_column(name, justify="right" if k else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in (*evidence(findings), *lacking(findings), *not_installed(findings), verdict(findings)):
        console.print(line, soft_wrap=True, highlight=False)


def write(findings: Findings, folder: Path) -> None:
    """Write ``README.md``, ``frameworks.json`` and ``frameworks.png``.

    An existing README.md keeps everything outside the two lines that enclose the tables.
    """
    readme = folder / "README.md"
    before = readme.read_text() if readme.exists() else f"{BEGIN}\n{END}\n"
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
    with filling(folder, "frameworks.json", "frameworks.png", readme.name) as path:
        (path / "frameworks.json").write_text(json.dumps(as_json(findings), indent=1) + "\n")
        draw(findings, path / "frameworks.png")
        (path / readme.name).write_text(between.sub(lambda _: markdown(findings), before))


def markdown(findings: Findings) -> str:
    """Return the tables and the evidence in Markdown."""
    parts = [f"Measured on {date.today().isoformat()}. {verdict(findings)}\n"]
    for title, head, rows in tables(findings):
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        parts.append("\n".join([f"{title}\n", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n")
    notes = [*evidence(findings), *lacking(findings), *not_installed(findings)]
    if notes:
        parts.append("\n".join(f"- {line}" for line in notes) + "\n")
    return "\n".join(parts)


def tables(findings: Findings) -> list[Rows]:
    """Return the two tables: agreement by form, and accuracy, time and memory."""
    names = [name for name in FRAMEWORKS if name in findings.versions]
    errors = [[FRAMEWORKS[name].title, *(_cell(findings, name, form) for form in FORMS)] for name in names]
    costs = []
    for name in ["manual", *names]:
        own = _of(findings, name)
        done = [one for one in own if not one.problem]
        lstms = [c for c in done if (c.case.form, c.case.directions, c.case.dtype) == ("lstm", 1, "float32")]
        timed = max(lstms, key=lambda one: one.case.T * one.case.H, default=None)  # the largest
        peak = max((one.peak or 0 for one in done), default=0)
        title = FRAMEWORKS[name].title if name in FRAMEWORKS else name
        versions = ", ".join(f"{module.partition('.')[0]} {v}" for module, v in findings.versions[name].items())
        costs.append(
            [
                title,
                versions,
                *(_ulps(done, dtype) for dtype in TOLERANCES),
                _seconds(timed.first) if timed else "",
                _seconds(timed.step) if timed else "",
                f"{peak / 2**20:,.0f} MiB" if peak else "-",
            ]
        )
    measured = dict.fromkeys((one.case.T, one.case.B, one.case.D, one.case.H) for one in findings.comparisons)
    sizes = "; ".join(", ".join(map(str, size)) for size in measured)
    return [
        (
            f"Worst relative error against manual, outputs and gradients, float64 / float32 (T, B, D, H = {sizes})",
            ["framework", *FORMS],
            errors,
        ),
        (
            "Root mean square error in ulps against long double, theirs (manual's), median over the cases; time of the "
            "first call and of a later one, for the largest LSTM in float32; peak memory of the process",
            ["framework", "versions", *TOLERANCES, "first call", "later", "peak"],
            costs,
        ),
    ]


def evidence(findings: Findings) -> list[str]:
    """Return a line for each framework, form and dtype that disagrees or fails, with the worst case's evidence."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in findings.comparisons:
        if not one.agrees:
            groups.setdefault((one.framework, one.case.form, one.case.dtype), []).append(one)
    lines = []
    for (name, form, dtype), group in groups.items():
        head = f"{FRAMEWORKS[name].title if name in FRAMEWORKS else name}, {form}, {dtype}"
        problems = [one.problem for one in group if one.problem]
        lines += [f"{head}: fails in {len(problems)} cases: {problem}" for problem in problems[:1]]
        disputes = [dispute for one in group for dispute in one.disputes]
        if disputes:
            with_manual = _agreeing(findings, form, dtype)
            others = (
                f"; {', '.join(with_manual)} agree{'s' * (len(with_manual) == 1)} with manual" if with_manual else ""
            )
            lines.append(f"{head}: {_words(max(disputes, key=lambda dispute: dispute.error))}{others}")
    return lines


def lacking(findings: Findings) -> list[str]:
    """Return a line for each framework and form in which it cannot give a gradient, though it gives others."""
    lines = {}
    for one in findings.comparisons:
        if one.lacking and one.gradient is not None:
            gates = LAYOUTS[FRAMEWORKS[one.framework].layout][one.case.form].lacking
            lines[one.framework, one.case.form] = (
                f"{FRAMEWORKS[one.framework].title}, {one.case.form}: has no second bias of gate {gates}; "
                "compared with that bias at zero and without its gradient"
            )
    return list(lines.values())


def not_installed(findings: Findings) -> list[str]:
    """Return a line for each framework that is not installed."""
    return [f"{FRAMEWORKS[n].title}: not installed ({', '.join(missing)})" for n, missing in findings.missing.items()]


def verdict(findings: Findings) -> str:
    """Return the verdict, in a line."""
    names = [name for name in findings.versions if name != "manual"]
    wrong = [name for name in names if not all(one.agrees for one in _of(findings, name))]
    count = len(findings.comparisons) - len(_of(findings, "manual"))
    if not names:
        return "DISAGREE: nothing was compared, since no framework is installed"
    if not wrong:
        return f"AGREE: {len(names)} of {len(names)} frameworks, {count} cases in all"
    disputes = [d for one in findings.comparisons for d in one.disputes]
    sides = sum(dispute.sides_with == "manual" for dispute in disputes)
    titles = ", ".join(FRAMEWORKS[name].title if name in FRAMEWORKS else name for name in wrong)
    nearer = f"; manual is nearer in {sides} of the {len(disputes)} tensors that differ" if disputes else ""
    return f"DISAGREE: {len(wrong)} of {len(names)} frameworks ({titles}), {count} cases in all{nearer}"


def as_json(findings: Findings) -> dict[str, Any]:
    """Return all findings as JSON has them: numbers that are not finite as strings."""
    whole = {
        "verdict": "agree" if findings.agrees else "disagree",
        "date": date.today().isoformat(),
        "versions": findings.versions,
        "not_installed": findings.missing,
        "comparisons": [
            asdict(one)
            | {"agrees": one.agrees, "disputes": [asdict(d) | {"sides_with": d.sides_with} for d in one.disputes]}
            for one in findings.comparisons
        ],
    }
    finite: dict[str, Any] = json.loads(json.dumps(whole), parse_constant=str)
    return finite


def draw(findings: Findings, path: Path) -> None:
    """Draw each framework's worst error of outputs and of gradients, in both dtypes, against the tolerances."""
    names = [name for name in FRAMEWORKS if name in findings.versions][::-1]
    figure = Figure(figsize=(8, 1.5 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots()
    for dtype, color in zip(TOLERANCES, ("tab:blue", "tab:orange")):
        for what, marker in (("output", "o"), ("gradient", "D")):
            found = [[getattr(c, what) for c in _of(findings, name) if c.case.dtype == dtype] for name in names]
            errors = [max((error for error in own if error is not None), default=np.nan) for own in found]
            axes.plot(errors, range(len(names)), marker, color=color, label=f"{what}, {dtype}", alpha=0.8)
        axes.axvline(TOLERANCES[dtype], color=color, linestyle="--", label=f"tolerance, {dtype}")
    axes.set_yticks(range(len(names)), [FRAMEWORKS[name].title for name in names])
    axes.set(xscale="log", xlabel="worst relative error against manual")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    figure.savefig(path, format="png", dpi=110)


def _of(findings: Findings, name: str) -> list[Comparison]:
    return [one for one in findings.comparisons if one.framework == name]


def _agreeing(findings: Findings, form: str, dtype: str) -> list[str]:
    """Return the titles of the frameworks that agree with ``manual`` in a form and dtype, in all of its cases."""
    agree: dict[str, bool] = {}
    for one in findings.comparisons:
        if one.framework != "manual" and (one.case.form, one.case.dtype) == (form, dtype):
            agree[one.framework] = agree.get(one.framework, True) and one.agrees
    return [FRAMEWORKS[name].title for name, always in agree.items() if always]


def _cell(findings: Findings, name: str, form: str) -> str:
    """Return a framework's worst errors in a form, by dtype; "-" if it has no such form."""
    framework = FRAMEWORKS[name]
    if form not in LAYOUTS[framework.layout]:
        return "-"
    return " / ".join(
        _entry([c for c in _of(findings, name) if (c.case.form, c.case.dtype) == (form, dtype)]) for dtype in TOLERANCES
    )


def _entry(comparisons: list[Comparison]) -> str:
    if not comparisons:
        return "-"
    if any(one.problem for one in comparisons):
        return "fails"
    worst = max(error for one in comparisons for error in (one.output, one.gradient) if error is not None)
    return f"{worst:.0e}" + ("" if all(one.agrees for one in comparisons) else " (!)")


def _ulps(comparisons: list[Comparison], dtype: str) -> str:
    """Return the median over all cases of a dtype: the framework's, and in brackets that of ``manual``."""
    own = [
        (one.ulps.rms, one.manual_ulps.rms)
        for one in comparisons
        if one.case.dtype == dtype and one.ulps and one.manual_ulps
    ]
    return "{:.2g} ({:.2g})".format(*np.median(own, axis=0)) if own else "-"


def _words(dispute: Dispute) -> str:
    """Return a dispute in words."""
    if not dispute.index:
        return f"{dispute.tensor}: {dispute.problem}"
    place = ", ".join(map(str, dispute.index))
    return (
        f"{dispute.tensor} at ({place}) is {dispute.framework:.10g}, by manual {dispute.manual:.10g}, "
        f"by {dispute.judge} {dispute.expected:.10g}: relative error {dispute.error:.1e}, "
        f"{dispute.sides_with} is nearer"
    )


def _seconds(seconds: float) -> str:
    """Return seconds in the unit that suits them."""
    return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
