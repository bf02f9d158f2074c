"""Run the same layer in each framework and compare it with ``manual``, and both with ``manual`` in long double.

Each framework runs in a process of its own on one thread, so that one that fails does not affect the others. If two
sides disagree about a gradient, an independent judge decides: a central difference of the loss in long double.
"""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compare import workers
from compare.agreement import TOLERANCES, Difference
from compare.agreement import compare as compare_arrays
from compare.cells.layout import Arrays
from compare.checker.derivations.problem import Answer, Problem
from compare.frameworks.case import LayerCase, by_manual, draw
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.registry import FRAMEWORKS

#: T, B, D, H of the layers.
SIZES = [(5, 3, 2, 4), (7, 16, 6, 32), (50, 8, 24, 64)]

#: The step of a central difference in long double: its error and that of rounding are about 1e-12 each.
STEP = 1e-6


@dataclass(frozen=True)
class Dispute:
    """The worst element of a tensor that two sides disagree about, and what it should be.

    ``error`` is relative to the tensor's largest element; ``judge`` says where ``expected`` comes from: a central
    difference of the loss, which knows nothing of any backward pass, or for an output the same equations in long
    double. Without an index it is the form that differs.
    """

    tensor: str
    error: float
    index: tuple[int, ...] = ()
    manual: float = np.nan
    framework: float = np.nan
    expected: float = np.nan
    judge: str = ""
    problem: str = ""

    @property
    def sides_with(self) -> str:
        """Who is nearer what is expected."""
        nearer = abs(self.manual - self.expected) < abs(self.framework - self.expected) or not np.isfinite(
            self.framework
        )
        return "manual" if nearer else "the framework"


@dataclass(frozen=True)
class Ulps:
    """Errors against long double in units in the last place of the tensors' largest elements."""

    worst: float
    rms: float


@dataclass
class Comparison:
    """One framework in one case.

    ``output`` and ``gradient`` are the worst relative errors against ``manual``, None where there is nothing of the
    kind; ``first`` and ``step`` are seconds, of the first call with all that is built and compiled for it and of a
    later one; ``peak`` is the most memory in bytes that the process had taken by then, where the system says;
    ``lacking`` names the gradients that the framework cannot give, ``problem`` says why nothing was compared.
    """

    framework: str
    case: LayerCase
    problem: str = ""
    output: float | None = None
    gradient: float | None = None
    ulps: Ulps | None = None
    manual_ulps: Ulps | None = None
    first: float = np.nan
    step: float = np.nan
    peak: int | None = None
    lacking: list[str] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it agrees."""
        return not self.problem and not self.disputes


@dataclass
class Findings:
    """All comparisons, the versions of each framework by module, and what is not installed."""

    comparisons: list[Comparison]
    versions: dict[str, dict[str, str]]
    missing: dict[str, list[str]]

    @property
    def agrees(self) -> bool:
        """Whether at least one framework was compared, and all of them agree."""
        others = [one for one in self.comparisons if one.framework != "manual"]
        return bool(others) and all(one.agrees for one in self.comparisons)


class Worker:
    """The process of a framework. If it ends early it is restarted, unless it never started properly."""

    def __init__(self, name: str, log: Path):
        self.name, self.log = name, log
        self.versions: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.problem = ""  # why it did not start

    def ask(self, case: LayerCase, file: Path) -> dict[str, Any]:
        """Run a case and write its tensors to a file; return the answer, which is a ``problem`` if the case failed."""
        if not self.process and not self.problem:
            self._start()
        if self.problem:
            return {"problem": self.problem}
        assert self.process
        found: dict[str, Any] | None = workers.ask(self.process, {"case": asdict(case), "file": str(file)})
        return {"problem": self._end()} if found is None else found

    def close(self) -> None:
        """End the process."""
        if self.process:
            with self.process:
                pass
            self.process = None

    def _start(self) -> None:
        own = FRAMEWORKS[self.name].environment if self.name in FRAMEWORKS else {}
        with self.log.open("w") as errors:
            environment = {**workers.limits(1), **own}
            self.process = workers.start("compare.frameworks.worker", self.name, environment=environment, errors=errors)
        versions = workers.ask(self.process, {})
        if versions is None:
            self.problem = self._end()
        else:
            self.versions = versions

    def _end(self) -> str:
        """Return how the process ended, with the last line of its standard error."""
        assert self.process
        self.process.communicate()
        last = [line for line in self.log.read_text().splitlines() if line.strip()][-1:]
        status, self.process = self.process.returncode, None
        return ": ".join([f"its process ended with status {status}", *last])


def cases_of(name: str, sizes: list[tuple[int, int, int, int]]) -> list[LayerCase]:
    """Return every case that a framework has, or ``manual``'s if no other is named."""
    framework = FRAMEWORKS[name]
    return [
        LayerCase(form, directions, *size, dtype)
        for size in sizes
        for form in LAYOUTS[framework.layout]
        for directions in framework.directions
        for dtype in framework.dtypes
    ]


def run(
    names: list[str],
    sizes: list[tuple[int, int, int, int]],
    on_done: Callable[[Comparison], None] = lambda comparison: None,
) -> Findings:
    """Compare frameworks with ``manual`` at sizes T, B, D, H, calling ``on_done`` after each case."""
    missing = {name: FRAMEWORKS[name].missing for name in names if FRAMEWORKS[name].missing}
    installed = [name for name in names if name not in missing]
    found = Findings([], {}, missing)
    own = list(dict.fromkeys(case for name in installed for case in cases_of(name, sizes)))
    with TemporaryDirectory() as folder:
        for name, cases in [("manual", own)] + [(name, cases_of(name, sizes)) for name in installed]:
            worker = Worker(name, Path(folder, "log"))
            for case in cases:
                file = Path(folder, f"{name}.npz")
                answer = worker.ask(case, file)
                if "problem" in answer:
                    comparison = Comparison(name, case, answer["problem"])
                else:
                    with np.load(file) as tensors:
                        comparison = judge(name, case, dict(tensors))
                    comparison = replace(comparison, **answer)
                found.comparisons.append(comparison)
                on_done(comparison)
            worker.close()
            found.versions[name] = worker.versions
    return found


def judge(name: str, case: LayerCase, theirs: Arrays) -> Comparison:
    """Compare a framework's tensors with ``manual``'s, and both with long double."""
    lacking, infers_only = "", False
    if name in FRAMEWORKS:
        lacking = LAYOUTS[FRAMEWORKS[name].layout][case.form].lacking
        infers_only = not FRAMEWORKS[name].engine
    problem, ours, truth = solved(case, lacking)
    gradients = [tensor for tensor in ours.tensors() if tensor not in ours.outputs]
    left_out = [tensor for tensor in gradients if infers_only or (lacking and tensor.startswith("bias_hh"))]
    expected = {tensor: array for tensor, array in ours.tensors().items() if tensor not in left_out}
    differences = compare_arrays(theirs, expected, TOLERANCES[case.dtype])
    shared = [d.name for d in differences if not d.problem]
    return Comparison(
        name,
        case,
        output=_worst(differences, ours.outputs),
        gradient=_worst(differences, gradients),
        ulps=_ulps(theirs, truth.tensors(), shared, case.dtype),
        manual_ulps=_ulps(ours.tensors(), truth.tensors(), shared, case.dtype),
        lacking=left_out,
        disputes=[_dispute(d, case, problem, truth) for d in differences if not d.agrees],
    )


@cache
def solved(case: LayerCase, lacking: str) -> tuple[Problem, Answer, Answer]:
    """Return a case's inputs, ``manual``'s answer, and its answer in long double."""
    problem = draw(case, lacking)
    return problem, by_manual(case, problem), by_manual(case, problem.in_precision("longdouble"))


def central_difference(case: LayerCase, problem: Problem, tensor: str, index: tuple[int, ...]) -> float:
    """Return the derivative of the loss with respect to an element, by two forward passes in long double.

    The loss is the sum of all outputs, each times its incoming gradient.
    """
    wide = problem.in_precision("longdouble")
    leaves = wide.parameters | {f"d_{name}": array for name, array in wide.inputs.items()}
    element, losses = leaves[tensor][index], []
    for sign in (1, -1):
        leaves[tensor][index] = element + sign * STEP
        outputs = by_manual(case, wide).outputs.values()
        losses.append(sum((o * d).sum() for o, d in zip(outputs, wide.d_outputs.values())))
    return float((losses[0] - losses[1]) / (2 * STEP))


def _dispute(difference: Difference, case: LayerCase, problem: Problem, truth: Answer) -> Dispute:
    """Have the judge decide about the worst element of a tensor."""
    name, index = difference.name, difference.index
    if not index:
        return Dispute(name, difference.error, problem=difference.problem)
    if name in truth.outputs:
        expected, judge = float(truth.outputs[name][index]), "long double"
    else:
        expected, judge = central_difference(case, problem, name, index), "central difference"
    return Dispute(
        name, difference.error, index, difference.reference, difference.actual, expected, judge, difference.problem
    )


def _worst(differences: list[Difference], names: Collection[str]) -> float | None:
    errors = [difference.error for difference in differences if difference.name in names]
    return max(errors) if errors else None


def _ulps(arrays: Arrays, truth: Arrays, names: list[str], dtype: str) -> Ulps | None:
    """Return errors of the named tensors, over all their elements; None if there are none."""
    distances = [
        (np.abs(arrays[name] - truth[name]) / np.spacing(np.abs(truth[name]).max().astype(dtype))).ravel()
        for name in names
    ]
    if not distances:
        return None
    together = np.concatenate(distances).astype(float)
    return Ulps(float(together.max()), float(np.sqrt(np.mean(together**2))))
