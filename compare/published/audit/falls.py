"""How a network loses what it has learnt: the length of each step, and the sums right, while it falls."""

from dataclasses import replace
from typing import Any

import numpy as np

from compare.published.audit.learning_curves import (
    LearningCurve,
    SideBySide,
    Training,
    backward_with,
    initial_weights,
    packed,
    share_of_sums_right,
    training_data,
    unpacked,
)
from compare.published.audit.switches import switches
from manual.engines import fastest_for_few_rows

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
    run = _Run(replace(training.recipe, seed=seeds[k]), last)
    run.train(0, first)
    steps, problems, shares = [], [], []
    for number in range(first, last):
        before = run.parameters
        run.train(number, number + 1)
        steps.append(float(np.linalg.norm(run.parameters - before)))
        if (number + 1) % EVERY == 0:
            problems.append(number + 1)
            shares.append(run.share_right())
    return {"seed": seeds[k], "first": first, "steps": steps, "problems": problems, "values": shares}


class _Run:
    """One network in training by the true gradient, with the engine that the learning curves have."""

    def __init__(self, recipe: Any, problems: int):
        self.recipe = recipe
        self.compiles = fastest_for_few_rows() == "compiled"
        if self.compiles:
            self.W, self.readout = packed(*initial_weights(recipe))
            self.x, self.y = (np.ascontiguousarray(a.swapaxes(0, 1)) for a in training_data(recipe, problems))
        else:
            self.side = SideBySide(recipe, [recipe.seed], backward_with(recipe), problems)

    def train(self, first: int, last: int) -> None:
        """Train on the problems from ``first`` on, before ``last``."""
        if self.compiles:
            from compare.published.audit.compiled import train_lstm

            losses = np.empty(last - first)
            train_lstm(self.W, self.readout, self.x, self.y, first, last, switches(self.recipe, ()), losses)
        else:
            for number in range(first, last):
                self.side.step(number)

    @property
    def parameters(self) -> Any:
        """All parameters as one new vector."""
        own = [self.W, self.readout] if self.compiles else [*self.side.weights.values(), self.side.readout]
        return np.concatenate([array.ravel() for array in own])

    def share_right(self) -> float:
        """Return the share of sums that are right."""
        at = unpacked(self.W, self.readout, 2) if self.compiles else (self.side.weights, self.side.readout)
        return float(share_of_sums_right(self.recipe, *at)[0])
