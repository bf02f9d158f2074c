"""Train a recipe from several starts side by side, by the true or by a published gradient: same problems, same starts.

Where ``compare/recipe_training.py`` proves each step, this shows what a gradient is good for: nothing is compared, and
a hundred thousand problems take a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compare.lockstep.objectives import objective
from compare.published.departures import Departing, Departure
from compare.published.passes import PASSES, Backward, Gradients, Tape, columns, lstm_backward
from compare.published.recipes import Recipe
from compare.published.tasks import Addition, GradientCheck, Regression
from manual.arrays import Array, Probe


@dataclass(frozen=True)
class Curve:
    """What came of a training: ``values`` (marks, runs) after as many problems as ``marks`` say, and the last weights.

    A value is the share of sums right to the last bit, or, in a regression, the mean loss of the epoch that ends there.
    """

    marks: tuple[int, ...]
    values: Array
    weights: dict[str, Array]
    readout: Array


class Runs:
    """A recipe from several starts side by side.

    Args:
        recipe: what is trained; its seed is not read.
        seeds: of the runs' starts and problems.
        backward: the gradient to descend by.
        steps: how many problems each run is given.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], backward: Backward, steps: int):
        self.recipe, self.backward = recipe, backward
        each = [replace(recipe, seed=seed) for seed in seeds]
        weights, readouts = zip(*map(drawn, each))
        self.weights = {name: np.stack([start[name] for start in weights]) for name in weights[0]}
        self.readout = np.stack(readouts)  # (S, 1, H)
        data = [samples(one, steps) for one in each]
        self.x, self.y = (np.stack(arrays, axis=1) for arrays in zip(*data))  # (T, S, samples, D) and (…, O)

    def step(self, number: int) -> Array:
        """One problem for each run: returns the losses before the update, (S,)."""
        sample = [number % self.x.shape[2]]
        x, y = self.x[:, :, sample], self.y[:, :, sample]
        tape = PASSES[self.recipe.cell][0](self.weights, x)
        d_output, d_readout, losses = incoming(self.recipe, tape, y, self.readout)
        gradients = self.backward(tape, d_output, None)
        for name, weight in self.weights.items():
            if name != "bias" or self.recipe.layout.biases:
                weight -= self.recipe.learning_rate * gradients[name]
        if self.recipe.readout:
            self.readout -= self.recipe.learning_rate * d_readout
        return losses


def incoming(recipe: Recipe, tape: Tape, y: Array, readout: Array) -> tuple[Array, Array, Array]:
    """What comes into the layer from the recipe's loss on targets y (T, …, B, O).

    Returns:
        d_output (T, …, B, H); the gradient of the readout (…, 1, H); the losses (…,), where they are squares.
    """
    output = tape.h @ np.swapaxes(readout, -1, -2) if recipe.readout else tape.h
    loss = objective(recipe.loss)
    problems = output.size / (len(output) * output.shape[-1])  # the objective averages over them, where no recipe does
    d_z = loss.gradient(output, y) * recipe.loss_scale * problems
    d_output = d_z @ readout if recipe.readout else d_z
    d_readout = columns(d_z) @ np.swapaxes(columns(tape.h), -1, -2)
    losses = recipe.loss_scale * ((output - y) ** 2).mean(axis=(0, -1, -2)) if recipe.loss == "squares" else np.empty(0)
    return d_output, d_readout, losses


def train(
    recipe: Recipe, backward: Backward, seeds: Sequence[int], steps: int, marks: Sequence[int] | None = None
) -> Curve:
    """Train, and look at the marks, given as numbers of problems, those beyond ``steps`` left out.

    A run whose numbers overflow goes on with what is not a number, and gets nothing right.
    """
    runs = Runs(recipe, seeds, backward, steps)
    kept = tuple(mark for mark in (marks or (*range(steps // 20, steps, steps // 20), steps)) if mark <= steps)
    values, losses = [], []
    with np.errstate(all="ignore"):
        for number in range(steps):
            losses.append(runs.step(number))
            if number + 1 in kept:
                if isinstance(recipe.task, Addition):
                    values.append(exact(recipe, runs.weights, runs.readout))
                else:
                    values.append(np.mean(losses[-runs.x.shape[2] :], axis=0))
    return Curve(kept, np.array(values), runs.weights, runs.readout)


def exact(recipe: Recipe, weights: dict[str, Array], readout: Array) -> Array:
    """The share of all 16,384 sums of two numbers of 7 bits that are right to the last bit, by run, (S,).

    An output of exactly 0.5 reads as 0. Sums that begin alike share their beginnings: step t has 4^t states.
    """
    forward = PASSES[recipe.cell][0]
    S, _, H = readout.shape
    state = (np.zeros((S, 1, H)),) * (2 if recipe.cell == "lstm" else 1)
    carry, right = np.zeros(1, int), np.ones((S, 1), bool)
    pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for t in range(8):
        seen = pairs if t < 7 else pairs[:1]  # the highest bits are 0
        x = np.tile(seen, (len(carry), 1))
        state = tuple(np.repeat(s, len(seen), axis=1) for s in state)
        tape = forward(weights, np.broadcast_to(x, (1, S, *x.shape)), None, state if len(state) > 1 else state[0])
        column = x.sum(axis=1) + np.repeat(carry, len(seen))
        said = (tape.h[0] @ np.swapaxes(readout, -1, -2))[..., 0] > 0
        right = np.repeat(right, len(seen), axis=1) & (said == (column & 1).astype(bool))
        carry = column >> 1
        state = (tape.h[0], tape.c[0]) if len(state) > 1 else (tape.h[0],)
    # What is not a number says 0 everywhere: that gets 0 + 0 right, and nothing is what it ought to count as.
    alive = np.isfinite(weights["weight_hh"]).all(axis=(-1, -2))
    return right.mean(axis=1) * alive


def departing_backward(departures: Sequence[Departure]) -> Backward:
    """The true backward pass of an LSTM, made to depart in these ways."""

    def backward(tape: Tape, d_output: Array, probe: Probe | None = None) -> Gradients:
        departing = Departing(departures, tape.weights, tape.x, d_output)
        for name in ("i", "f", "g", "o", "c", "h"):
            departing.values |= {(name, t): value for t, value in enumerate(getattr(tape, name))}
        return departing.gradients(lstm_backward(tape, d_output, departing))

    return backward


def drawn(recipe: Recipe) -> tuple[dict[str, Array], Array]:
    """A recipe's start: the layer's weights as ``passes.py`` has them, and the readout's (1, H)."""
    start, readout = recipe.draw(recipe.generators()[0])
    return {"weight_ih": start["weight_ih"], "weight_hh": start["weight_hh"], "bias": start["bias_ih"]}, readout


def samples(recipe: Recipe, count: int) -> tuple[Array, Array]:
    """The first ``count`` problems of a recipe, or as many as it has: x (T, samples, D), y (T, samples, O)."""
    weights, data = recipe.generators()
    recipe.draw(weights)  # before the problems, where both come from one generator
    if isinstance(recipe.task, Regression):
        count = min(count, recipe.task.samples)
    elif isinstance(recipe.task, GradientCheck):
        count = 1
    x, y = zip(*recipe.task.batches(data, count))
    return np.concatenate(x, axis=1), np.concatenate(y, axis=1)
