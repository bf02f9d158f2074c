"""The hand-derived layers against others, timed side by side.

Each contender runs in a process of its own, its threads pinned to the same cores as the others'. Before anything is
timed, what all of them compute at that size is compared. Then they take turns, one at a time, over several rounds, so
that whatever else the machine does befalls all alike; ratios are formed within a round. With one thread, a turn in
which something else took the core is taken again, whoever's it is.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

import numpy as np

from compare.agreement import TOLERANCES, Difference
from compare.agreement import compare as compare_arrays
from compare.benchmark.case import Case
from compare.benchmark.contenders import CONTENDERS, PRODUCTS
from compare.benchmark.worker import order

#: T, B, D, H: what the project holds itself to.
SIZES = [
    (8, 1, 2, 16),
    (8, 1, 2, 32),
    (8, 64, 2, 16),
    (8, 64, 2, 32),
    (8, 256, 2, 64),
    (32, 64, 64, 128),
    (64, 64, 128, 256),
    (100, 32, 256, 512),
    (256, 1, 64, 256),
]

#: Seconds between turns where there are several threads: an idle pool keeps its cores busy for a while.
PAUSE = 0.05

#: With one thread, the share of a turn that a contender must have had its core to itself, and how often it may try.
BUSY, RETURNS = 0.95, 8


@dataclass(frozen=True)
class Plan:
    """How long to measure: ``rounds`` at most and ``seconds`` for a case, and ``turn`` seconds for one turn."""

    rounds: int
    seconds: float
    turn: float


@dataclass
class Timing:
    """What one contender did in one case.

    ``seconds`` are those of one run, one value a round; ``first`` is how long the first run took, with whatever was
    built or compiled for it; ``peak`` the bytes it needed at most; ``used`` the share of the tolerance that its worst
    difference uses up, None for the bare products; ``problem`` says why it was not timed.
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

    def over(self, other: "Timing") -> tuple[float, float, float]:
        """How many times as long as the other, paired within rounds: lower quartile, median, upper quartile."""
        ratios = [mine / its for mine, its in zip(self.seconds, other.seconds)]
        if not ratios:
            return np.nan, np.nan, np.nan
        lower, median, upper = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        return lower, median, upper


@dataclass
class Measured:
    """One case: its timings by contender, and those of the bare products by library."""

    case: Case
    sweep: str  # the letter that varies, or empty
    load: float  # of the machine, when it was done
    timings: dict[str, Timing]
    products: dict[str, Timing]

    @property
    def limit(self) -> Timing:
        """The products with the BLAS that took the least time."""
        return min(self.products.values(), key=lambda timing: timing.median)

    def share(self, contender: str, of: str | None = None) -> float:
        """The share of the contender's time that the bare products take, with the best BLAS or a given one."""
        products = self.products[of] if of else self.limit
        timing = self.timings[contender]
        return products.over(timing)[1] if timing.seconds else np.nan

    @property
    def agrees(self) -> bool:
        """Whether all contenders computed the same."""
        return all(timing.used is None or timing.used <= 1 for timing in self.timings.values())


class Workers:
    """The processes of contenders and products, all on the same cores.

    Args:
        names: contenders.
        threads: how many threads, and so cores, each may use.
    """

    def __init__(self, names: list[str], threads: int):
        self.threads = threads
        cores = available_cores()[-threads:]
        kinds = [("CONTENDERS", name) for name in names] + [("PRODUCTS", name) for name in PRODUCTS]
        self.processes = {pair: _start(*pair, cores, self._environment(pair[1])) for pair in kinds}

    def _environment(self, name: str) -> dict[str, str]:
        """Thread pools as large as there are threads; ``manual`` and ``numpy`` have threads of their own instead."""
        pool = "1" if name in ("manual", "numpy") else str(self.threads)
        limited = {f"{library}_NUM_THREADS": pool for library in ("OPENBLAS", "OMP", "MKL")}
        eigen = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if self.threads == 1 else {}
        return {**os.environ, **limited, **eigen}

    def ask(self, kind: str, name: str, order: dict[str, Any]) -> Any:
        """Give an order and wait for the answer.

        Raises:
            RuntimeError: the process ended.
        """
        process = self.processes[kind, name]
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the process of {name} ended with status {process.wait()}")
        if self.threads > 1:
            sleep(PAUSE)
        return json.loads(answer)

    def close(self) -> None:
        """End all processes."""
        for process in self.processes.values():
            with suppress(BrokenPipeError), process:  # the pipes are closed, and the process sees that there is no more
                pass


@contextmanager
def workers(names: list[str], threads: int) -> Iterator[Workers]:
    """The processes, ended when the block is left."""
    started = Workers(names, threads)
    try:
        yield started
    finally:
        started.close()


def check_contenders(names: list[str]) -> None:
    """Make sure that contenders are there.

    Raises:
        ValueError: one is unknown, or what it needs isn't installed.
    """
    for name in names:
        if name not in CONTENDERS:
            raise ValueError(f"contenders: expected some of {', '.join(CONTENDERS)}, got {name!r}")
        if CONTENDERS[name].missing:
            raise ValueError(f"contenders: {name!r} is not installed here: {CONTENDERS[name].missing}")


def installed() -> list[str]:
    """The contenders that can run here."""
    return [name for name, contender in CONTENDERS.items() if not contender.missing]


def available_cores() -> list[int]:
    """The cores this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def measure(running: Workers, case: Case, names: list[str], plan: Plan, sweep: str = "") -> Measured:
    """Compare what all contenders compute in a case, then time those that agree.

    The reference is the written-out module where it takes part, and otherwise the first contender after ``manual``.
    """
    timings = {name: Timing(name) for name in names}
    products = {name: Timing(name) for name in PRODUCTS if case.task == "layer"}
    once: dict[tuple[str, str], float] = {}
    with TemporaryDirectory() as folder:
        for kind, group in (("CONTENDERS", timings), ("PRODUCTS", products)):
            for name, timing in group.items():
                longest = CONTENDERS[name].longest if kind == "CONTENDERS" else 0
                if 0 < longest < case.T:
                    timing.problem = f"left out above T = {longest}"
                    continue
                answer = running.ask(kind, name, order(case, Path(folder, f"{name}.npz")))
                timing.first, timing.peak = answer["first"], answer["peak"]
                once[kind, name] = answer["once"]
        _compare(timings, case, Path(folder))
    turns = [
        (kind, timing, max(1, int(plan.turn / once[kind, timing.contender])))
        for kind, group in (("CONTENDERS", timings), ("PRODUCTS", products))
        for timing in group.values()
        if not timing.problem
    ]
    start = monotonic()
    for k in range(plan.rounds):
        if k >= 3 and monotonic() - start > plan.seconds:
            break
        for kind, timing, runs in turns:
            timing.seconds.append(_turn(running, kind, timing.contender, runs))
    return Measured(case, sweep, os.getloadavg()[0], timings, products)


def _turn(running: Workers, kind: str, name: str, runs: int) -> float:
    """Seconds of one run in a turn; a turn in which something else took the core is taken again, a few times."""
    for _ in range(RETURNS):
        answer = running.ask(kind, name, {"do": "time", "runs": runs})
        if running.threads > 1 or answer["busy"] > BUSY:
            break
    seconds: float = answer["seconds"]
    return seconds


def _compare(timings: dict[str, Timing], case: Case, folder: Path) -> None:
    """Note how far each contender's results are from the reference's, and keep those that disagree from being timed."""
    running = [name for name, timing in timings.items() if not timing.problem]
    results = {}
    for name in running:
        with np.load(folder / f"{name}.npz") as file:
            results[name] = dict(file)
    reference = "autograd" if "autograd" in results else running[min(1, len(running) - 1)]
    for name in running:
        differences = compare_arrays(results[name], results[reference], TOLERANCES[case.dtype])
        worst: Difference = max(differences, key=lambda difference: difference.error)
        timings[name].used = worst.used
        if not worst.agrees:
            what = worst.problem or f"error {worst.error:.1e}, tolerance {worst.tolerance:g}"
            timings[name].problem = f"disagrees with {reference} in {worst.name}: {what}"


def run(
    cases: list[tuple[Case, str]], names: list[str], plan: Plan, tell: Callable[[Measured], None]
) -> list[Measured]:
    """Measure all cases, each with the letter of its sweep if it has one; ``tell`` hears of each as it is done."""
    done = []
    for threads in dict.fromkeys(case.threads for case, _ in cases):
        with workers(names, threads) as running:
            for case, sweep in cases:
                if case.threads == threads:
                    done.append(measure(running, case, names, plan, sweep))
                    tell(done[-1])
    return done


def machine() -> dict[str, Any]:
    """What the measurement was made with: processor, cores, load, versions."""
    cores = available_cores()
    info = Path("/proc/cpuinfo")
    models = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if (info.exists())
        else []
    )
    program = [sys.executable, "-m", "compare.benchmark.worker", "versions", "-", ",".join(map(str, cores))]
    found = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    cpu = models[0] if models else "unknown processor"
    return {"processor": cpu, "cores": len(cores), "load": os.getloadavg()[0]} | json.loads(found)


def as_json(machine: dict[str, Any], measured: list[Measured]) -> dict[str, Any]:
    """All numbers there are."""
    return {
        "machine": machine,
        "cases": [asdict(one) | {"limit": one.limit.contender if one.products else None} for one in measured],
    }


def _start(kind: str, name: str, cores: list[int], environment: dict[str, str]) -> "subprocess.Popen[str]":
    program = [sys.executable, "-m", "compare.benchmark.worker", kind, name, ",".join(map(str, cores))]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
