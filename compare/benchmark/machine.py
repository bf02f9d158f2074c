"""The machine that a benchmark runs on: processor, cores, load and versions."""

import json
import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compare import workers


def available_cores() -> list[int]:
    """Return the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def describe() -> dict[str, Any]:
    """Return processor, number of cores, load and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    # In a process of its own: torch's threads must not run in the one that measures.
    with workers.start("compare.benchmark.machine") as process:
        found = json.loads(process.communicate()[0])
    processor = models[0] if models else "unknown processor"
    return {"processor": processor, "cores": len(available_cores()), "load": os.getloadavg()[0]} | found


def busy(found: Mapping[str, Any]) -> str:
    """Return a sentence on the load of a machine as ``describe`` found it; empty if it was idle."""
    if found["load"] < found["cores"] / 2:
        return ""
    return (
        f"The machine was busy: load {found['load']:.2f} on {found['cores']} cores. "
        "All times are longer than on an idle one, and the ratios less certain."
    )


def versions() -> dict[str, Any]:
    """Return the versions of the libraries that contenders use, and their BLAS."""
    import numpy as np
    import torch

    found = {"python": sys.version.split()[0]}
    for name in ("numpy", "torch", "jax", "jaxlib", "autograd", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found["numpy's BLAS"] = f"{blas['name']} {blas['version']}"
    found["torch's BLAS"] = "MKL" if "mkl" in torch.__config__.show().lower() else "no MKL"
    return found


if __name__ == "__main__":
    print(json.dumps(versions()))
