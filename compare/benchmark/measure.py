"""Compare and time the contenders, case by case.

Each contender runs in a process of its own, pinned to the same cores as the others. Before anything is timed, the
results of all are compared. Then they take turns over several rounds, one at a time, so that whatever else the machine
does affects all of them alike; ratios are taken within a round. With one thread, a turn during which something else
used the core is repeated, whichever contender's it is.
"""

import os
import statistics
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import numpy as np

from compare import workers
from compare.agreement import TOLERANCES, compare
from compare.benchmark.case import TASKS, TimedCase
from compare.benchmark.contenders import CONTENDERS, PRODUCTS
from compare.benchmark.machine import available_cores

#: Seconds between turns if there are several threads: an idle thread pool keeps its cores busy for a while.
PAUSE = 0.05

#: Who starts threads of its own, and needs none of its libraries'.
OWN_THREADS = ("manual", "manual-compiled", "numpy")


class Pool:
    """The processes of contenders and bare products, all on the same cores, as many as each may have threads."""

    def __init__(self, names: list[str], threads: int):
        self.threads = threads
        cores = ",".join(map(str, available_cores()[-threads:]))
        pairs = [("CONTENDERS", name) for name in names] + [("PRODUCTS", name) for name in PRODUCTS]
        self.processes = {}
        for table, name in pairs:
            limits = workers.limits(1 if name in OWN_THREADS else threads)
            process = workers.start("compare.benchmark.worker", table, name, cores, environment=limits)
            self.processes[table, name] = process

    def ask(self, table: str, name: str, request: dict[str, Any]) -> Any:
        """Send a request to a process and return its answer; an error that the contender raises is a ValueError."""
        process = self.processes[table, name]
        answer = workers.ask(process, request)
        if answer is None:
            raise RuntimeError(f"the process of {name} ended with status {process.wait()}")
        if self.threads > 1:
            sleep(PAUSE)
        if "error" in answer:
            raise ValueError(f"contender: {name} raised {answer['error']}")
        return answer

    def close(self) -> None:
        """End all processes by closing their input."""
        for process in self.processes.values():
            with suppress(BrokenPipeError), process:
                pass


#: With one thread, the share of a turn in which a contender must have its core, and the number of attempts.
BUSY, ATTEMPTS = 0.95, 8


@dataclass(frozen=True)
class Budget:
    """The time to spend: at most ``rounds`` and ``seconds`` for a case, and ``turn`` seconds for one turn."""

    rounds: int
    seconds: float
    turn: float


@dataclass
class Timing:
    """The measurements of one contender in one case.

    ``seconds`` are those of one run, one value per round. ``first`` is the time of the first run, including building
    and compiling, ``peak`` the peak memory in bytes. ``used`` is its worst error as a share of the tolerance, None for
    the bare products. ``problem`` says why it was not timed.
    """

    contender: str
    seconds: list[float] = field(default_factory=list)
    first: float = 0.0
    peak: int | None = None
    used: float | None = None
    problem: str = ""

    @property
    def median(self) -> float:
        """Seconds of one run."""
        return statistics.median(self.seconds) if self.seconds else np.nan

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the seconds of one run."""
        return _quartiles(self.seconds)

    def over(self, other: "Timing") -> tuple[float, float, float]:
        """Return lower quartile, median and upper quartile of the ratio to another's time, paired within rounds."""
        return _quartiles([mine / its for mine, its in zip(self.seconds, other.seconds)])


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile; NaN if there are no values."""
    if not values:
        return np.nan, np.nan, np.nan
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return lower, median, upper


@dataclass
class Measured:
    """One case with its timings by contender, and those of the bare products by library."""

    case: TimedCase
    sweep: str  # the letter of the size that varies, if it belongs to a sweep
    load: float  # of the machine at the end
    timings: dict[str, Timing]
    products: dict[str, Timing]

    @property
    def lower_bound(self) -> Timing:
        """The bare products with the faster BLAS."""
        return min(self.products.values(), key=lambda timing: timing.median)

    def share_of_products(self, contender: str) -> float:
        """Return the lower bound as a share of the contender's time."""
        return self.lower_bound.over(self.timings[contender])[1]

    @property
    def agrees(self) -> bool:
        """Whether the results of all contenders agree."""
        return all(timing.used is None or timing.used <= 1 for timing in self.timings.values())


def check_contenders(names: list[str]) -> None:
    """Raise a ValueError unless contenders are known, and installed here."""
    for name in names:
        if name not in CONTENDERS:
            raise ValueError(f"contenders: expected some of {', '.join(CONTENDERS)}, got {name!r}")
        if CONTENDERS[name].missing:
            raise ValueError(f"contenders: {name!r} is not installed here: {CONTENDERS[name].missing}")


def installed() -> list[str]:
    """Return the contenders that can run here."""
    return [name for name, contender in CONTENDERS.items() if not contender.missing]


def run(
    cases: list[tuple[TimedCase, str]], names: list[str], budget: Budget, on_measured: Callable[[Measured], None]
) -> list[Measured]:
    """Measure all cases, each with the letter of its sweep or an empty string, and call ``on_measured`` after each."""
    done = []
    for threads in dict.fromkeys(case.threads for case, _ in cases):
        with closing(Pool(names, threads)) as pool:
            for case, sweep in cases:
                if case.threads == threads:
                    done.append(measure(pool, case, names, budget, sweep))
                    on_measured(done[-1])
    return done


def measure(pool: Pool, case: TimedCase, names: list[str], budget: Budget, sweep: str = "") -> Measured:
    """Compare the results of all contenders in a case, then time those that agree.

    The reference is the written-out module if it takes part, and otherwise the first contender that is not ours.
    """
    timings = {name: Timing(name) for name in names}
    products = {name: Timing(name) for name in PRODUCTS if case.task == "layer"}
    once: dict[tuple[str, str], float] = {}
    with TemporaryDirectory() as folder:
        for table, group in (("CONTENDERS", timings), ("PRODUCTS", products)):
            for name, timing in group.items():
                longest = CONTENDERS[name].longest if table == "CONTENDERS" else 0
                if 0 < longest < case.T:
                    timing.problem = f"left out above T = {longest}"
                    continue
                file = str(Path(folder, f"{name}.npz"))
                answer = pool.ask(table, name, {"do": "prepare", "case": asdict(case), "file": file})
                timing.first, timing.peak = answer["first"], answer["peak"]
                once[table, name] = answer["once"]
        _compare(timings, case, Path(folder))
    turns = [
        (table, timing, max(1, int(budget.turn / once[table, timing.contender])))
        for table, group in (("CONTENDERS", timings), ("PRODUCTS", products))
        for timing in group.values()
        if not timing.problem
    ]
    start = monotonic()
    for k in range(budget.rounds):
        if k >= 3 and monotonic() - start > budget.seconds:
            break
        for table, timing, runs in turns:
            timing.seconds.append(_turn(pool, table, timing.contender, runs))
    return Measured(case, sweep, os.getloadavg()[0], timings, products)


def _compare(timings: dict[str, Timing], case: TimedCase, folder: Path) -> None:
    """Record each contender's worst error against the reference, and exclude those that disagree."""
    present = [name for name, timing in timings.items() if not timing.problem]
    results = {}
    for name in present:
        with np.load(folder / f"{name}.npz") as file:
            results[name] = dict(file)
    others = [name for name in present if not name.startswith("manual")]
    reference = "autograd" if "autograd" in results else (others or present)[0]
    for name in present:
        differences = compare(results[name], results[reference], TOLERANCES[case.dtype])
        worst = max(differences, key=lambda difference: difference.error)
        timings[name].used = worst.used
        if not worst.agrees:
            what = worst.problem or f"error {worst.error:.1e}, tolerance {worst.tolerance:g}"
            timings[name].problem = f"disagrees with {reference} in {worst.name}: {what}"


def _turn(pool: Pool, table: str, name: str, runs: int) -> float:
    """Return the seconds of one run in a turn. A turn that had to share its core is repeated, a few times."""
    for _ in range(ATTEMPTS):
        answer = pool.ask(table, name, {"do": "time", "runs": runs})
        if pool.threads > 1 or answer["busy"] > BUSY:
            break
    seconds: float = answer["seconds"]
    return seconds


def as_json(machine: dict[str, Any], measured: list[Measured]) -> dict[str, Any]:
    """Return all measurements, and of each contender that was timed the quartiles.

    They are those of its seconds, and those of its ratio to the first contender.
    """
    return {"machine": machine, "cases": [_case_as_json(one) for one in measured]}


def _case_as_json(one: Measured) -> dict[str, Any]:
    found = asdict(one) | {
        "title": one.case.title,
        "what": TASKS[one.case.task],
        "limit": one.lower_bound.contender if one.products else None,
    }
    first = next(iter(one.timings.values()))
    for table, group in ((CONTENDERS, "timings"), (PRODUCTS, "products")):
        for name, timing in getattr(one, group).items():
            found[group][name]["label"] = table[name].label.format(cell=one.case.cell)
            found[group][name]["quartiles"] = timing.quartiles if timing.seconds else None
            found[group][name]["ratio"] = timing.over(first) if timing.seconds and first.seconds else None
    return found
