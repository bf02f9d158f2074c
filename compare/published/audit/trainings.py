"""What the audit trains: recipes by the true gradient, by published ones, in part repaired, and in other sizes."""

from dataclasses import replace
from itertools import chain

from compare.published.audit.learning_curves import Training
from compare.published.departures import (
    Departure,
    bias_i_from_f,
    bias_o_from_f,
    carry_through_summed_matrices,
    input_weights_from_own_errors,
    nothing_through_c,
    row_for_one_number,
)
from compare.published.recipes import RECIPES, Recipe
from compare.published.systems import SYSTEMS

#: After how many problems sums are counted, besides the last.
LOOKS = (500, 1_000, 2_000, 5_000, 10_000)

#: The same for the published gradient, to which sums are soon counted.
PUBLISHED_LOOKS = (200, 500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000)

#: Where it is asked how long a network keeps what it has learnt.
CLOSE_LOOKS = (500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 12_000, 15_000, 17_000)

#: After how many problems the loss of the class is taken.
EPOCHS = tuple(range(250, 2_500, 250))

_NO_BIAS, _SCALAR, _RNN = RECIPES["no-bias-lstm"], RECIPES["scalar-bias-lstm"], RECIPES["matlab-rnn"]


def _published(recipe: Recipe, system: str, problems: int, looks: tuple[int, ...] = LOOKS) -> Training:
    return Training(recipe, problems, looks=looks, departures=SYSTEMS[system].departures)


#: The parts of what is wrong in the no-bias LSTM, by the words for them.
MISTAKES: dict[str, tuple[Departure, ...]] = {
    "the carry through h": SYSTEMS["no-bias LSTM"].departures[0:1],
    "the carry through c": SYSTEMS["no-bias LSTM"].departures[1:2],
    "1 - c²": SYSTEMS["no-bias LSTM"].departures[2:3],
    "h (1 - h)": SYSTEMS["no-bias LSTM"].departures[3:4],
    "W (1 - W), 1 - W²": SYSTEMS["no-bias LSTM"].departures[4:],  # one for each gate
}

#: Which of these mistakes are left in a repair, by its name.
REPAIRS = {
    **{f"only {mistake} wrong": (mistake,) for mistake in MISTAKES},
    **{f"only {mistake} repaired": tuple(other for other in MISTAKES if other != mistake) for mistake in MISTAKES},
    "both carries repaired": ("1 - c²", "h (1 - h)", "W (1 - W), 1 - W²"),
    "h (1 - h) and W (1 - W), 1 - W² repaired": ("the carry through h", "the carry through c", "1 - c²"),
    "all but the carries repaired": ("the carry through h", "the carry through c"),
}

#: How many problems show what a repair is worth, and how many the commented-out line needs to overflow.
REPAIR_PROBLEMS, COMMENTED_LINE_PROBLEMS = 3_000, 1_000


def _repair(mistakes: tuple[str, ...]) -> Training:
    departures = tuple(chain.from_iterable(MISTAKES[mistake] for mistake in mistakes))
    return Training(_NO_BIAS, REPAIR_PROBLEMS, departures=departures)


def _sized(recipe: Recipe, units: int, loss: str) -> Recipe:
    """Return a recipe with other units and the other recipe's loss: cross-entropy, or half the squares, summed."""
    return replace(recipe.with_units(units), loss=loss, loss_scale={"bce": 8.0, "mse": 4.0}[loss])


#: The units of LSTM and RNN that are compared.
UNITS = (4, 8, 16, 32)

_CLASS, _ONE_TARGET = RECIPES["lstm-class"], RECIPES["lstm-class-one-target"]
_ROW = (row_for_one_number,)

#: Every training, by name.
TRAININGS = {
    "no-bias LSTM, true": Training(_NO_BIAS, 20_000, looks=CLOSE_LOOKS),
    "no-bias LSTM, published": _published(_NO_BIAS, "no-bias LSTM", 20_000, PUBLISHED_LOOKS),
    "scalar-bias LSTM, true": Training(_SCALAR, 10_000, looks=LOOKS),
    "scalar-bias LSTM, published": _published(_SCALAR, "scalar-bias LSTM", 10_000),
    "scalar-bias LSTM, true but for the row": Training(_SCALAR, 5_000, looks=LOOKS, departures=_ROW),
    "LSTM class, adding": Training(_SCALAR, 5_000, looks=LOOKS, departures=(*SYSTEMS["LSTM class"].departures, *_ROW)),
    "LSTM layer, adding": Training(
        _SCALAR,
        5_000,
        looks=LOOKS,
        departures=(*_ROW, nothing_through_c, input_weights_from_own_errors, bias_i_from_f, bias_o_from_f),
    ),
    "LSTM class, true": Training(_CLASS, 2_500, looks=EPOCHS),
    "LSTM class, published": _published(_CLASS, "LSTM class", 2_500, EPOCHS),
    "LSTM class, one W, true": Training(_ONE_TARGET, 2_500, looks=EPOCHS),
    "LSTM class, one W, published": _published(_ONE_TARGET, "LSTM class", 2_500, EPOCHS),
    "RNN, MATLAB": Training(_RNN, 20_000, looks=LOOKS),
    "RNN, Python": Training(RECIPES["trask-rnn"], 10_000, looks=LOOKS),
    "concatenated LSTM": Training(RECIPES["concatenated-lstm"], 5_000, looks=LOOKS),
    "concatenated LSTM, all gates equal": Training(RECIPES["concatenated-lstm-equal"], 5_000, looks=LOOKS),
    "GRU": Training(RECIPES["gru-layer"], 3_000, looks=LOOKS),
    "commented-out line": Training(_NO_BIAS, COMMENTED_LINE_PROBLEMS, departures=(carry_through_summed_matrices,)),
    **{name: _repair(mistakes) for name, mistakes in REPAIRS.items()},
    "no-bias LSTM, rate 0.03": Training(replace(_NO_BIAS, learning_rate=0.03), 10_000, looks=CLOSE_LOOKS),
    "no-bias LSTM, gradient cut": Training(_NO_BIAS, 10_000, looks=CLOSE_LOOKS, most=1.0),
    **{
        f"{cell}, {units} units, {loss}": Training(_sized(recipe, units, loss), problems, looks=LOOKS)
        for cell, recipe, problems in (("LSTM", _NO_BIAS, 5_000), ("RNN", _RNN, 10_000))
        for units in UNITS
        for loss in ("bce", "mse")
        if (cell, units, loss) not in (("LSTM", 32, "bce"), ("RNN", 16, "mse"))
    },
    "LSTM, 16 bits": Training(_NO_BIAS.with_bits(16), 5_000, looks=(2_000,)),
    "RNN, 16 bits": Training(_RNN.with_bits(16), 20_000, looks=(5_000, 10_000)),
}

#: The trainings of the recipes as they are.
RECIPE_TRAININGS = (
    "scalar-bias LSTM, true",
    "no-bias LSTM, true",
    "RNN, MATLAB",
    "RNN, Python",
    "concatenated LSTM",
    "concatenated LSTM, all gates equal",
    "LSTM class, true",
    "LSTM class, one W, true",
    "GRU",
)

#: What is compared, by title: the training as it should be, and as published. The RNNs are published with the true one.
TRIALS = {
    "no-bias LSTM": ("no-bias LSTM, true", "no-bias LSTM, published"),
    "scalar-bias LSTM": ("scalar-bias LSTM, true", "scalar-bias LSTM, published"),
    "scalar-bias LSTM, only the row": ("scalar-bias LSTM, true", "scalar-bias LSTM, true but for the row"),
    "RNN, MATLAB": ("RNN, MATLAB", "RNN, MATLAB"),
    "RNN, Python": ("RNN, Python", "RNN, Python"),
    "LSTM class, adding": ("scalar-bias LSTM, true but for the row", "LSTM class, adding"),
    "LSTM layer, adding": ("scalar-bias LSTM, true but for the row", "LSTM layer, adding"),
    "LSTM class": ("LSTM class, true", "LSTM class, published"),
    "LSTM class, one W": ("LSTM class, one W, true", "LSTM class, one W, published"),
    "concatenated LSTM": ("concatenated LSTM", "concatenated LSTM, all gates equal"),
}

#: What is tried against losing what was learnt, by the words for it.
REMEDIES = {
    "rate 0.1": "no-bias LSTM, true",
    "rate 0.1, gradient cut to norm 1": "no-bias LSTM, gradient cut",
    "rate 0.03": "no-bias LSTM, rate 0.03",
}


def compared(cell: str, units: int, loss: str) -> str:
    """Return the name of the training of an LSTM or RNN with these units and this loss."""
    recipes = {("LSTM", 32, "bce"): "no-bias LSTM, true", ("RNN", 16, "mse"): "RNN, MATLAB"}
    return recipes.get((cell, units, loss), f"{cell}, {units} units, {loss}")
