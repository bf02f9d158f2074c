"""What the audit trains: recipes by the true gradient, by published ones, and by published ones in part repaired."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from compare.published.departures import Departure, carry_through_summed_matrices
from compare.published.learning_curves import LearningCurve, departing_backward, learning_curve, true_backward
from compare.published.networks import Backward, lstm_backward
from compare.published.programs import lstm_layer
from compare.published.recipes import RECIPES
from compare.published.systems import SYSTEMS
from compare.published.tasks import Addition

#: After how many problems sums are counted, besides the last. Counting takes as long as 1,000 problems, unless most
#: sums are wrong: then it is possible to look closely.
LOOKS = (100, 200, 500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000)
CLOSE_LOOKS = (100, 200, 500, *range(1_000, 100_000, 1_000))

#: How many problems show what a repair is worth, and how many the commented-out line needs to overflow.
REPAIR_PROBLEMS, COMMENTED_LINE_PROBLEMS = 10_000, 1_000


@dataclass(frozen=True)
class Training:
    """A recipe, a gradient to train it by, on how many problems, and when to look at what it has learnt."""

    recipe: str
    backward: Backward
    problems: int
    looks: tuple[int, ...] = LOOKS

    def run(self, starts: int, share: float, advance: Callable[[int], None]) -> LearningCurve:
        """Train from ``starts`` starts on a ``share`` of the problems."""
        recipe, problems = RECIPES[self.recipe], round(share * self.problems)
        looks = [*(look for look in self.looks if look < problems), problems]
        if not isinstance(recipe.task, Addition):
            looks = [*range(problems // 20, problems, problems // 20), problems]
        return learning_curve(recipe, self.backward, range(starts), problems, looks, advance)


def _true(recipe: str, problems: int) -> Training:
    return Training(recipe, true_backward(RECIPES[recipe]), problems)


def _published(system: str) -> Backward:
    return SYSTEMS[system].backward


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
    "nothing wrong": (),
    **{f"only {mistake} wrong": (mistake,) for mistake in MISTAKES},
    "everything wrong, as published": tuple(MISTAKES),
    **{f"only {mistake} repaired": tuple(other for other in MISTAKES if other != mistake) for mistake in MISTAKES},
    "both carries repaired": ("1 - c²", "h (1 - h)", "W (1 - W), 1 - W²"),
    "h (1 - h) and W (1 - W), 1 - W² repaired": ("the carry through h", "the carry through c", "1 - c²"),
    "all but the carries repaired": ("the carry through h", "the carry through c"),
}


def _repair(mistakes: tuple[str, ...]) -> Training:
    departures = tuple(chain.from_iterable(MISTAKES[mistake] for mistake in mistakes))
    return Training("no-bias-lstm", departing_backward(departures), REPAIR_PROBLEMS, ())


#: Every training, by name.
TRAININGS = {
    "no-bias LSTM, true": _true("no-bias-lstm", 99_999),
    "no-bias LSTM, published": Training("no-bias-lstm", _published("no-bias LSTM"), 99_999, CLOSE_LOOKS),
    "scalar-bias LSTM, true": _true("scalar-bias-lstm", 99_999),
    "scalar-bias LSTM, published": Training("scalar-bias-lstm", _published("scalar-bias LSTM"), 99_999),
    "scalar-bias LSTM, true but for the row": Training("scalar-bias-lstm", lstm_backward, 20_000),
    "LSTM class, adding": Training("scalar-bias-lstm", _published("LSTM class"), 20_000),
    "LSTM layer, adding": Training("scalar-bias-lstm", lstm_layer.backward_at_each_step, 20_000),
    "LSTM class, true": _true("lstm-class", 50_000),
    "LSTM class, published": Training("lstm-class", _published("LSTM class"), 50_000),
    "LSTM class, one W, true": _true("lstm-class-one-target", 50_000),
    "LSTM class, one W, published": Training("lstm-class-one-target", _published("LSTM class"), 50_000),
    "RNN, MATLAB, true": _true("matlab-rnn", 20_000),
    "RNN, MATLAB, published": Training("matlab-rnn", _published("RNN, MATLAB"), 20_000),
    "RNN, Python, true": _true("trask-rnn", 10_000),
    "RNN, Python, published": Training("trask-rnn", _published("RNN, Python"), 10_000),
    "concatenated LSTM": _true("concatenated-lstm", 10_000),
    "concatenated LSTM, all gates equal": _true("concatenated-lstm-equal", 10_000),
    "GRU": _true("gru-layer", 10_000),
    "commented-out line": Training(
        "no-bias-lstm", departing_backward([carry_through_summed_matrices]), COMMENTED_LINE_PROBLEMS, ()
    ),
    **{name: _repair(mistakes) for name, mistakes in REPAIRS.items()},
}

#: The trainings of the recipes as they are.
RECIPE_TRAININGS = (
    "scalar-bias LSTM, true",
    "no-bias LSTM, true",
    "RNN, MATLAB, true",
    "RNN, Python, true",
    "concatenated LSTM",
    "concatenated LSTM, all gates equal",
    "LSTM class, true",
    "LSTM class, one W, true",
    "GRU",
)

#: What is compared, by title: the training as it should be, and as published.
TRIALS = {
    "no-bias LSTM": ("no-bias LSTM, true", "no-bias LSTM, published"),
    "scalar-bias LSTM": ("scalar-bias LSTM, true", "scalar-bias LSTM, published"),
    "scalar-bias LSTM, only the row": ("scalar-bias LSTM, true", "scalar-bias LSTM, true but for the row"),
    "RNN, MATLAB": ("RNN, MATLAB, true", "RNN, MATLAB, published"),
    "RNN, Python": ("RNN, Python, true", "RNN, Python, published"),
    "LSTM class, adding": ("scalar-bias LSTM, true but for the row", "LSTM class, adding"),
    "LSTM layer, adding": ("scalar-bias LSTM, true but for the row", "LSTM layer, adding"),
    "LSTM class": ("LSTM class, true", "LSTM class, published"),
    "LSTM class, one W": ("LSTM class, one W, true", "LSTM class, one W, published"),
    "concatenated LSTM": ("concatenated LSTM", "concatenated LSTM, all gates equal"),
}
