"""The process that a contender runs in: ``python -m compare.benchmark.worker TABLE NAME CORES``.

Requests arrive on standard input; each request and each answer is one line of JSON. ``prepare`` builds the contender
for a case, runs it and writes its results to a file. ``time`` runs it several times and answers with the seconds per
run and with how many cores were busy meanwhile.

Libraries are imported only once the process is pinned to its cores, because the threads that they start inherit that.
"""

import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


def serve(table: str, name: str) -> None:
    """Answer requests for a contender until the input ends."""
    from compare.benchmark import contenders

    answers, sys.stdout = sys.stdout, sys.stderr  # a contender may print
    known = getattr(contenders, table)
    seat = Seat(known[name] if name in known else contenders.own(name))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = seat.prepare(request) if request["do"] == "prepare" else seat.time(request["runs"])
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            answer = {"error": f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"}
        print(json.dumps(answer), file=answers, flush=True)


class Seat:
    """A contender with the work that it has prepared."""

    def __init__(self, contender: Any):
        self.contender = contender
        self.work: Any = None
        self.warm: set[Any] = set()

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
        return {"first": first, "once": once, "peak": _memory("VmHWM") - before if before else None}

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


def _reset_peak() -> int:
    """Reset the peak memory of this process, and return its memory now in bytes; 0 if the system offers neither."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _memory("VmRSS")
    except OSError:
        return 0


def _memory(entry: str) -> int:
    """Return an entry of this process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:"))


if __name__ == "__main__":
    _, table, name, cores = sys.argv
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    serve(table, name)
