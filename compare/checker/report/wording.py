"""Put a report into words: a paragraph for each finding, a table of errors, notes, and the verdict on one line."""

from rich.console import Console
from rich.text import Text

from compare.checker.report import table
from compare.checker.report.fault import Fault, numbered
from compare.checker.report.findings import Findings

#: What is said where several quantities differ and the reference has no probes.
NO_PROBES = "There are no probes, so these may follow from one error: add probes to the code and to the reference"

RED, GREEN, YELLOW = table.RED, "bold green", "bold yellow"


def show(report: Findings, console: Console) -> None:
    """Print the findings and the verdict."""
    if not report.agrees:
        for paragraph in _paragraphs(report):
            console.print(paragraph, soft_wrap=True, highlight=False)
        if not all(one.agrees for one in [*report.as_run, *report.fed_back]):
            table.show(report, console)
    for note in _notes(report):
        console.print(Text(note), soft_wrap=True, highlight=False)
    console.print(verdict(report), soft_wrap=True, highlight=False)


def verdict(report: Findings) -> Text:
    """Return the verdict on one line."""
    if report.outcome == "undecided":
        return Text.assemble(("UNDECIDED", YELLOW), f": {report.subject}: {'; '.join(_headlines(report))}")
    if report.agrees:
        worst = max((float(one.errors.max()) for one in report.as_run if len(one.errors)), default=0.0)
        own = f"{report.k:g} times autograd's error in {report.dtype}"
        tolerance = f"{report.tolerance:.0e}" if report.dtype == "float64" else own
        sizes = f" at {len(report.sizes)} sizes" if len(report.sizes) > 1 else ""
        count = f"{len(report.as_run)} intermediates and gradients compared"
        less = f", less accurate than autograd: {', '.join(report.less_accurate)}" if report.less_accurate else ""
        return Text.assemble(
            ("AGREE", GREEN), f": {report.subject}: {count}{sizes}, tolerance {tolerance}, worst {worst:.1e}{less}"
        )
    if report.open or report.learning:
        word = Text("OPEN", YELLOW) if report.outcome == "open" else Text("DISAGREE", RED)
        return Text.assemble(word, f": {report.subject}: {'; '.join([*_headlines(report), str(report.progress)])}")
    differing = sum(not one.agrees for one in report.as_run)
    as_run = f"as the code runs, {differing} of {len(report.as_run)} quantities differ"
    return Text.assemble(("DISAGREE", RED), f": {report.subject}: {'; '.join(_headlines(report))} ({as_run})")


def _headlines(report: Findings) -> list[str]:
    """Return a few words on each kind of finding."""
    right = "the gradients are right; " if report.gradients_right else ""
    first = f"; add a probe for {report.unrecorded[0]!r}" if report.unrecorded else ""
    unused = f"probe{'s' * (len(report.unused) > 1)} {', '.join(map(repr, report.unused))}"
    words = {
        "layout": report.question,
        "unsteady": f"not deterministic: two identical calls differ in {', '.join(report.unsteady)}",
        "changed": "; ".join(f"{name} was modified in place after its probe" for name in report.changed),
        "misfit": f"shapes do not fit: {', '.join(dict.fromkeys(f'line {one.line}' for one in report.misfits))}",
        "equation": f"wrong: {', '.join(report.titles)}",
        "probe unused": f"the result of {unused} is not used",
        "probe misplaced": right + "; ".join(map(_other_than_its_name, report.misplaced)),
        "not shown": f"cause unknown: no probe between cause and effects {', '.join(report.consequences)}{first}",
        "arguments changed": f"the derivation changed {', '.join(report.writes)}",
        "fast kernels": f"fast kernels against the equations: {', '.join(report.fast_faults)}",
        "size": f"differs at {'; '.join(size.label for size in report.sizes if not size.agrees)}",
        "nothing compared": "no gradient was compared",
        "not judged": f"rounding moves too much of it too far for a judgement: {', '.join(report.undecided)}",
    }
    words |= {breach.kind: breach.title for breach in report.broken}
    words |= {breach.kind: f"the gradients are right, but {breach.title}" for breach in report.broken[:1]}
    kinds = ["equation"] if report.placed else [kind for kind in report.kinds if kind != "open"]
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if kind != "size"]
    return [words[kind] for kind in kinds]


def _paragraphs(report: Findings) -> list[Text]:
    """Return a paragraph for each finding."""
    if report.unsteady:
        return [
            _paragraph(
                f"not deterministic: two identical calls differ in {', '.join(report.unsteady)}",
                "look for state kept between calls: a buffer, a sum that is not reset, a tape, a random generator",
            )
        ]
    paragraphs = []
    if report.question:
        more = {*report.kinds} - {"layout", "open"}
        nothing = "with it nothing is wrong, and without it the outputs are"
        paragraphs.append(_paragraph(report.question, "all that follows is found with it" if more else nothing))
    paragraphs += [
        _paragraph(
            f"{name} was modified in place after its probe",
            "something writes to the array later, so whatever else holds it, such as a tape, reads the new value",
            "store a copy, or compute into a new array",
            more=f", at {numbered('step', steps)}" if steps else "",
        )
        for name, steps in report.changed.items()
    ]
    paragraphs += [
        _paragraph(f"line {one.line}", f"{one.file}:{one.line}: {one.code}", one.words) for one in report.misfits
    ]
    paragraphs += _of_lines(report.faults) if report.placed else _of_faults(report.faults)
    for name in report.unused:
        unclear = f"these may only follow from it: {', '.join(report.consequences)}"
        paragraphs.append(
            _paragraph(
                f"the result of probe {name!r} is not used",
                f"continue with what the probe returns: {name} = probe({name!r}, …)",
                unclear if report.consequences else "",
            )
        )
    for fault in report.misplaced:
        right = "the gradients are right" if report.gradients_right else "everything computed from it is right"
        paragraphs.append(
            _paragraph(
                f"{fault.title}: {_other_than_its_name(fault)}",
                f"{right}: another quantity goes into the probe, or the error cancels",
                _line(fault),
                *_details(fault),
            )
        )
    if report.hidden and not report.unused:
        first, *rest = report.unrecorded or [""]
        then = f", then {', '.join(rest[:8])}" if rest else ""
        explained = (
            f"one error in a quantity without a probe would explain all of them; add probe({first!r}, …) first{then}"
        )
        in_place = "on right values each line is right: look at what is modified in place, such as a buffer on the tape"
        unknown = f"cause unknown: no probe between cause and effects: {', '.join(report.consequences)}"
        paragraphs.append(_paragraph(unknown, explained if first else in_place))
    paragraphs += [_paragraph(breach.title, breach.call, breach.fix) for breach in report.broken]
    if report.writes:
        paragraphs.append(
            _paragraph(
                f"the derivation changed {', '.join(report.writes)}",
                "a derivation must not write to its arguments: copy them first",
            )
        )
    return paragraphs


def _other_than_its_name(fault: Fault) -> str:
    return f"probe {fault.name!r} is given something other than {fault.name}"


def _paragraph(title: str, *lines: str, more: str = "") -> Text:
    text = Text(title, style=RED)
    text.append(more, style="not bold")
    for line in filter(None, lines):
        text.append(f"\n    {line}", style="not bold default")
    return text


def _of_faults(faults: list[Fault]) -> list[Text]:
    """Return a paragraph for each fault: what and where it is, and its hint. Gates with the same text share one."""
    together: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        together.setdefault((fault.title, fault.gate if fault.recorded else "", fault.hint), []).append(fault)
    paragraphs = []
    for same in together.values():
        fault = max(same, key=lambda fault: fault.worst.error)
        gates = [f.gate for f in same if f.gate]
        words = [f"gate{'s' if len(gates) > 1 else ''} {' '.join(gates)}"] if gates else []
        words += [", ".join(filter(None, [numbered("step", fault.steps), numbered("row", fault.rows)]))]
        more = "".join(f"  {part}" for part in words if part)
        paragraphs.append(_paragraph(fault.title, _line(fault), *_details(fault), more=more))
    return paragraphs


def _of_lines(faults: list[Fault]) -> list[Text]:
    """Return a paragraph for each wrong line; with the other lines that could be changed just as well."""
    paragraphs = []
    for first in faults:
        same = [first, *first.alternatives]
        lines = [line for fault in same for line in (f"{fault.file}:{fault.line}: {fault.hint}", *_diff(fault))]
        each = "any one of these changes" if len(same) > 1 else "this change"
        rest = " and those of the other lines" if len(faults) > 1 else ""
        paragraphs.append(_paragraph(first.title, *lines, f"with {each}{rest} everything agrees"))
    return paragraphs


def _diff(fault: Fault) -> list[str]:
    """Return the statement and its repair as lines of a diff, indented from where the statement begins."""
    if not fault.repair:
        return []
    indent = " " * fault.span[1]
    sides = {"-": fault.code, "+": fault.repair}
    return [f"{sign} {line.removeprefix(indent)}" for sign, text in sides.items() for line in text.splitlines()]


def _line(fault: Fault) -> str:
    """Return the line of the probe that recorded a fault."""
    return f"{fault.file}:{fault.line}: {fault.code}" if fault.recorded and fault.file else ""


def _details(fault: Fault) -> list[str]:
    """Return the formula of a fault, its worst element, and its hint."""
    worst, at = fault.worst, f" at {fault.where}" if fault.where else ""
    apart = (n for n in range(6, 18) if f"{worst.actual:.{n}g}" != f"{worst.reference:.{n}g}")
    digits = next(apart, 6)
    values = f"got {worst.actual:.{digits}g}, expected {worst.reference:.{digits}g}"
    got = f"{values}{at}; relative error {worst.error:.1e}"
    return [
        f"should be {fault.formula}" if fault.formula else "",
        fault.problem or got,
        f"looks like: {fault.hint}" if fault.hint else fault.parts,
        *(_diff(fault) if fault.recorded else ()),
    ]


def _notes(report: Findings) -> list[str]:
    """Return further remarks, one line each."""
    notes = []
    if report.left_out:
        notes.append(f"Not derived, or of a plain number, so not compared: {', '.join(report.left_out)}")
    if report.dtype != "float64":
        ours = max((float(one.errors.max()) for one in report.as_run if len(one.errors)), default=0.0)
        limit = max((float(one.limits.max()) for one in report.as_run if len(one.limits)), default=0.0)
        notes.append(
            f"Checked in {report.dtype} against a reference in float64: worst error {ours:.1e}; autograd's own error "
            f"in {report.dtype} is up to {limit / report.k:.1e}, and {report.k:g} times that is allowed"
        )
    if written := [name for name in report.written if name not in report.writes]:
        notes.append(f"Written to, after it was used: {', '.join(written)}")
    if not report.agrees and not report.named and not report.placed:
        places = [f"{one.file}:{one.line}: {one.code}" for wrong in report.wrong_lines for one in wrong.changes]
        notes += [f"If a single line is wrong, it is {' or '.join(places)}"] if places else []
        notes += [report.not_sought] if report.not_sought else []
    if report.not_exercised:
        notes.append(f"Not exercised, so not checked: {'; '.join(report.not_exercised)}")
    for name, times in report.less_accurate.items():
        notes.append(f"{name} is right, but less accurate than autograd: its error is {times:.2g} times what passes")
    for name, count in report.aside.items():
        elements = f"{count} element{'s' if count > 1 else ''}"
        notes.append(f"Set aside in {name}: {elements} that rounding decides, as at a tie")
    if not all(size.agrees for size in report.sizes) and not report.open:
        good = [size.label for size in report.sizes if size.agrees]
        bad = [f"{s.label}{f' ({s.raised})' if s.raised else ''}" for s in report.sizes if not s.agrees]
        start = f"Agrees at {'; '.join(good)}. Differs at" if good else "Differs at every size:"
        notes.append(f"{start} {'; '.join(bad)}.")
    notes += _next(report)
    return notes + [note for note in report.notes if not (report.placed and note == NO_PROBES)]


def _next(report: Findings) -> list[str]:
    """Return where to read about the equation that is next."""
    cell = report.notation.cell_name
    if report.learning and report.agrees and cell:
        return [
            f"Next: lstm-by-hand check {report.subject} --train trains it on binary addition, "
            f"and lstm-by-hand page --cell {cell} shows its gradients there"
        ]
    names = [name for name in report.open if report.notation.equation(name).number]
    if not names or report.misfits:
        return []
    found = report.notation.equation(names[0])
    right = f": {names[0]} = {found.formula}" if report.told == "solution" else ""
    page = f"derivation.html#{found.number.partition(',')[0]}, written by lstm-by-hand page"
    return [f"Next, ({found.number}){right}: {page} --cell {cell}"]
