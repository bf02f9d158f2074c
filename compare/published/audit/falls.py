"""How a network loses what it has learnt: the length of each step, and the sums right, while it falls."""

from typing import Any

import numpy as np

from compare.published.audit.learning_curves import LearningCurve, Networks, Training, share_of_sums_right
from manual.arrays import Array

#: The sums right are counted once in so many problems.
EVERY = 25


def depth(curve: LearningCurve) -> Any:
    """Return by how much each network fell below 1 at a look after it had been there, (S,)."""
    reached = np.maximum.accumulate(curve.values == 1, axis=0)
    return np.where(reached, 1 - curve.values, 0).max(axis=0)


def deepest_fall(training: Training, curve: LearningCurve, seeds: range) -> dict[str, Any]:
    """Follow the network that fell most, from the look before to the look after.

    Returns:
        ``seed``; ``first``, the problem before the first step; ``steps``, the length of each step; ``problems`` and
        ``values``, the share of sums right after so many.
    """
    k = int(np.argmax(depth(curve)))
    values = curve.values[:, k]
    low = int(np.argmin(np.where(np.maximum.accumulate(values == 1), values, 2)))
    first, last = (0, *curve.problems)[low], curve.problems[min(low + 1, len(values) - 1)]
    network = Networks(training, [seeds[k]], last)
    for number in range(first):
        network.step(number)
    steps, problems, shares = [], [], []
    for number in range(first, last):
        before = _parameters(network)
        network.step(number)
        steps.append(float(np.linalg.norm(_parameters(network) - before)))
        if (number + 1) % EVERY == 0:
            problems.append(number + 1)
            shares.append(float(share_of_sums_right(training.recipe, network.weights, network.readout)[0]))
    return {"seed": seeds[k], "first": first, "steps": steps, "problems": problems, "values": shares}


def _parameters(network: Networks) -> Array:
    """Return all parameters as one new vector."""
    return np.concatenate([array.ravel() for array in (*network.weights.values(), network.readout)])
