"""Check a derivation against autograd on several trials, and assemble the report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np

from compare.checker.compare import Compared
from compare.checker.contract import breaches
from compare.checker.derivations.exercised import Exercised
from compare.checker.derivations.misfit import Misfit
from compare.checker.derivations.octave.folder import Folder
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Derivation
from compare.checker.derivations.torch_function import TorchFunction
from compare.checker.expected import Expected
from compare.checker.expected.digits import eps
from compare.checker.lines.wrong_line import WrongLine
from compare.checker.localise import Located, locate
from compare.checker.notation import Notation
from compare.checker.recorder import Recorder
from compare.checker.report.fault import Fault
from compare.checker.report.findings import Size
from compare.checker.report.report import Report
from compare.checker.report.wording import NO_PROBES
from compare.checker.run import Ran, Run, Runner
from compare.checker.trials import Trial

#: Below double precision, the permitted error as a multiple of autograd's own error in the same precision.
K = 2.0

#: The supported precisions below double.
LOWER = ("float32", "float16", "bfloat16")


#: What is said of a reference that defines its own gradient.
NO_DERIVATIVE = (
    "The reference's gradient is not the derivative of its output, as differences of the output show: meant, for "
    "instance, in a straight-through estimator"
)


@dataclass
class Subject:
    """What is checked, and how."""

    name: str  #: names the derivation in messages
    derivation: Derivation
    trials: Callable[[str], Iterable[Trial]]  #: makes the trials for a dtype; faults are located on the first
    notation: Notation = field(default_factory=Notation)  #: what its names stand for
    dtype: str | None = None  #: the precision of the derivation; read from what it returns if None
    #: the largest relative error that passes in double precision; the project's default if None
    tolerance: float | None = None
    k: float = K  #: below double precision, the permitted error as a multiple of autograd's own
    fast: bool = False  #: whether the first size and draw is enough
    contract: bool = True  #: whether a torch function is called in the other ways in which autograd may call it
    notes: list[str] = field(default_factory=list)  #: remarks for the report


def diagnose(subject: Subject) -> Report:
    """Check a derivation on all trials, the first of them twice.

    A mistake does not shrink with the precision. So what is to be checked below double precision is checked in double
    precision first, if it runs in it; then only its accuracy is in question.
    """
    _check_standard(subject)
    with Exercised().collecting() as exercised:
        report = _judged(subject)
    report.not_exercised = exercised.missed() if report.agrees else []
    derivation, trials = subject.derivation, subject.trials
    if isinstance(derivation, TorchFunction):
        derivation = derivation.in_precision("float64")
    if isinstance(derivation, Pair | TorchFunction):

        def agrees(repaired: Derivation = subject.derivation) -> bool:
            return _judged(replace(subject, derivation=repaired)).agrees

        def searched() -> list[WrongLine]:
            # The code may take all rows only.
            whole = [(one.whole and one.whole()) or one for one in trials("float64")]
            return _wrong_lines(derivation, whole, agrees)

        report.search = cache(searched)
    if isinstance(derivation, Folder) and (report.hidden or any(not fault.file for fault in report.located)):
        return _with_assignments(subject, derivation, report)
    return report


def unfit(subject: Subject, found: Misfit) -> Report:
    """Report a derivation that a line stops whose operands do not fit: its gradients count as not derived."""
    trial = next(iter(subject.trials("float64")))
    right = _expected(subject, trial, subject.dtype or "float64", proven=False)
    report = Report(subject.name, subject.notation, right.dtype, right.tolerance, right.k, as_run=[], fed_back=[])
    report.open = {f"d_{name}": "d_input" for name in right.right.answer.d_inputs}
    report.open |= dict.fromkeys(right.right.answer.gradients, "gradient")
    report.sizes, report.misfits = [Size(trial.label, False, found.words)], [found]
    return report


def _wrong_lines(*arguments: Any) -> list[WrongLine]:
    """Search for the wrong lines, with what only a search needs."""
    from compare.checker.lines.find import wrong_lines

    return wrong_lines(*arguments)


def _with_assignments(subject: Subject, folder: Folder, before: Report) -> Report:
    """Check MATLAB files with their plain assignments as probes, where these have a name of the reference's.

    A name that stands for something else there is left alone: with the reference's value in its place, more would be
    wrong than without. The report before is returned if no such line is found, or if other lines prove to be wrong.
    """
    from compare.checker.derivations.octave.recording import assignments, recording

    trial = next(iter(subject.trials("float64")))
    chosen = assignments(folder.engine.folder, {name for name, _ in trial.reference().record})
    recorded = replace(subject, derivation=recording(folder, chosen.values()), notes=[])
    runner = _runner(recorded, trial, "float64", proven=False)
    as_run = runner.attempt()
    if not chosen or as_run is None:
        return before
    runner, _ = runner.in_order(as_run)

    def left(free: frozenset[str]) -> set[str]:
        """Return what is wrong, by label, with the others fed back; where that fails, as the code runs."""
        run = runner.attempt(free=free) or as_run
        return {one.label for one in run.wrong.values() if one.name not in free}

    others: frozenset[str] = frozenset()
    wrong = left(others)
    while tried := {name: left(others | {name}) for name in sorted(wrong & chosen.keys())}:
        best = min(tried, key=lambda name: len(tried[name]))
        if len(tried[best]) >= len(wrong):
            break
        wrong, others = tried[best], others | {best}
    mine = chosen.keys() - others
    report = _judged(replace(recorded, derivation=recording(folder, [chosen[name] for name in mine]), notes=[]))
    found, misplaced = ({fault.name for fault in faults} & mine for faults in (report.located, report.misplaced))
    if not found or report.hidden or misplaced:
        return before
    report.search = before.search
    proven = any(change.repair for wrong in report.wrong_lines for change in wrong.changes)
    return before if proven and any(fault.change is None for fault in report.faults) else report


def _judged(subject: Subject) -> Report:
    """Check a derivation in its precision."""
    dtype, ran = (subject.dtype, None) if subject.dtype else _dtype(subject)
    exact = _more_exactly(subject, dtype) if subject.dtype not in (None, "float64") else None
    if exact and not exact.agrees:
        return exact
    report = _diagnose(subject, dtype, proven=exact is not None, ran=ran)
    if exact:
        report.left_out, report.not_judged = exact.left_out, exact.not_judged
    if report.agrees and isinstance(subject.derivation, TorchFunction) and subject.contract:
        expected = partial(Expected, dtype=dtype, k=subject.k, tolerance=subject.tolerance, proven=exact is not None)
        first = next(iter(subject.trials(dtype)))
        found = breaches(subject.derivation, first, expected, subject.notation, report.left_out)
        report.broken += [one for one in found if not isinstance(one, str)]
        report.notes += [one for one in found if isinstance(one, str)]
    return report


def _more_exactly(subject: Subject, dtype: str) -> Report | None:
    """Check a derivation on arguments in double precision; None if it does not run so, or rounds to ``dtype`` even so.

    Code that computes in a precision between the two is judged by that.
    """
    try:
        better = replace(subject, derivation=subject.derivation.in_precision("float64"))  # type: ignore[attr-defined]
        report = _diagnose(better, "float64")
        coarsest = "float64"
        if isinstance(better.derivation, TorchFunction):
            seen = better.derivation.precisions(next(iter(subject.trials("float64"))).problem)
            coarsest = max(seen & {"float64", *LOWER}, key=eps)
            if not report.agrees and "float32" in seen and dtype != "float32":
                report = _diagnose(better, "float32")
        elif all(one.looks_rounded for one in report.as_run if not one.agrees):
            coarsest = dtype
    except Exception:
        return None
    if not report.agrees and eps(coarsest) >= eps(dtype):
        return None
    report.notes.append(f"Found with arguments in double precision, though asked about {dtype}")
    return report


def _diagnose(subject: Subject, dtype: str, proven: bool = False, ran: Ran | None = None) -> Report:
    """Check a derivation in one precision; ``proven`` says that it agrees in double, ``ran`` is a first run."""
    trials = iter(subject.trials(dtype))
    first = _runner(subject, next(trials), dtype, proven)
    run = first.attempt(ran=ran)
    Exercised.note(first.derivation, first.trial.problem, first.expected.right.sides)
    report = _report(subject, first, locate(first, run))
    if subject.fast:
        report.notes.append("Only the first size and draw is checked (fast)")
    for other in () if subject.fast else trials:
        if proven and other.tied:  # in a low precision there are more ties than these
            continue
        _try(report, subject, _runner(subject, other, dtype, proven))
        del other  # before the next is drawn
    few = first.trial.small
    again = _runner(subject, few, dtype, proven).attempt() if few is not first.trial else None
    if run and (again is None or again.wrong) and (unsteady := first.unsteady(run)):
        report.take_over(_report(subject, first, Located(run, run)))
        report.unsteady = unsteady
    return report


def _check_standard(subject: Subject) -> None:
    """Check what the errors are to be judged by: with a negative tolerance or a NaN every verdict would be wrong."""
    if subject.dtype not in (None, "float64", *LOWER):
        raise ValueError(f"dtype: expected one of float64, {', '.join(LOWER)}, got {subject.dtype!r}")
    for name, value in (("tolerance", subject.tolerance), ("k", subject.k)):
        if value is not None and not (isinstance(value, int | float) and 0 < value < np.inf):
            raise ValueError(f"{name}: expected a number above 0, got {value!r}")


def _dtype(subject: Subject) -> tuple[str, Ran | None]:
    """Return the highest precision in what the derivation returns for double-precision arguments, with that run.

    A mixture is noted. The run is None if it is in another precision than the arguments.
    """
    trial = next(iter(subject.trials("float64")))
    try:
        recorder = Recorder(trial.reference().record)
        ran = recorder, subject.derivation.solve(trial.problem, recorder)
    except Exception:  # the run that is reported does it better
        return "float64", None
    found = {name: str(array.dtype) for name, array in ran[1].tensors().items()}
    kinds = [dtype for dtype in ("float64", *LOWER) if dtype in found.values()] or ["float64"]
    for lower in kinds[1:]:
        names = ", ".join(name for name, dtype in found.items() if dtype == lower)
        subject.notes.append(f"Returned in {lower}, unlike the rest: {names}")
    return kinds[0], ran if kinds[0] == "float64" else None


def _runner(subject: Subject, trial: Trial, dtype: str, proven: bool) -> Runner:
    return Runner(subject.derivation, trial, _expected(subject, trial, dtype, proven), subject.notation)


def _expected(subject: Subject, trial: Trial, dtype: str, proven: bool) -> Expected:
    return Expected(trial, dtype, subject.k, subject.tolerance, proven)


def _report(subject: Subject, runner: Runner, located: Located) -> Report:
    """Report on one trial."""
    right, trial = runner.expected, runner.trial

    def faults(compared: list[Compared]) -> list[Fault]:
        return [Fault.of(one, subject.notation, trial.sizes) for one in compared]

    answer = located.as_run.answer
    report = Report(
        subject=subject.name,
        notation=subject.notation,
        dtype=right.dtype,
        tolerance=right.tolerance,
        k=right.k,
        as_run=located.as_run.compared,
        fed_back=located.fed_back.compared,
        located=faults(located.faults),
        misplaced=faults(located.misplaced),
        unused=located.unused,
        changed=located.changed,
        consequences=located.consequences,
        unrecorded=located.unrecorded,
        written=answer.changed,
        left_out=answer.left_out,
        notes=[
            *subject.notes,
            *([f"Without the reference fed back, the code raises {located.raised}"] if located.raised else []),
            *([NO_PROBES] if len(located.faults) > 1 and not right.right.record else []),
        ],
        sizes=[Size(trial.label, located.agrees)],
        open=_open(runner, located.fed_back),
    )
    report.note_doubts(located.as_run.compared)
    few = trial.small
    if few.on and not few.on(few.problem).gradient_is_derivative(few.reference().answer):
        report.notes.append(NO_DERIVATIVE)
    return report


def _open(runner: Runner, run: Run) -> dict[str, str]:
    """Return what is not derived yet, with its kind as in ``Compared``."""
    right = runner.expected.right
    kinds = dict.fromkeys(right.answer.gradients, "gradient") | dict.fromkeys(right.answer.outputs, "output")
    kinds |= {f"d_{name}": "d_input" for name in right.answer.d_inputs}
    kinds |= {name: "adjoint" if name.startswith("d_") else "value" for name, _ in right.record}
    return {name: kinds[name] for name in run.open if name in kinds}


def _try(report: Report, subject: Subject, runner: Runner) -> None:
    """Record whether the derivation agrees on another trial; locate faults there if none are known yet.

    Code that is wrong on the first rows of a trial may be made for all of them, which decide.
    """
    run, expected = None, runner.expected
    if runner.trial.whole and ((run := runner.attempt()) is None or run.wrong):
        if not (whole := runner.trial.whole()):
            return
        run, runner = None, _runner(subject, whole, expected.dtype, expected.proven)
    label, agreed = runner.trial.label, report.agrees
    try:
        run = run or runner.run()
        Exercised.note(runner.derivation, runner.trial.problem, runner.expected.right.sides)
        located = locate(runner, run) if agreed and run.wrong else None
        agrees = located.agrees if located else not run.wrong
    except Exception as error:
        what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        report.sizes.append(Size(label, False, what))
        return
    if located and not agrees and runner.trial.large and located.only_overflows:
        report.notes.append(f"Overflows where values are ten times as large, and is not compared there: {label}")
        return
    report.sizes.append(Size(label, agrees))
    report.located = [fault.also(run.compared, runner.trial.sizes) for fault in report.located]
    report.open |= _open(runner, run)
    if agreed and agrees:
        report.note_doubts((located.as_run if located else run).compared)
    if located and not agrees:
        report.take_over(_report(subject, runner, located))
