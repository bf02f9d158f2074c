"""The findings of a check, as data."""

import linecache
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compare.agreement import Difference
from compare.diagnosis.comparing import Compared
from compare.diagnosis.equations import equation


@dataclass(frozen=True)
class Fault:
    """A quantity that is wrong although everything it is computed from is right.

    ``name`` is that of the probe or tensor, ``gate`` that of the block, if any. ``steps`` and ``rows`` say where it is
    wrong; they are empty if there is no such axis. ``worst`` is the worst element, indexed with the step first.
    ``problem`` says why it could not be compared. ``file``, ``line`` and ``code`` locate the probe that showed it.
    ``number`` and ``formula`` are those of its equation in ``manual/DERIVATION.md``, if it belongs to a cell.
    """

    name: str
    gate: str
    label: str
    shown: bool
    steps: tuple[int, ...]
    rows: tuple[int, ...]
    worst: Difference
    where: str
    problem: str
    hint: str
    number: str
    formula: str
    file: str
    line: int
    code: str

    @classmethod
    def of(cls, one: Compared, cell: str, hint: str) -> "Fault":
        """Make a fault of a compared quantity."""
        found = equation(cell, one.name)
        place = one.places[one.worst] if one.places else None
        if place:
            linecache.checkcache(place.file)
        code = linecache.getline(place.file, place.line).strip() if place else ""
        problem = one.problem
        if not problem and one.missing and one.agrees:
            problem = f"not shown at step{'s' if len(one.missing) > 1 else ''} {spans(one.missing)}"
        return cls(
            one.name,
            one.gate,
            one.label,
            one.shown,
            one.wrong_steps() or (one.missing if one.agrees else ()),
            one.wrong_rows(),
            one.difference(),
            one.where(),
            problem,
            hint,
            found.number,
            found.formula,
            place.file if place else "",
            place.line if place else 0,
            code,
        )

    @property
    def title(self) -> str:
        """Number and name. The gradient of a parameter is named without its gate: the equation is the same for all."""
        name = self.name.removesuffix(f"_{self.gate}") if self.gate and not self.shown else self.label
        return f"({self.number}) {name}" if self.number else name

    def as_json(self) -> dict[str, Any]:
        """Return the fault for a script."""
        return {
            "name": self.name,
            "label": self.label,
            "equation": self.number,
            "formula": self.formula,
            "gate": self.gate,
            "steps": self.steps,
            "rows": self.rows,
            "error": finite(self.worst.error),
            "at": self.worst.index,
            "where": self.where,
            "actual": finite(self.worst.actual),
            "expected": finite(self.worst.reference),
            "hint": self.hint,
            "problem": self.problem,
            "file": self.file,
            "line": self.line,
            "code": self.code,
        }


@dataclass(frozen=True)
class Size:
    """One trial: its label, whether the derivation agreed, and what it raised if it did not run."""

    label: str
    agrees: bool
    raised: str = ""


@dataclass
class Findings:
    """The findings of a check.

    Args:
        subject: names what was checked.
        cell: a key of ``equations.EQUATIONS``; "" if the derivation is not of a cell.
        dtype: the precision it was checked in.
        tolerance: the largest relative error that passes in double precision.
        k: below double precision, the permitted error as a multiple of autograd's own.
        chained: everything compared, as the code runs.
        forced: everything compared, with the reference fed back.
        faults: quantities that are wrong although everything they are computed from is right.
        misplaced: probes that show a quantity other than the one they name.
        gradients_right: whether all outputs and gradients agree as the code runs.
        unused: probes whose result the code does not use.
        changed: by name, the steps at which an array was changed after it was shown.
        consequences: quantities that may differ only because of something not shown or not fed back.
        unshown: names that need a probe; an error in any of them would explain the consequences.
        unsteady: outputs and gradients that change when the derivation is called again.
        written: arguments that the derivation wrote to.
        left_out: gradients that were not derived.
        gradients_compared: whether the derivation returned any gradient.
        explanation: a known mistake that explains every difference.
        sizes: the trials.
        fast: for a layer of ``manual``, its fast kernels compared with its text, tensor by tensor.
        notes: further remarks.
    """

    subject: str
    cell: str
    dtype: str
    tolerance: float
    k: float
    chained: list[Compared]
    forced: list[Compared]
    faults: list[Fault] = field(default_factory=list)
    misplaced: list[Fault] = field(default_factory=list)
    gradients_right: bool = True
    unused: list[str] = field(default_factory=list)
    changed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    consequences: list[str] = field(default_factory=list)
    unshown: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    written: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    gradients_compared: bool = True
    explanation: str = ""
    sizes: list[Size] = field(default_factory=list)
    fast: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether gradients were compared, and everything agrees on every trial, on the first of them twice."""
        return self.gradients_compared and not (
            not all(one.agrees for one in [*self.chained, *self.forced])
            or self.unsteady
            or self.writes
            or self.fast_faults
            or not all(size.agrees for size in self.sizes)
        )

    @property
    def writes(self) -> list[str]:
        """The arguments that the derivation wrote to, except incoming gradients, which are not needed afterwards."""
        return [name for name in self.written if not name.startswith("d_")]

    @property
    def fast_faults(self) -> list[str]:
        """The tensors in which the fast kernels differ from the text."""
        return [found.name for found in self.fast if not found.agrees]

    @property
    def fast_error(self) -> float:
        """The largest relative error of the fast kernels, with the text as the reference."""
        return max((found.error for found in self.fast), default=0.0)

    @property
    def kinds(self) -> list[str]:
        """The kinds of verdict: ``agree``, or what is wrong, the most specific first."""
        found = {
            "unsteady": self.unsteady,
            "changed": self.changed,
            "equation": self.faults,
            "probe unused": self.unused,
            "probe misplaced": self.misplaced,
            "not shown": self.consequences,
            "arguments changed": self.writes,
            "fast kernels": self.fast_faults,
            "nothing compared": not self.gradients_compared,
            "size": [size for size in self.sizes if not size.agrees],
        }
        kinds = [kind for kind, there in found.items() if there]
        if self.unsteady:
            kinds = [kind for kind in kinds if kind in ("unsteady", "arguments changed")]
        return kinds or ["agree"]

    @property
    def titles(self) -> list[str]:
        """Number and name of each wrong equation."""
        return [] if self.unsteady else list(dict.fromkeys(fault.title for fault in self.faults))

    def take_over(self, other: "Findings") -> None:
        """Replace the findings with those of another trial; keep sizes and notes."""
        sizes, notes = self.sizes, self.notes
        self.__dict__.update(other.__dict__)
        self.sizes, self.notes = sizes, notes


def finite(number: Any) -> Any:
    """Return a finite number as it is, any other as a string."""
    return float(number) if np.isfinite(number) else str(float(number))


def spans(numbers: tuple[int, ...]) -> str:
    """Write 0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
