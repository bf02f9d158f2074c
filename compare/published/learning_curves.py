"""Train a recipe from many starts side by side, by the true or by a published gradient, and record what it learns.

``recipe_training.py`` proves every step of one start against autograd. Nothing is compared here: this shows what a
gradient is good for, and a hundred thousand problems from 25 starts take two minutes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from compare.published.departures import Departing, Departure
from compare.published.losses import loss
from compare.published.networks import NETWORKS, Backward, Gradients, LSTMTrace, Trace, as_columns, lstm_backward
from compare.published.recipes import Recipe
from compare.published.scalar_bias import summed_over_units
from compare.published.tasks import Addition, GradientCheck, Regression
from manual.arrays import Array, Probe

#: All values of a column of binary digits: a, b.
COLUMNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@dataclass(frozen=True)
class LearningCurve:
    """What S trainings have learnt after so many problems.

    Args:
        problems: after how many problems ``values`` were taken.
        values: (len(problems), S), the share of sums right to the last bit; for a regression, the mean loss of the
            epoch that ends there.
        weights: the last weights, (S, …) each.
        readout: the last weights of the readout, (S, 1, H).
    """

    problems: tuple[int, ...]
    values: Array
    weights: dict[str, Array]
    readout: Array

    @property
    def finite(self) -> Array:
        """Whether the last weights are numbers, (S,)."""
        return np.asarray(np.isfinite(self.weights["weight_hh"]).all(axis=(-1, -2)))


class SideBySide:
    """A recipe in training from several starts side by side.

    Args:
        recipe: what to train; its own seed is ignored.
        seeds: one for each start and its problems.
        backward: the gradient to descend by.
        steps: how many problems each start is given.
    """

    def __init__(self, recipe: Recipe, seeds: Sequence[int], backward: Backward, steps: int):
        self.recipe, self.backward = recipe, backward
        each = [replace(recipe, seed=seed) for seed in seeds]
        weights, readouts = zip(*map(initial_weights, each))
        self.weights = {name: np.stack([start[name] for start in weights]) for name in weights[0]}
        self.readout = np.stack(readouts)  # (S, 1, H)
        data = [training_data(one, steps) for one in each]
        kept = np.int8 if isinstance(recipe.task, Addition) else np.float64  # digits need no more
        self.x, self.y = (np.stack(arrays, axis=1, dtype=kept, casting="unsafe") for arrays in zip(*data))
        # (T, S, samples, D) and (T, S, samples, O)

    def step(self, number: int) -> Array:
        """Train each start on one problem and return the losses before the update, (S,)."""
        sample = [number % self.x.shape[2]]
        x, y = self.x[:, :, sample].astype(np.float64), self.y[:, :, sample].astype(np.float64)
        trace = NETWORKS[self.recipe.cell].forward(self.weights, x)
        d_output, d_readout, losses = loss_gradients(self.recipe, trace, y, self.readout)
        gradients = self.backward(trace, d_output, None)
        for name, weight in self.weights.items():
            if name != "bias" or self.recipe.layout.biases:
                weight -= self.recipe.learning_rate * gradients[name]
        if self.recipe.readout:
            self.readout -= self.recipe.learning_rate * d_readout
        return losses


def learning_curve(
    recipe: Recipe,
    backward: Backward,
    seeds: Sequence[int],
    steps: int,
    looks: Sequence[int],
    advance: Callable[[int], None] = lambda problems: None,
) -> LearningCurve:
    """Train on ``steps`` problems and take a value at each of the ``looks`` that are not beyond them.

    Weights that overflow stay what they are, and such a network gets no sum right. ``advance`` is called now and then
    with the number of problems since its last call.
    """
    training = SideBySide(recipe, seeds, backward, steps)
    looks = tuple(look for look in looks if look <= steps)
    values, losses = [], []
    with np.errstate(all="ignore"):
        for number in range(1, steps + 1):
            losses.append(training.step(number - 1))
            if number in looks:
                if isinstance(recipe.task, Addition):
                    values.append(share_of_sums_right(recipe, training.weights, training.readout))
                else:
                    values.append(np.mean(losses[-training.x.shape[2] :], axis=0))
            if number % 100 == 0:
                advance(100)
    advance(steps % 100)
    return LearningCurve(looks, np.array(values), training.weights, training.readout)


def share_of_sums_right(recipe: Recipe, weights: dict[str, Array], readout: Array) -> Array:
    """Return the share of all 16,384 sums of two 7-bit numbers that are right to the last bit, for each network (S,).

    An output of exactly 0.5 reads as 0. Sums that begin alike share their first steps, and a sum that has a wrong bit
    is dropped at once.
    """
    shares = []
    for k, w_out in enumerate(readout):
        own = {name: array[k] for name, array in weights.items()}
        finite = np.isfinite(own["weight_hh"]).all()  # what is not would answer 0 everywhere, and be right about 0 + 0
        shares.append(_sums_right(recipe.cell, own, w_out) / 4**7 if finite else 0.0)
    return np.array(shares)


def _sums_right(cell: str, weights: dict[str, Array], w_out: Array) -> int:
    """Count the sums that one network gets right, a few at a time, so that they fit into the cache."""
    count = 0
    begun: list[tuple[int, Array, tuple[Array, ...] | None]] = [(0, np.zeros(1, int), None)]  # steps, carries, states
    while begun:
        t, carry, state = begun.pop()
        if t == 8:
            count += len(carry)
            continue
        digits = COLUMNS if t < 7 else COLUMNS[:1]  # the highest bits are 0
        x = np.tile(digits, (len(carry), 1))
        state = state and tuple(np.repeat(array, len(digits), axis=0) for array in state)
        trace = NETWORKS[cell].forward(weights, x[None], None, state)
        column = x.sum(axis=1) + np.repeat(carry, len(digits))
        right = np.flatnonzero(((trace.h[0] @ w_out.T)[:, 0] > 0) == (column & 1).astype(bool))
        for part in np.split(right, range(64, len(right), 64)):
            begun.append((t + 1, column[part] >> 1, tuple(array[part] for array in trace.last_state)))
    return count


def loss_gradients(recipe: Recipe, trace: Trace, y: Array, readout: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of the recipe's loss on targets y (T, …, B, O), summed over problems.

    Returns:
        d_output (T, …, B, H); the gradient of the readout's weights (…, 1, H); the losses (…,) where they are squares.
    """
    output = trace.h @ np.swapaxes(readout, -1, -2) if recipe.readout else trace.h
    problems = output.size / (len(output) * output.shape[-1])  # the loss averages over them, where no recipe does
    d_z = loss(recipe.loss, recipe.loss_scale * problems).gradient(output, y)
    d_output = d_z @ readout if recipe.readout else d_z
    d_readout = as_columns(d_z) @ np.swapaxes(as_columns(trace.h), -1, -2)
    losses = recipe.loss_scale * ((output - y) ** 2).mean(axis=(0, -1, -2)) if recipe.loss == "squares" else np.empty(0)
    return d_output, d_readout, losses


def true_backward(recipe: Recipe) -> Backward:
    """Return the true backward pass of a recipe, whose gates may have one number as their bias."""
    backward = NETWORKS[recipe.cell].backward
    if recipe.layout.biases != "scalar":
        return backward
    return lambda trace, d_output, probe: summed_over_units(backward(trace, d_output, probe))


def departing_backward(departures: Sequence[Departure]) -> Backward:
    """Return the true backward pass of an LSTM with these departures."""

    def backward(trace: LSTMTrace, d_output: Array, probe: Probe | None = None) -> Gradients:
        departing = Departing(departures, trace.weights, trace.x, d_output)
        for name in ("i", "f", "g", "o", "c", "h"):
            departing.values |= {(name, t): value for t, value in enumerate(getattr(trace, name))}
        return departing.gradients(lstm_backward(trace, d_output, departing))

    return backward


def initial_weights(recipe: Recipe) -> tuple[dict[str, Array], Array]:
    """Return a recipe's start: the layer's weights in the form of ``networks.py``, and the readout's (1, H)."""
    start, readout = recipe.draw(recipe.generators()[0])
    return {"weight_ih": start["weight_ih"], "weight_hh": start["weight_hh"], "bias": start["bias_ih"]}, readout


def training_data(recipe: Recipe, count: int) -> tuple[Array, Array]:
    """Return the first ``count`` problems of a recipe, or as many as it has: x (T, samples, D), y (T, samples, O)."""
    weights, data = recipe.generators()
    recipe.draw(weights)  # before the problems, where both come from one generator
    if isinstance(recipe.task, Regression):
        count = min(count, recipe.task.samples)
    elif isinstance(recipe.task, GradientCheck):
        count = 1
    x, y = zip(*recipe.task.batches(data, count))
    return np.concatenate(x, axis=1), np.concatenate(y, axis=1)
