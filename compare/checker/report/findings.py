"""What a check found: everything compared, what is wrong and where, and the kinds of verdict that follow."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from compare.agreement import Difference
from compare.checker.compare import Compared
from compare.checker.contract import Breach
from compare.checker.derivations.misfit import Misfit
from compare.checker.lines.wrong_line import NotSought, WrongLine
from compare.checker.notation import Notation
from compare.checker.report.fault import Fault
from compare.checker.report.together import together


@dataclass(frozen=True)
class Size:
    """One trial: its label, whether the derivation agreed, and what it raised if it did not run."""

    label: str
    agrees: bool
    raised: str = ""


@dataclass(frozen=True)
class Progress:
    """Equations by number and name: those that are right, wrong and open, each in the order of computation.

    ``misfits`` counts the lines whose operands do not fit together: what they would give is open, and counted as wrong.
    """

    right: tuple[str, ...]
    wrong: tuple[str, ...]
    open: tuple[str, ...]
    misfits: int

    def __str__(self) -> str:
        """Return it in words, as in "3 of 16 right, 1 wrong, 12 to go; next: (L9) d_c"."""
        total = len(self.right) + len(self.wrong) + len(self.open)
        wrong, to_go = len(self.wrong) + self.misfits, max(len(self.open) - self.misfits, 0)
        words = [f"{len(self.right)} of {total} right", f"{wrong} wrong" if wrong else ""]
        words += [f"{to_go} to go"] if to_go else []
        return ", ".join(filter(None, words)) + (f"; next: {self.open[0]}" if to_go and not self.misfits else "")


def failed(error: Exception) -> str:
    """Say that the search has a defect: the verdict stands without it."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"The search for the wrong line failed: {type(error).__name__} in {where}: {error}: place probes"


@dataclass(repr=False)
class Findings:
    """What a check found."""

    subject: str  #: names what was checked
    notation: Notation  #: what its names stand for
    dtype: str  #: the precision it was checked in
    tolerance: float  #: the largest relative error that passes in double precision
    k: float  #: below double precision, the permitted error as a multiple of autograd's own
    as_run: list[Compared]  #: everything compared, as the code runs
    fed_back: list[Compared]  #: everything compared, with the reference fed back
    #: quantities that are wrong although everything they are computed from is right
    located: list[Fault] = field(default_factory=list)
    misplaced: list[Fault] = field(default_factory=list)  #: probes that show a quantity other than the one they name
    unused: list[str] = field(default_factory=list)  #: probes whose result the code does not use
    #: by name, the steps at which an array was modified in place after its probe
    changed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    #: quantities that may differ only because of something not recorded or not fed back
    consequences: list[str] = field(default_factory=list)
    #: names that need a probe; an error in any of them would explain the consequences
    unrecorded: list[str] = field(default_factory=list)
    #: outputs and gradients that change when the derivation is called again
    unsteady: list[str] = field(default_factory=list)
    written: tuple[str, ...] = ()  #: arguments that the derivation wrote to
    left_out: tuple[str, ...] = ()  #: gradients that were not derived
    #: what a function whose gradients are right breaks of the contract with autograd
    broken: list[Breach] = field(default_factory=list)
    #: by name, by how much a quantity that is right is less accurate than autograd
    less_accurate: dict[str, float] = field(default_factory=dict)
    #: by name, how many elements took another side of a branch than the reference, or cannot be judged
    aside: dict[str, int] = field(default_factory=dict)
    #: by name, on how many trials rounding moved too much of a quantity too far for a judgement
    not_judged: dict[str, int] = field(default_factory=dict)
    #: in words, what no trial exercised, such as a line of the code
    not_exercised: list[str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)  #: the trials
    #: for a layer of ``manual``, its fast kernels compared with its equations, tensor by tensor
    fast: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  #: further remarks
    #: what is still to be derived, by name, with its kind as in ``Compared``
    open: dict[str, str] = field(default_factory=dict)
    #: whether the file means something else than it says, such as another order of the gates, with which all this was
    #: found
    question: str = ""
    #: lines whose operands do not fit together; what they would give is open
    misfits: list[Misfit] = field(default_factory=list)
    learning: bool = False  #: whether the file says that its author wants to find mistakes without being told
    #: what is told of a mistake there or where something is open: ``"solution"``, ``"hint"`` or ""
    shown: str = "solution"
    search: Callable[[], list[WrongLine]] = list  #: finds the wrong lines of the code and the right ones

    @cached_property
    def _sought(self) -> tuple[list[WrongLine], str]:
        wanted = not self.open and self.told and self.kinds[0] in ("equation", "not shown", "size")
        try:
            return self.search() if wanted else [], ""
        except NotSought as reason:
            return [], str(reason)
        except Exception as error:
            return [], failed(error)

    @property
    def wrong_lines(self) -> list[WrongLine]:
        """The wrong lines of the code and the right ones; looked for when they are asked for first."""
        return self._sought[0]

    @property
    def not_sought(self) -> str:
        """Why lines were not sought, and what to do; "" if they were, or a probe names what is wrong."""
        return "" if self.named else self._sought[1]

    @property
    def gradients_right(self) -> bool:
        """Whether all outputs and gradients agree as the code runs."""
        return all(one.agrees for one in self.as_run if not one.recorded)

    @property
    def told(self) -> str:
        """What is told of a mistake: ``"solution"``, ``"hint"`` or ""."""
        return self.shown if self.open or self.learning else "solution"

    @property
    def progress(self) -> Progress:
        """What is right, wrong and open of the backward pass, and of a forward pass that has open places.

        Of a cell only equations that have a number count: the others follow from them.
        """
        titled, forward = self.notation.titled, {"value", "output"}
        still = dict.fromkeys(titled(name, kind in ("value", "adjoint")) for name, kind in self.open.items())
        wrong = dict.fromkeys(fault.title for fault in [*self.located, *self.misplaced])
        right: dict[str, None] = {}
        for one in self.fed_back:
            title = titled(one.name, one.recorded)
            if not one.agrees:
                wrong[title] = None
            elif one.kind not in forward or forward & {*self.open.values()}:
                counts = self.notation.equation(one.name).number or not self.notation.cell_name
                right |= {title: None} if counts else {}
        return Progress(
            tuple(title for title in right if title not in still and title not in wrong),
            tuple(wrong),
            tuple(title for title in still if title not in wrong),
            len(self.misfits),
        )

    @property
    def faults(self) -> list[Fault]:
        """What is wrong: quantities that probes name, with the repair of their line; otherwise the wrong lines.

        Gradients that are wrong in one way, as by a factor, or those of one layer, are one fault.
        """
        if self.named:
            return [replace(fault, lines=lambda: self.wrong_lines).withheld(self.told) for fault in self.located]
        if not self.placed:
            label = together(self.fed_back, {fault.factor for fault in self.located})
            if label and self.located:
                return [replace(self.located[0], name=label, label=label, gate="", number="", formula="", ratios=())]
            return [fault.withheld(self.told) for fault in self.located]
        differing = [one for one in self.as_run if not one.agrees]
        worst = Fault.of(max(differing, key=lambda one: float(one.errors.max())), self.notation, {})
        return [worst.at(*wrong.changes).withheld(self.told) for wrong in self.wrong_lines]

    @property
    def placed(self) -> bool:
        """Whether the lines that are right are known, and no probe names what is wrong."""
        return not self.named and any(change.repair for wrong in self.wrong_lines for change in wrong.changes)

    @property
    def named(self) -> bool:
        """Whether a probe names what is wrong."""
        return any(fault.file for fault in self.located)

    @property
    def agrees(self) -> bool:
        """Whether everything could be compared and agrees on every trial, on the first of them twice."""
        return self.kinds == ["agree"]

    @property
    def undecided(self) -> list[str]:
        """The quantities on which there is no verdict, since no trial could judge them."""
        return [name for name, trials in self.not_judged.items() if trials >= len(self.sizes)]

    @property
    def outcome(self) -> str:
        """The verdict in a word.

        ``agree``, ``disagree``, ``open`` if nothing is wrong but something is to be derived, or ``undecided`` where too
        much could not be judged.
        """
        undecided = {"nothing compared", "not judged"}
        if self.kinds in (["agree"], ["open"]):
            return self.kinds[0]
        return "undecided" if {*self.kinds} <= undecided else "disagree"

    def note_doubts(self, compared: list[Compared]) -> None:
        """Note what is right but less accurate than autograd, what lies on a branch, and what could not be judged."""
        for one in compared:
            if one.agrees and one.less_accurate:
                self.less_accurate[one.label] = max(one.less_accurate, self.less_accurate.get(one.label, 0.0))
            if one.agrees and one.aside:
                self.aside[one.label] = max(one.aside, self.aside.get(one.label, 0))
            if one.agrees and one.unjudged:
                self.not_judged[one.label] = self.not_judged.get(one.label, 0) + 1

    @property
    def writes(self) -> list[str]:
        """The arguments that the derivation wrote to, except incoming gradients, which are not needed afterwards."""
        return [name for name in self.written if not name.startswith("d_")]

    @property
    def fast_faults(self) -> list[str]:
        """The tensors in which the fast kernels differ from the equations."""
        return [found.name for found in self.fast if not found.agrees]

    @property
    def fast_error(self) -> float:
        """The largest relative error of the fast kernels, with the equations as the reference."""
        return max((found.error for found in self.fast), default=0.0)

    @property
    def kinds(self) -> list[str]:
        """The kinds of verdict: ``agree``, or what is wrong, the most specific first."""
        gradients = [part for one in self.as_run if one.kind in ("d_input", "gradient") for part in one.actual]
        found = {
            "layout": self.question,
            "unsteady": self.unsteady,
            "changed": self.changed,
            "misfit": self.misfits,
            "equation": self.located,
            "probe unused": self.unused,
            "probe misplaced": self.misplaced,
            "not shown": self.consequences,
            "arguments changed": self.writes,
            "fast kernels": self.fast_faults,
            "size": [size for size in self.sizes if not size.agrees],
            "nothing compared": not (self.open or any(map(np.size, gradients))),
            "not judged": self.undecided,
            "open": self.open,
        }
        kinds = [kind for kind, there in found.items() if there]
        kinds += dict.fromkeys(breach.kind for breach in self.broken)
        if self.unsteady:
            kinds = [kind for kind in kinds if kind in ("unsteady", "arguments changed")]
        if len(kinds) > 1 and not any(size.agrees for size in self.sizes):
            kinds = [kind for kind in kinds if kind != "size"]
        return kinds or ["agree"]

    @property
    def titles(self) -> list[str]:
        """Number and name of each wrong equation."""
        return [] if self.unsteady else list(dict.fromkeys(fault.title for fault in self.faults))

    @property
    def hidden(self) -> list[str]:
        """What may differ only because of something not shown, unless the wrong lines are known."""
        return [] if self.placed else self.consequences

    def take_over(self, other: "Findings") -> None:
        """Replace the findings with those of another trial; keep sizes and notes."""
        sizes, notes = self.sizes, self.notes
        self.__dict__.update(other.__dict__)
        self.sizes, self.notes = sizes, notes
