"""The process that a contender runs in: ``python -m compare.benchmark.worker KIND NAME CORES``.

Orders come on standard input. Each order and each answer is a line of JSON. ``prepare`` builds the contender for a
case, runs it, and writes what it yields to a file; ``time`` runs it a number of times and answers with the seconds that
one run took, and with how many cores it kept busy the while.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


def serve(contender: Any) -> None:
    """Carry out orders until there are no more."""
    import numpy as np

    from compare.benchmark.case import Case, Work, numbers

    work: Work | None = None
    warm = set()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "prepare":
            work = None  # the memory of the case before goes first
            case = Case(**order["case"])
            small = replace(case, T=2, B=2, D=2, H=2)
            if not contender.longest and small not in warm:  # what is imported on first use is not the case's
                contender.build(small, numbers(small))()
                warm.add(small)
            given = numbers(case)
            before = _forget_peak()
            start = perf_counter()
            work = contender.build(case, given)
            result = work()
            first = perf_counter() - start
            with Path(order["file"]).open("wb") as file:
                np.savez(file, **{n: _plain(n, a) for n, a in (result.outputs | result.gradients).items()})
            result = None
            start = perf_counter()
            work()
            once = perf_counter() - start
            answer: Any = {"first": first, "once": once, "peak": _peak() - before if before else None}
        else:
            assert work is not None, "prepare comes first"
            start, busy = perf_counter(), process_time()
            for _ in range(order["runs"]):
                work()
            elapsed = perf_counter() - start
            answer = {"seconds": elapsed / order["runs"], "busy": (process_time() - busy) / elapsed}
        print(json.dumps(answer), flush=True)


def versions() -> dict[str, Any]:
    """Versions of what contenders may be made of, and the BLAS libraries they multiply with."""
    from importlib.metadata import PackageNotFoundError, version

    import numpy as np
    import torch

    found = {"python": sys.version.split()[0]}
    for name in ("numpy", "torch", "jax", "jaxlib", "autograd"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found["numpy's BLAS"] = f"{blas['name']} {blas['version']}"
    found["torch's BLAS"] = "MKL" if "mkl" in torch.__config__.show().lower() else "no MKL"
    return found


def _plain(name: str, value: Any) -> Any:
    """As a NumPy array; states without an axis for layers."""
    import numpy as np

    array = value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)
    return array[0] if array.ndim == 3 and name in ("h_n", "c_n", "d_h_0", "d_c_0") else array


def _forget_peak() -> int:
    """Have the system forget how much memory this process once had; returns how much it has. 0 if it can't be told."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return 0


def _peak() -> int:
    return _status("VmHWM")


def _status(entry: str) -> int:
    """Bytes, from what the system says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:"))


def order(case: Any, file: Path) -> dict[str, Any]:
    """The order to prepare a case."""
    return {"do": "prepare", "case": asdict(case), "file": str(file)}


if __name__ == "__main__":
    _, kind, name, cores = sys.argv
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    if kind == "versions":
        print(json.dumps(versions()))
    else:
        import compare.benchmark.contenders

        serve(getattr(compare.benchmark.contenders, kind)[name])
