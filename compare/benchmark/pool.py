"""The processes of all contenders, and the requests that they are sent."""

from contextlib import suppress
from time import sleep
from typing import Any

from compare import workers
from compare.benchmark.contenders import PRODUCTS
from compare.benchmark.machine import available_cores

#: Seconds between turns if there are several threads: an idle thread pool keeps its cores busy for a while.
PAUSE = 0.05


class Pool:
    """The processes of contenders and bare products, all on the same cores, as many as each may have threads."""

    def __init__(self, names: list[str], threads: int):
        self.threads = threads
        cores = ",".join(map(str, available_cores()[-threads:]))
        pairs = [("CONTENDERS", name) for name in names] + [("PRODUCTS", name) for name in PRODUCTS]
        self.processes = {
            (table, name): workers.start(
                "compare.benchmark.worker", table, name, cores, environment=self._environment(name)
            )
            for table, name in pairs
        }

    def _environment(self, name: str) -> dict[str, str]:
        """Limit the libraries' thread pools. ``manual`` and ``numpy`` start threads of their own instead."""
        pool = "1" if name in ("manual", "manual-compiled", "numpy") else str(self.threads)
        limits = {f"{library}_NUM_THREADS": pool for library in ("OPENBLAS", "OMP", "MKL")}
        eigen = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if self.threads == 1 else {}
        return limits | eigen

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
