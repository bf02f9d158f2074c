"""Worker processes that are asked and answer in lines of JSON."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any


def limits(threads: int) -> dict[str, str]:
    """Return the environment in which the libraries that a process imports start so many threads."""
    eigen = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {}
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OPENBLAS", "OMP", "MKL")} | eigen


def start(
    module: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({}), errors: IO[str] | None = None
) -> subprocess.Popen[str]:
    """Start a module in a process of its own.

    It looks for modules where this process does, so no file in the working folder takes the place of a library.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def ask(process: subprocess.Popen[str], request: Mapping[str, Any]) -> Any:
    """Send a request to a process that serves, and return its answer; None if the process has ended."""
    assert process.stdin and process.stdout
    try:
        print(json.dumps(request), file=process.stdin, flush=True)
        answer = process.stdout.readline()
    except BrokenPipeError:
        return None
    return json.loads(answer) if answer else None


def serve(answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer requests until there are no more. What is printed meanwhile goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def memory(entry: str) -> int | None:
    """Return an entry of this process's status in bytes, such as ``VmHWM``, its peak; None if the system has none."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:"))
