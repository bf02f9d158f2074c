"""The process that a contender runs in: ``python -m compare.benchmark.worker TABLE NAME CORES``.

Requests arrive on standard input; each request and each answer is one line of JSON. ``prepare`` builds the contender
for a case, runs it and writes its results to a file. ``time`` runs it several times and answers with the seconds per
run and with how many cores were busy meanwhile.

Libraries are imported only once the process is pinned to its cores, because the threads that they start inherit that.
"""

import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from compare import workers


class Seat:
    """A contender with the work that it has prepared."""

    def __init__(self, contender: Any):
        self.contender = contender
        self.work: Any = None
        self.warm: set[Any] = set()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for; an error that the contender raises is an answer."""
        try:
            return self.prepare(request) if request["do"] == "prepare" else self.time(request["runs"])
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return {"error": f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"}

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build the contender for a case, run it, and write its results to a file."""
        import numpy as np

        from compare.benchmark.case import TimedCase, draw_inputs

        self.work = None  # frees the memory of the previous case first
        case = TimedCase(**request["case"])
        small = replace(case, T=2, B=2, D=2, H=2)
        if not self.contender.longest and small not in self.warm:  # imports on first use do not belong to the case
            self.contender.build(small, draw_inputs(small))()
            self.warm.add(small)
        inputs = draw_inputs(case)
        before = _reset_peak()
        start = perf_counter()
        self.work = self.contender.build(case, inputs)
        result = self.work()
        first = perf_counter() - start
        with Path(request["file"]).open("wb") as file:
            np.savez(file, **{n: _comparable(n, a) for n, a in (result.outputs | result.gradients).items()})
        result = None
        start = perf_counter()
        self.work()
        once = perf_counter() - start
        peak = workers.memory("VmHWM")
        return {"first": first, "once": once, "peak": peak - before if peak and before else None}

    def time(self, runs: int) -> dict[str, float]:
        """Run the work several times."""
        start, busy = perf_counter(), process_time()
        for _ in range(runs):
            self.work()
        elapsed = perf_counter() - start
        return {"seconds": elapsed / runs, "busy": (process_time() - busy) / elapsed}


def _comparable(name: str, value: Any) -> Any:
    """Convert to a NumPy array, and drop a state's axis for layers."""
    import numpy as np

    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return array[0] if array.ndim == 3 and name in ("h_n", "c_n", "d_h_0", "d_c_0") else array


def _reset_peak() -> int | None:
    """Reset the peak memory of this process, and return its memory now in bytes; None if the system offers neither."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return workers.memory("VmRSS")


if __name__ == "__main__":
    _, table, name, cores = sys.argv
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    from compare.benchmark import contenders

    known = getattr(contenders, table)
    workers.serve(Seat(known[name] if name in known else contenders.own(name)).answer)
