"""How far a published gradient is from the true one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from compare.checker.derivations.problem import Problem
from compare.published.audit.learning_curves import initial_weights, loss_gradients, training_data
from compare.published.networks import NETWORKS
from compare.published.systems import SYSTEMS, System, truth
from manual.arrays import Array

#: Over how many problems of a recipe a gradient is summed, if it has as many.
PROBLEMS = 256


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
