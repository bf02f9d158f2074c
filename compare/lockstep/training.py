"""One run: train all sides in lock-step, say what its author would, examine what was learnt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from torch import nn

from compare.agreement import position
from compare.binary_addition import Sums
from compare.cells.check import check_layer
from compare.checker.notation import Notation
from compare.checker.report.report import Report
from compare.lockstep.checkpoint import Checkpoint
from compare.lockstep.lockstep import Finding, Lockstep, Step
from compare.lockstep.settings import Configuration
from manual.arrays import Array


@dataclass(frozen=True)
class CorrectSums:
    """The share of ``count`` sums that each side gets right in every bit."""

    bits: int
    count: int
    manual: float
    autograd: float


class Look(NamedTuple):
    """What is seen at a step: values of curves, by what they are of, and the lines of the author's print-out."""

    values: dict[str, float]
    lines: list[str]


#: The curve of the share of sums that are right in every bit.
SUMS_RIGHT = "sums right"


class Interruption(Exception):  # noqa: N818 - no error
    """Raised after a step to end a run there."""


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run."""

    settings: Configuration
    lockstep: Lockstep
    checked: Report  # each equation of the recurrent layers individually, and their fast kernels against the equations
    correct_sums: list[CorrectSums]  # of the trained length first, then 64 and 1,024 bits; empty if nothing is added
    examples: tuple[Sums, Array] | None  # a few sums, and the manual side's logits for them
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # what was looked at on the way, by step
    interrupted: bool = field(default=False, kw_only=True)

    @property
    def agrees(self) -> bool:
        """Whether the sides agreed at every step, each equation individually, and the fast kernels with them."""
        return self.lockstep.agrees and self.checked.agrees and not self.interrupted

    @property
    def shows_faults(self) -> bool:
        """Whether equations were checked and some of them are wrong."""
        return bool(self.checked.as_run) and not all(one.agrees for one in self.checked.as_run + self.checked.fed_back)

    @property
    def figures(self) -> dict[str, Callable[[Path], None]]:
        """What draws the figures that not every run has, by file name: the faults, and the author's error curve."""
        faults = {"faults.png": self.checked.draw} if self.shows_faults else {}
        return faults | ({"error_curve.png": self.draw_curve} if self.settings.error in self.curves else {})

    def draw_curve(self, path: Path) -> None:
        """Draw the error curve as its author does."""
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*self.curves[self.settings.error]), ".-", markersize=3)
        axes.set(xlabel="problems", ylabel=self.settings.error, title=self.settings.title)
        axes.grid(alpha=0.3)
        figure.savefig(path, format="png", dpi=110)

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates whose blocks of rows make up the recurrent weights."""
        return self.lockstep.manual.model.recurrent.kernel.gates

    @property
    def written_examples(self) -> list[dict[str, str]]:
        """The bits of each example, most significant first: ``a``, ``b``, ``predicted`` and ``true``."""
        if not self.examples:
            return []
        sums, logits = self.examples
        columns = {"a": sums.a, "b": sums.b, "predicted": (logits[:, :, 0] > 0).astype(int), "true": sums.total}
        return [
            {name: "".join(map(str, bits[::-1, row])) for name, bits in columns.items()}
            for row in range(sums.a.shape[1])
        ]

    def where(self, finding: Finding) -> str:
        """Describe the position of a finding's worst element, or the problem that prevents the comparison."""
        found = finding.difference
        return found.problem or position(found.name, found.index, finding.shape, self.gates)


class Experiment(ABC):
    """What a run is about: its network on all sides, its batches, what is said on the way and examined at the end.

    An experiment is for one run, which calls ``set_up``, ``batches``, ``closing`` and ``examine`` once, in this order.
    """

    settings: Configuration
    prints = False  # whether its author prints something on the way

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What sets the same experiment up again, for JSON."""

    @abstractmethod
    def set_up(self) -> Lockstep:
        """Build the manual side, its opponents, and the independent side, or raise a ValueError."""

    def opening(self) -> list[str]:
        """Return the lines that are printed before the first step."""
        return []

    @abstractmethod
    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Yield x (T, B, D) and y (T, B, O) for each step."""

    def look(self, lockstep: Lockstep, x: Array, y: Array) -> Look | None:
        """Return what is seen before the step on a batch, if anything."""
        return None

    def closing(self, lockstep: Lockstep) -> list[str]:
        """Return the lines that are printed after the last step."""
        return []

    @abstractmethod
    def twin(self) -> nn.Module:
        """Build the recurrent layers in ``torch_impl``, against which each equation is checked."""

    def check(self, lockstep: Lockstep) -> Report:
        """Check each equation of the manual side's layer individually."""
        return check_equations(lockstep, self.twin(), self.settings.seed)

    @abstractmethod
    def examine(self, lockstep: Lockstep, checked: Report) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
        """Compare what has been learnt, and return the sums that are right and the examples, if there are sums."""


def train(
    experiment: Experiment,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train all sides in lock-step.

    A checkpoint that was read from a file is where the run starts, and it is saved on the way. ``on_step`` may raise
    ``Interruption``; ``say`` gets each line that the experiment's author would print.
    """
    settings, lockstep = experiment.settings, experiment.set_up()
    added = checkpoint.restore(lockstep, settings.steps) if checkpoint else {}
    curves: dict[str, list[tuple[int, float]]] = {
        of: [(step, value) for step, value in curve] for of, curve in added.get("curves", {}).items()
    }
    if not lockstep.steps:
        for line in experiment.opening():
            say(line)
    try:
        for x, y in islice(experiment.batches(), len(lockstep.steps), None):
            if lockstep.stuck:
                break
            look = lockstep.attempt("a print-out", lambda: experiment.look(lockstep, x, y))  # noqa: B023
            if look:
                for of, value in look.values.items():
                    curves.setdefault(of, []).append((len(lockstep.steps) + 1, value))
                for line in look.lines:
                    say(line)
            step = lockstep.step(x, y)
            if checkpoint:
                checkpoint.after_step(lockstep, curves=curves)
            on_step(step)
    except Interruption:
        if checkpoint:
            checkpoint.save(lockstep, curves=curves)
        return Run(settings, lockstep, no_check(lockstep), [], None, curves, interrupted=True)
    if not lockstep.stuck:
        for line in lockstep.attempt("a print-out", lambda: experiment.closing(lockstep)) or []:
            say(line)
    lockstep.finish()
    checked = experiment.check(lockstep)
    return Run(settings, lockstep, checked, *experiment.examine(lockstep, checked), curves)


def check_equations(lockstep: Lockstep, twin: nn.Module, seed: int) -> Report:
    """Check each equation of the manual side's layer individually, and its fast kernels against the equations.

    Nothing is checked if the lock-step is stuck. An error that the equations raise is a failure of the manual side.
    """
    if lockstep.stuck:
        return no_check(lockstep)
    layer = lockstep.manual.model.recurrent
    checked = lockstep.attempt("each equation", lambda: check_layer(layer, twin, seed=seed))
    return checked or no_check(lockstep)


def no_check(lockstep: Lockstep) -> Report:
    """Return the report of a check that examined nothing."""
    return Report("", Notation(), "float64", lockstep.tolerance, k=1.0, as_run=[], fed_back=[])


def add_up(lockstep: Lockstep, sets: list[Sums], examples: Sums) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
    """Return the shares of each set of sums that both sides get right, and the manual side's logits for the examples.

    Neither is there once the manual side has raised an error.
    """
    dtype = str(lockstep.manual.model.recurrent.dtype)

    def shares(sums: Sums) -> CorrectSums:
        bits, count = sums.total.shape
        sides = (lockstep.manual, lockstep.autograd)
        return CorrectSums(bits, count, *(sums.share_correct(side.logits(sums.inputs(dtype))) for side in sides))

    if lockstep.raised:
        return [], None
    found = lockstep.attempt(
        "adding", lambda: ([shares(s) for s in sets], (examples, lockstep.manual.logits(examples.inputs(dtype))))
    )
    return found or ([], None)
