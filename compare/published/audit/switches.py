"""The gradient of a training as switches, for loops that are compiled; ``departures.py`` says what each one changes."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from compare.published.departures import Departure
from compare.published.recipes import Recipe

#: What is multiplied by the matrices on the way back through h: d_z, nothing, d_h ∘ φ' of each gate, or d_h.
DELTAS, NOTHING, SLOPES, SUMMED = range(4)

#: The gradient of the biases: none, each unit's own, its sum over a gate's units, or f's in the place of i's and o's.
NO_BIAS, EACH_UNIT, WHOLE_GATE, FROM_F = range(4)

#: The delta of the output: p - y, (p - y) p (1 - p), or (h - y) / T without a readout.
CROSS_ENTROPY, SQUARES, OF_H = range(3)

LOSSES = {"bce": CROSS_ENTROPY, "mse": SQUARES, "squares": OF_H}


class Switches(NamedTuple):
    """A gradient, and how a step is made of it. By default all of the gradient is true."""

    rate: float
    loss: int = CROSS_ENTROPY
    biases: int = NO_BIAS
    through_h: int = DELTAS
    through_c: bool = True
    tanh_slope_at_c: bool = False
    slope_of_h: bool = False
    slope_of_weights: bool = False
    own_errors: bool = False  # the input weights see each step's own error, without what is carried back
    most: float = np.inf  # a longer gradient is cut to this norm


#: What each departure switches, by its name or, if each gate has its own, the beginning of it.
_SWITCHED: dict[str, dict[str, Any]] = {
    "nothing-through-h": {"through_h": NOTHING},
    "carry-through-summed-matrices": {"through_h": SUMMED},
    "share-of-": {"through_h": SLOPES},
    "nothing-through-c": {"through_c": False},
    "own-share-not-through-c": {"through_c": False},
    "earlier-forget-gate": {},  # of a carry that is zero
    "tanh-slope-at-c": {"tanh_slope_at_c": True},
    "slope-of-h": {"slope_of_h": True},
    "slope-of-weights-": {"slope_of_weights": True},
    "row-for-one-number": {"biases": EACH_UNIT},
    "input-weights-from-own-errors": {"own_errors": True},
    "bias-": {"biases": FROM_F},
}


def switches(recipe: Recipe, departures: Iterable[Departure], most: float = np.inf) -> Switches:
    """Return the switches of a recipe's training by a gradient with these departures.

    Args:
        recipe: an LSTM or an RNN.
        departures: those of a gate for all its gates or for none.
        most: the norm to which a longer gradient is cut.
    """
    biases = {0: NO_BIAS, 1: EACH_UNIT, "scalar": WHOLE_GATE}[recipe.layout.biases]
    switched: dict[str, Any] = {}
    for departure in departures:
        switched |= next(on for name, on in _SWITCHED.items() if departure.name.startswith(name))
    return Switches(recipe.learning_rate, LOSSES[recipe.loss], biases, most=most)._replace(**switched)
