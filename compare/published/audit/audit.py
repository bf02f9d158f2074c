"""The audit of the published backward passes: what is wrong with each, how far off it is, and what that costs.

What it finds is one JSON-ready dictionary, from which ``tables.py`` makes the tables and ``figures.py`` the figures. It
has every number seed by seed, so that any quantile, interval or count can be taken from it.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from compare.binary_addition import digits
from compare.checker.derivations.problem import Problem
from compare.checker.report.fault import Fault
from compare.published.audit import vanishing
from compare.published.audit.learning_curves import (
    LearningCurve,
    deepest_fall,
    depth,
    initial_weights,
    loss_gradients,
    share_of_sums_right,
    training_data,
)
from compare.published.audit.trainings import (
    COMMENTED_LINE_PROBLEMS,
    RECIPE_TRAININGS,
    REMEDIES,
    REPAIR_PROBLEMS,
    REPAIRS,
    TRAININGS,
    TRIALS,
    UNITS,
    compared,
)
from compare.published.networks import NETWORKS
from compare.published.recipes import RECIPES, Recipe
from compare.published.systems import SYSTEMS, System, check_system, truth
from compare.published.tasks import Addition
from manual.arrays import Array

#: Over how many problems of a recipe a gradient is summed, if it has as many.
PROBLEMS = 256

#: From so many seeds a process trains at once: few enough that their weights fit into its cache.
TOGETHER = 20


class Deviation(NamedTuple):
    """Of a gradient p from the true one t, each as one vector of all parameters of the layer."""

    error: float  # |p - t| / |t|
    cosine: float  # of the angle between the two
    problems: int  # that both are summed over


def deviation(system: System, weights: dict[str, Array], readout: Array) -> Deviation:
    """Measure a system's gradient at these weights, summed over problems that its recipe does not train on."""
    recipe = system.recipe
    x, y = training_data(replace(recipe, seed=recipe.seed + 1000), PROBLEMS)
    trace = NETWORKS[recipe.cell].forward(weights, x)
    d_output, _, _ = loss_gradients(recipe, trace, y, readout)
    published, true = _gradients(system, weights, x, d_output)
    p, t = (np.concatenate([array.ravel() for array in side.values()]) for side in (published, true))
    lengths = np.linalg.norm(p), np.linalg.norm(t)
    error, cosine = np.linalg.norm(p - t) / lengths[1], p @ t / (lengths[0] * lengths[1])
    return Deviation(float(error), float(cosine), x.shape[1])


def gradient_check(seeds: Iterable[int]) -> dict[int, dict[str, list[float]]]:
    """Return the relative errors of each gradient in the LSTM layer's own check, seed by seed, by number of steps.

    The check has two steps and starts from h = c = 0. The gradient of the recurrent weights then comes from the delta
    of the last step, which needs no carry; a third step brings the missing carry out.
    """
    system = SYSTEMS["LSTM layer, program"]
    recipe = system.recipe
    errors: dict[int, dict[str, list[float]]] = {}
    for T in (2, 3):
        x = np.arange(1.0, 4.0) + np.arange(T)[:, None, None]  # (T, 1, 3): [1, 2, 3], [2, 3, 4], …
        d_output = np.zeros((T, 1, recipe.hidden_size))
        d_output[-1] = 1
        errors[T] = {}
        for seed in seeds:
            weights, _ = initial_weights(replace(recipe, seed=seed))
            published, true = _gradients(system, weights, x, d_output)
            for name, t in true.items():
                errors[T].setdefault(name, []).append(float(np.abs(published[name] - t).max() / np.abs(t).max()))
    return errors


def _gradients(
    system: System, weights: dict[str, Array], x: Array, d_output: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the published gradients and autograd's."""
    problem = Problem(system.express(weights), {"x": x}, {"output": d_output})
    return system.solve(problem).gradients, truth(system, problem).answer.gradients


def audit(
    first_seed: int = 0,
    seeds: int = 100,
    share: float = 1.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Run the whole audit; ``progress`` is called with the number of problems done and of all, each of one seed."""
    chosen = range(first_seed, first_seed + seeds)
    curves = _train_all(chosen, share, progress)
    true, published = (curves[f"no-bias LSTM, {kind}"] for kind in ("true", "published"))
    recipe = RECIPES["no-bias-lstm"]
    repaired = min(round(share * REPAIR_PROBLEMS), true.problems[-1])
    whole = {"nothing wrong": _at(true, repaired), "everything wrong, as published": _at(published, repaired)}
    return {
        "first_seed": first_seed,
        "seeds": seeds,
        "share_of_problems": share,
        "systems": {name: _system(system, chosen, curves) for name, system in SYSTEMS.items()},
        "trials": {title: _trial(title, curves) for title in TRIALS},
        "by_round": _rounded(share_of_sums_right(recipe, true.weights, true.readout, half_is_one=True)),
        "error_floor": _error_floor(recipe),
        "repairs": {"problems": repaired} | {name: _rounded(curves[name].values[-1]) for name in REPAIRS} | whole,
        "commented_line": {
            "problems": round(share * COMMENTED_LINE_PROBLEMS),
            "not_a_number": int(np.sum(~curves["commented-out line"].finite)),
        },
        "remedies": {words: _curve(curves[name]) for words, name in REMEDIES.items()},
        "fall": _fall(true, chosen),
        "compared": [
            {"cell": cell, "units": units, "loss": loss} | _curve(curves[compared(cell, units, loss)])
            for cell in ("LSTM", "RNN")
            for loss in ("bce", "mse")
            for units in UNITS
        ],
        "long": {cell: _curve(curves[f"{cell}, 16 bits"]) for cell in ("LSTM", "RNN")},
        "recipes": {TRAININGS[name].recipe.name: _end(name, curves[name]) for name in RECIPE_TRAININGS},
        "gradient_check": {
            str(T): {name: _rounded(of_all) for name, of_all in errors.items()}
            for T, errors in gradient_check(chosen).items()
        },
        "carry": {"steps_back": list(vanishing.BACK)}
        | {name: {kind: _rounded(a) for kind, a in found.items()} for name, found in vanishing.carries(chosen).items()},
    }


def place(fault: Fault) -> str:
    """Return where a fault is, in the words of ``Departure.found_at``."""
    return fault.name if fault.steps or not fault.gate else f"{fault.name.removesuffix(f'_{fault.gate}')} {fault.gate}"


def _train_all(seeds: range, share: float, progress: Callable[[int, int], None]) -> dict[str, LearningCurve]:
    """Run every training, in one process for each core, the longest first."""
    groups = [seeds[k : k + TOGETHER] for k in range(0, len(seeds), TOGETHER)]
    names = sorted(TRAININGS, key=lambda name: -TRAININGS[name].problems)
    with _executor() as executor:
        futures = {(n, group): executor.submit(_train, n, group, share) for n in names for group in groups}
        sizes = {futures[n, group]: round(share * TRAININGS[n].problems) * len(group) for n, group in futures}
        done = 0
        for future in as_completed(sizes):
            done += sizes[future]
            progress(done, sum(sizes.values()))
    return {name: LearningCurve.joined([futures[name, group].result() for group in groups]) for name in TRAININGS}


def _train(name: str, seeds: range, share: float) -> LearningCurve:
    """Run one training from some seeds, in a process that finds it by its name."""
    return TRAININGS[name].run(seeds, share)


def _executor() -> Executor:
    """Return processes with one thread each for their BLAS."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when a process imports NumPy: this one has done so
    return ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"))


def _trial(title: str, curves: dict[str, LearningCurve]) -> dict[str, Any]:
    """Return both curves of a trial, up to the end of the shorter one."""
    true, published = (curves[name] for name in TRIALS[title])
    looks = [look for look in true.problems if look in published.problems]
    recipe = TRAININGS[TRIALS[title][1]].recipe
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


def _fall(curve: LearningCurve, seeds: range) -> dict[str, Any] | None:
    """Return the deepest fall of a no-bias LSTM with the true gradient; None if none has fallen."""
    if not depth(curve).any():
        return None
    found = deepest_fall(TRAININGS["no-bias LSTM, true"], curve, seeds)
    return found | {name: _rounded(found[name]) for name in ("steps", "values")}


def _at(curve: LearningCurve, problems: int) -> Any:
    """Return the values after so many problems."""
    return _rounded(curve.values[curve.problems.index(problems)])


def _error_floor(recipe: Recipe) -> float:
    """Return the mean error of a problem, summed over the bits, below which no network without biases can come.

    While both numbers have shown only zeros, h is 0 and the output 0.5, for the right bit 0.
    """
    task = recipe.task
    assert isinstance(task, Addition)
    columns = digits(np.arange(task.least, task.largest_a + 1), task.bits)  # (bits, a)
    others = digits(np.arange(task.least, task.largest_b + 1), task.bits)
    zeros = np.cumsum(columns, axis=0) == 0, np.cumsum(others, axis=0) == 0
    return 0.5 * float(sum(a.mean() * b.mean() for a, b in zip(*zeros)))


def _end(name: str, curve: LearningCurve) -> dict[str, Any]:
    """Return what a training has learnt at its end."""
    value = _value(TRAININGS[name].recipe)
    return {"problems": curve.problems[-1], "value": value, "values": _rounded(curve.values[-1])}


def _value(recipe: Recipe) -> str:
    """Say what the values of a learning curve are."""
    return "sums right to the last bit" if isinstance(recipe.task, Addition) else "mean loss of an epoch"


def _system(system: System, seeds: range, curves: dict[str, LearningCurve]) -> dict[str, Any]:
    """Return how far a system's gradient is from the true one, and what the localiser finds wrong with it."""
    at_start = [deviation(system, *initial_weights(replace(system.recipe, seed=seed))) for seed in seeds]
    after_training = None
    if system.name in TRIALS:
        curve = curves[TRIALS[system.name][1]]
        ends = [({n: a[k] for n, a in curve.weights.items()}, curve.readout[k]) for k in np.flatnonzero(curve.finite)]
        after_training = _deviations(deviation(system, *end) for end in ends)
    faults = check_system(system).faults
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
