"""Train a recipe from many seeds, by the true gradient or with departures from it, and record what it learns.

``recipe_training.py`` proves every step of one seed against autograd. Nothing is compared here: this shows what a
gradient is good for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from compare.binary_addition import EXHAUSTIVE_BITS
from compare.published.departures import Departing, Departure, row_for_one_number
from compare.published.losses import loss
from compare.published.networks import NETWORKS, Backward, Gradients, LSTMTrace, Trace, as_columns, lstm_backward
from compare.published.recipes import Recipe
from compare.published.scalar_bias import summed_over_units
from compare.published.tasks import Addition
from manual.arrays import Array, Probe

#: All values of a column of binary digits: a, b.
COLUMNS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@dataclass(frozen=True)
class LearningCurve:
    """What S trainings have learnt after so many problems."""

    problems: tuple[int, ...]  #: after how many problems ``values`` were taken
    #: (len(problems), S), the share of sums right to the last bit; for a regression, the mean loss of the epoch that
    #: ends there
    values: Array
    weights: dict[str, Array]  #: the last weights, (S, …) each
    readout: Array  #: the last weights of the readout, (S, 1, H)

    @property
    def finite(self) -> Array:
        """Whether the last weights are numbers, (S,)."""
        return np.asarray(np.isfinite(self.weights["weight_hh"]).all(axis=(-1, -2)))

    @classmethod
    def joined(cls, curves: Sequence["LearningCurve"]) -> "LearningCurve":
        """Put the curves of one training from several groups of seeds side by side."""
        weights = {name: np.concatenate([curve.weights[name] for curve in curves]) for name in curves[0].weights}
        values = np.concatenate([curve.values for curve in curves], axis=1)
        return cls(curves[0].problems, values, weights, np.concatenate([curve.readout for curve in curves]))


@dataclass(frozen=True)
class Training:
    """A recipe, a gradient to train it by, on how many problems, and when to look at what it has learnt."""

    recipe: Recipe  #: what to train; its own seed is ignored
    problems: int  #: how many
    #: after how many problems values are taken, besides the last
    looks: Sequence[int] = field(default=(), kw_only=True)
    departures: tuple[Departure, ...] = field(default=(), kw_only=True)  #: from the true gradient
    most: float = field(default=np.inf, kw_only=True)  #: the norm to which a longer gradient is cut

    def run(self, seeds: Sequence[int], share: float = 1.0) -> LearningCurve:
        """Train on a share of the problems, and of the looks, once from each seed.

        Weights that overflow stay what they are, and such a network gets no sum right.
        """
        problems = round(share * self.problems)
        before = {round(share * look) for look in self.looks}
        looks = (*sorted(look for look in before if 0 < look < problems), problems)
        networks, values, losses = Networks(self, seeds, problems), [], []
        for number in range(problems):
            losses.append(networks.step(number))
            if number + 1 in looks and isinstance(self.recipe.task, Addition):
                values.append(share_of_sums_right(self.recipe, networks.weights, networks.readout))
            elif number + 1 in looks:
                values.append(np.mean(losses[-networks.samples :], axis=0))
        return LearningCurve(looks, np.array(values), networks.weights, networks.readout)


class Networks:
    """A recipe in training from several seeds side by side."""

    def __init__(self, training: Training, seeds: Sequence[int], problems: int):
        self.recipe, self.most = training.recipe, training.most
        self.backward = backward_with(training.recipe, training.departures)
        each = [replace(self.recipe, seed=seed) for seed in seeds]
        weights, readouts = zip(*map(initial_weights, each))
        self.weights = {name: np.stack([start[name] for start in weights]) for name in weights[0]}
        self.readout = np.stack(readouts)  # (S, 1, H)
        data = [training_data(one, problems) for one in each]
        kept = np.int8 if isinstance(self.recipe.task, Addition) else np.float64  # digits need no more
        self.x, self.y = (np.stack(arrays, axis=1, dtype=kept, casting="unsafe") for arrays in zip(*data))
        # (T, S, samples, D) and (T, S, samples, O)
        self.samples = self.x.shape[2]

    @np.errstate(all="ignore")
    def step(self, number: int) -> Array:
        """Train each start on one problem and return the losses before the update, (S,)."""
        sample = [number % self.samples]
        x, y = self.x[:, :, sample].astype(np.float64), self.y[:, :, sample].astype(np.float64)
        trace = NETWORKS[self.recipe.cell].forward(self.weights, x)
        d_output, d_readout, losses = loss_gradients(self.recipe, trace, y, self.readout)
        steps = self.backward(trace, d_output, None) | {"readout": d_readout}
        if not self.recipe.layout.biases:
            del steps["bias"]
        if not self.recipe.readout:
            del steps["readout"]
        rate = np.full(len(self.readout), self.recipe.learning_rate)  # (S,)
        if self.most < np.inf:
            squares = sum((step**2).reshape(len(rate), -1).sum(axis=1) for step in steps.values())
            rate *= np.minimum(1, self.most / (np.sqrt(squares) + 1e-300))
        for name, step in steps.items():
            target = self.readout if name == "readout" else self.weights[name]
            target -= rate.reshape(-1, *[1] * (step.ndim - 1)) * step
        return losses


def share_of_sums_right(recipe: Recipe, weights: dict[str, Array], readout: Array, half_is_one: bool = False) -> Array:
    """Return the share of sums that are right to the last bit, for each network (S,).

    They are all 16,384 sums of two 7-bit numbers. Sums that begin alike share their first steps, and one that has a
    wrong bit is dropped at once. Of longer numbers, it is a fixed sample.

    ``half_is_one`` says whether an output of exactly 0.5 reads as 1, as by MATLAB's ``round``, or as 0.
    """
    shares = []
    for k, w_out in enumerate(readout):
        own = {name: array[k] for name, array in weights.items()}
        finite = np.isfinite(own["weight_hh"]).all()  # what is not would answer 0 everywhere, and be right about 0 + 0
        shares.append(_share_right(recipe, own, w_out, half_is_one) if finite else 0.0)
    return np.array(shares)


def _share_right(recipe: Recipe, weights: dict[str, Array], w_out: Array, half_is_one: bool) -> float:
    assert isinstance(recipe.task, Addition)
    bits = recipe.task.bits
    if bits > EXHAUSTIVE_BITS:
        sums = recipe.task.counted
        return sums.share_correct(NETWORKS[recipe.cell].forward(weights, sums.inputs(np.float64)).h @ w_out.T)
    count = 0
    begun: list[tuple[int, Array, tuple[Array, ...] | None]] = [(0, np.zeros(1, int), None)]  # steps, carries, states
    while begun:
        t, carry, state = begun.pop()
        if t == bits:
            count += len(carry)
            continue
        digits = COLUMNS if t < bits - 1 else COLUMNS[:1]  # the highest bits are 0
        x = np.tile(digits, (len(carry), 1))
        state = state and tuple(np.repeat(array, len(digits), axis=0) for array in state)
        trace = NETWORKS[recipe.cell].forward(weights, x[None], None, state)
        column = x.sum(axis=1) + np.repeat(carry, len(digits))
        logits = (trace.h[0] @ w_out.T)[:, 0]
        answers = logits >= 0 if half_is_one else logits > 0
        right = np.flatnonzero(answers == (column & 1).astype(bool))
        for part in np.split(right, range(64, len(right), 64)):  # a few at a time fit into the cache
            begun.append((t + 1, column[part] >> 1, tuple(array[part] for array in trace.last_state)))
    return count / 4 ** (bits - 1)


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


def backward_with(recipe: Recipe, departures: Sequence[Departure] = ()) -> Backward:
    """Return the backward pass of a recipe with these departures from the true one; those are of an LSTM."""
    true = departing_backward(departures) if departures else NETWORKS[recipe.cell].backward
    if recipe.layout.biases != "scalar" or row_for_one_number in departures:
        return true
    return lambda trace, d_output, probe: summed_over_units(true(trace, d_output, probe))


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
    return recipe.task.data(data, count)


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
