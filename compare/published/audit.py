"""The audit of the published backward passes: what is wrong with each, how far off it is, and what that costs.

What it finds is one JSON-ready dictionary, from which ``audit_tables.py`` makes the tables and ``audit_figures.py`` the
figures. It has every number start by start, so that any median, range or count can be taken from it.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, wait
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from compare.checker.report.fault import Fault
from compare.published import vanishing
from compare.published.gradients import Deviation, deviation, gradient_check
from compare.published.learning_curves import LearningCurve, initial_weights
from compare.published.recipes import RECIPES, Recipe
from compare.published.systems import SYSTEMS, System, check_system
from compare.published.tasks import Addition
from compare.published.trainings import (
    COMMENTED_LINE_PROBLEMS,
    RECIPE_TRAININGS,
    REPAIR_PROBLEMS,
    REPAIRS,
    TRAININGS,
    TRIALS,
)

#: The recipe of each system.
RECIPE_OF = {
    "no-bias LSTM": "no-bias-lstm",
    "scalar-bias LSTM": "scalar-bias-lstm",
    "LSTM class": "lstm-class",
    "LSTM layer, program": "lstm-layer",
    "LSTM layer, equations": "lstm-layer",
    "RNN, MATLAB": "matlab-rnn",
    "RNN, Python": "trask-rnn",
}

#: Gradients at the start are measured from so many times more starts than are trained.
GRADIENT_STARTS = 4


def audit(
    starts: int = 25, share: float = 1.0, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Run the whole audit.

    Args:
        starts: from how many starts each system is trained.
        share: of the problems that the write-ups train on.
        progress: called twice a second with the number of problems done and of all problems, each of all its starts.
    """
    curves = _train_all(starts, share, progress)
    return {
        "starts": starts,
        "share_of_problems": share,
        "systems": {name: _system(system, starts, curves) for name, system in SYSTEMS.items()},
        "trials": {title: _trial(title, curves) for title in TRIALS},
        "close_look": _curve(curves["no-bias LSTM, published"]),
        "repairs": {"problems": round(share * REPAIR_PROBLEMS)}
        | {name: _rounded(curves[name].values[-1]) for name in REPAIRS},
        "commented_line": {
            "problems": round(share * COMMENTED_LINE_PROBLEMS),
            "not_a_number": int(np.sum(~curves["commented-out line"].finite)),
        },
        "recipes": {TRAININGS[name].recipe: _end(name, curves[name]) for name in RECIPE_TRAININGS},
        "gradient_check": {
            str(T): {name: _rounded(of_all) for name, of_all in errors.items()}
            for T, errors in gradient_check(GRADIENT_STARTS * starts).items()
        },
        "carry": {"steps_back": list(vanishing.BACK)}
        | {name: {kind: _rounded(a) for kind, a in found.items()} for name, found in vanishing.carries(starts).items()},
    }


def place(fault: Fault) -> str:
    """Return where a fault is, in the words of ``Departure.found_at``."""
    return fault.name if fault.steps or not fault.gate else f"{fault.name.removesuffix(f'_{fault.gate}')} {fault.gate}"


def _train_all(starts: int, share: float, progress: Callable[[int, int], None]) -> dict[str, LearningCurve]:
    """Run every training, in one process for each core, the longest first."""
    names = sorted(TRAININGS, key=lambda name: -TRAININGS[name].problems)
    total = sum(round(share * TRAININGS[name].problems) for name in names)
    done = multiprocessing.get_context("spawn").Value("q", 0)
    with _executor(done) as executor:
        futures = {name: executor.submit(_train, name, starts, share) for name in names}
        while wait(futures.values(), timeout=0.5).not_done:
            progress(done.value, total)
    progress(done.value, total)
    return {name: futures[name].result() for name in TRAININGS}


def _executor(done: Any) -> Executor:
    """Return processes that count the problems they have done in ``done``, each with one thread for its BLAS."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when a process imports NumPy: this one has done so
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count(), spawn, initializer=_count_in, initargs=(done,))


_done: Any = None


def _count_in(done: Any) -> None:
    global _done
    _done = done


def _train(name: str, starts: int, share: float) -> LearningCurve:
    """Run one training, in a process of the executor."""

    def advance(problems: int) -> None:
        with _done.get_lock():
            _done.value += problems

    return TRAININGS[name].run(starts, share, advance)


def _trial(title: str, curves: dict[str, LearningCurve]) -> dict[str, Any]:
    """Return both curves of a trial, up to the end of the shorter one."""
    true, published = (curves[name] for name in TRIALS[title])
    looks = [look for look in true.problems if look in published.problems]
    recipe = RECIPES[TRAININGS[TRIALS[title][1]].recipe]
    return {
        "recipe": recipe.name,
        "value": _value(recipe),
        "problems": looks,
        "true": _rounded(true.values[np.isin(true.problems, looks)]),
        "published": _rounded(published.values[np.isin(published.problems, looks)]),
    }


def _curve(curve: LearningCurve) -> dict[str, Any]:
    """Return all looks at a training."""
    return {"problems": curve.problems, "values": _rounded(curve.values)}


def _end(name: str, curve: LearningCurve) -> dict[str, Any]:
    """Return what a training has learnt at its end."""
    value = _value(RECIPES[TRAININGS[name].recipe])
    return {"problems": curve.problems[-1], "value": value, "values": _rounded(curve.values[-1])}


def _value(recipe: Recipe) -> str:
    """Say what the values of a learning curve are."""
    return "sums right to the last bit" if isinstance(recipe.task, Addition) else "mean loss of an epoch"


def _system(system: System, starts: int, curves: dict[str, LearningCurve]) -> dict[str, Any]:
    """Return how far a system's gradient is from the true one, and what the localiser finds wrong with it."""
    recipe = RECIPES[RECIPE_OF[system.name]]
    seeds = range(GRADIENT_STARTS * starts)
    at_start = [deviation(system, recipe, *initial_weights(replace(recipe, seed=seed))) for seed in seeds]
    after_training = None
    if system.name in TRIALS:
        curve = curves[TRIALS[system.name][1]]
        ends = [({n: a[k] for n, a in curve.weights.items()}, curve.readout[k]) for k in np.flatnonzero(curve.finite)]
        after_training = _deviations(deviation(system, recipe, *end) for end in ends)
    checked = check_system(system)
    faults = checked.faults
    return {
        "source": system.source,
        "at_start": _deviations(at_start),
        "after_training": after_training,
        "departures": [departure.words for departure in system.departures],
        "dormant": [departure.words for departure in system.dormant],
        "faults": [
            {
                "name": fault.name,
                "equation": system.form.equation(fault.name).number,
                "gate": fault.gate,
                "steps": fault.steps,
                "hint": fault.hint,
            }
            for fault in faults
        ],
        "found": list(dict.fromkeys(place(fault) for fault in faults)),
        "expected": list(dict.fromkeys(chain.from_iterable(departure.found_at for departure in system.departures))),
    }


def _deviations(deviations: Iterable[Deviation]) -> dict[str, Any]:
    """Return the errors and cosines of all starts."""
    errors, cosines, problems = zip(*deviations)
    return {"problems": problems[0], "error": _rounded(errors), "cosine": _rounded(cosines)}


def _rounded(values: Any) -> Any:
    """Return numbers, to six digits, as lists of the array's shape."""
    return np.vectorize(lambda value: float(f"{value:.6g}"), otypes=[float])(values).tolist()
