"""The process that a framework runs in: ``python -m compare.frameworks.worker NAME``.

It is asked for the versions that it runs on, and to run cases: it writes outputs and gradients to a file, and answers
with times and memory.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from compare import workers
from compare.cells.layout import Arrays
from compare.checker.derivations.problem import Answer
from compare.frameworks import adapters
from compare.frameworks.case import LayerCase, by_direction, by_manual, draw
from compare.frameworks.engines import ENGINES
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.registry import FRAMEWORKS
from manual.arrays import Array

#: Seconds, and runs at the least, that a case is timed for once it has run.
SECONDS, RUNS = 0.2, 3


def prepare(name: str, case: LayerCase) -> tuple[Callable[[], Any], Callable[[Any], Answer]]:
    """Return what runs a case once, and what makes an answer of its result; ``manual`` is a framework, too."""
    if name == "manual":
        return partial(by_manual, case, draw(case)), lambda answer: answer
    framework = FRAMEWORKS[name]
    layout = LAYOUTS[framework.layout][case.form]
    problem = draw(case, layout.lacking)
    if framework.engine == "jax":
        import_module("jax").config.update("jax_enable_x64", True)
    weights = by_direction(case, problem.parameters, layout)
    leaves, call = getattr(adapters, framework.adapter)(case, weights, **framework.options)

    def as_answer(result: Any) -> Answer:
        outputs, d_inputs, d_leaves = result
        gradients: Arrays = {}
        for suffix, own in zip(case.suffixes, d_leaves):
            arrays = layout.gradients({name: _plain(tensor) for name, tensor in own.items()})
            gradients |= {name + suffix: array for name, array in arrays.items()}
        by_name = dict(zip(problem.d_outputs, map(_plain, outputs)))
        return Answer(by_name, dict(zip(problem.inputs, map(_plain, d_inputs))), gradients)

    return ENGINES[framework.engine](leaves, call, problem), as_answer


def measure(name: str, case: LayerCase, file: Path) -> dict[str, Any]:
    """Run a case: leave its tensors in a file, return seconds of the first call and of a later one, and peak bytes."""
    start = perf_counter()
    run, as_answer = prepare(name, case)
    result = run()
    first = perf_counter() - start
    with file.open("wb") as stream:
        np.savez(stream, **as_answer(result).tensors())  # type: ignore[arg-type]
    seconds: list[float] = []
    while len(seconds) < RUNS or sum(seconds) < SECONDS:
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return {"first": first, "step": statistics.median(seconds), "peak": workers.memory("VmHWM")}


def answer(name: str, order: dict[str, Any]) -> dict[str, Any]:
    """Return the versions that a framework runs on, or what comes of a case."""
    if not order:
        modules = ("numpy",) if name == "manual" else FRAMEWORKS[name].modules
        return {module: import_module(module).__version__.partition("-")[0] for module in modules}
    try:
        return measure(name, LayerCase(**order["case"]), Path(order["file"]))
    except Exception as error:  # any that a framework raises is a finding, and the next case may run
        return {"problem": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def _plain(tensor: Any) -> Array:
    """Return a tensor of any framework as a NumPy array."""
    return np.asarray(tensor.detach() if hasattr(tensor, "detach") else tensor)


if __name__ == "__main__":
    workers.serve(partial(answer, sys.argv[1]))
