"""Hold a derivation against autograd on several trials, and put together what is to be said of it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from compare.diagnosis.comparing import Blocks, Compared, whole
from compare.diagnosis.derivations import Answer, Derivation
from compare.diagnosis.localise import Localiser, Located
from compare.diagnosis.report import Fault, Report, Size
from compare.diagnosis.standards import Standard, Trial

#: How many times the error that autograd makes in the same precision passes below double precision.
K = 2.0

#: The precisions below double that a derivation may work in.
LOWER = ("float32", "float16", "bfloat16")


@dataclass
class Subject:
    """What is checked, and on what.

    Args:
        name: of the derivation, for messages.
        derivation: what is checked.
        trials: from a dtype to the trials, the one that faults are looked for on first.
        gates: the blocks of rows of a cell's weights.
        blocks: cuts gradients of parameters up by gate.
        cell: whose equations it has, a key of ``equations.EQUATIONS``; empty for another derivation.
        hint: from a trial, what is right there and a fault to what the fault looks like.
        explain: from a trial and the answer of the chained run to a known mistake that explains all of it, or "".
        dtype: of the derivation; found out by looking at what it returns if None.
        tolerance: the largest relative error that passes in double precision; the project's own if None.
        k: how many times autograd's own error passes below double precision.
    """

    name: str
    derivation: Derivation
    trials: Callable[[str], list[Trial]]
    gates: tuple[str, ...] = ()
    blocks: Blocks = whole
    cell: str = ""
    hint: Callable[[Trial, Standard, Compared], str] = lambda trial, standard, fault: ""
    explain: Callable[[Trial, Answer], str] = lambda trial, answer: ""
    dtype: str | None = None
    tolerance: float | None = None
    k: float = K
    notes: list[str] = field(default_factory=list)


def diagnose(subject: Subject) -> Report:
    """Check a derivation on all trials, the first of them twice.

    Raises:
        ValueError: it, or its reference, returned what cannot be compared. What its own code raises on the first trial
            passes through.
    """
    dtype = subject.dtype or _dtype(subject)
    first, *others = (_localiser(subject, trial, dtype) for trial in subject.trials(dtype))
    unsteady = _unsteady(first, others)
    located = Located(run := first.run(), run) if unsteady else first.locate()
    report = _report(subject, first, located)
    report.unsteady = unsteady
    for other in others:
        _try(report, subject, other)
    return report


def _dtype(subject: Subject) -> str:
    """The lowest precision of what a derivation returns when it is given double precision."""
    (trial, *_) = subject.trials("float64")
    try:
        answer = subject.derivation.solve(trial.problem, None)
    except Exception:  # which the run that records it says better
        return "float64"
    found = {str(array.dtype) for array in answer.tensors().values()}
    return next((dtype for dtype in reversed(LOWER) if dtype in found), "float64")


def _localiser(subject: Subject, trial: Trial, dtype: str) -> Localiser:
    right = Standard(trial, dtype, subject.k, subject.tolerance)
    return Localiser(subject.derivation, trial, right, subject.gates, subject.blocks)


def _report(subject: Subject, localiser: Localiser, located: Located) -> Report:
    """What is to be said of one trial."""
    right, trial = localiser.standard, localiser.trial

    def faults(compared: list[Compared]) -> list[Fault]:
        return [Fault.of(one, subject.cell, subject.hint(trial, right, one)) for one in compared]

    answer = located.chained.answer
    report = Report(
        subject=subject.name,
        cell=subject.cell,
        dtype=right.dtype,
        tolerance=right.tolerance,
        k=right.k,
        chained=located.chained.compared,
        forced=located.forced.compared,
        faults=faults(located.faults),
        misplaced=faults(located.misplaced),
        gradients_right=located.chained.answers_right,
        unused=located.unused,
        changed=located.changed,
        consequences=located.consequences,
        unshown=located.unshown,
        written=answer.changed,
        left_out=answer.left_out,
        notes=[*subject.notes, *([f"As it is, the code raises {located.raised}"] if located.raised else [])],
        sizes=[Size(trial.label, located.agrees)],
    )
    if not located.agrees and not located.chained.answers_right and (located.unshown or not report.faults):
        report.explanation = subject.explain(trial, answer)
    return report


def _try(report: Report, subject: Subject, localiser: Localiser) -> None:
    """Note whether the derivation agrees on another trial; look for faults there if none was known."""
    label = localiser.trial.label
    try:
        located = None if report.disagrees else localiser.locate()
        agrees = located.agrees if located else not localiser.run().wrong
    except Exception as error:
        what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        report.sizes.append(Size(label, False, what))
        return
    report.sizes.append(Size(label, agrees))
    if located and not agrees:
        report.take_over(_report(subject, localiser, located))


def _unsteady(first: Localiser, others: list[Localiser]) -> list[str]:
    """What comes out otherwise when the derivation is run again, after a run on something else."""
    try:
        before = first.run()
    except Exception:  # which the run that follows says better
        return []
    if others:
        with suppress(Exception):
            others[0].run()
    after = first.run().answer.tensors()
    found = []
    for one in before.compared:
        if one.shown or one.name in found or one.name not in before.answer.tensors():
            continue
        array, again = before.answer.tensors()[one.name], after.get(one.name)
        if again is None or again.shape != array.shape:
            found.append(one.name)
            continue
        limit = float((one.limits * one.scales).max())
        with np.errstate(invalid="ignore"):
            far = np.abs(again - array)
        if (far > limit).any() or (np.isnan(again) != np.isnan(array)).any():
            found.append(one.name)
    return found
