"""How far each published gradient is from the true one, what is wrong with it, and what that costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from compare.diagnosis.derivations import Problem
from compare.diagnosis.report import Fault, Report
from compare.published.departures import Departure
from compare.published.passes import PASSES, Backward, lstm_backward
from compare.published.programs import lstm_layer
from compare.published.recipes import RECIPES, Recipe
from compare.published.systems import SYSTEMS, System, check_system, truth
from compare.published.tasks import Addition
from compare.published.training import Curve, departing_backward, drawn, incoming, samples, train
from manual.arrays import Array

#: The recipe of each system, by their names.
RECIPE_OF = {
    "no-bias LSTM": "no-bias-lstm",
    "scalar-bias LSTM": "scalar-bias-lstm",
    "LSTM class": "lstm-class",
    "LSTM layer, program": "lstm-layer",
    "LSTM layer, equations": "lstm-layer",
    "RNN, MATLAB": "matlab-rnn",
    "RNN, Python": "trask-rnn",
}

#: After how many problems sums are counted.
MARKS = (100, 200, 500, 700, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 99_999)

#: Over how many of the recipe's problems a gradient is summed for a distance.
PROBLEMS = 256


@dataclass(frozen=True)
class Distance:
    """Of a gradient from the true one, all parameters of the layer as one vector: |p - t| / |t|, and the cosine.

    Of several starts, the medians.
    """

    error: float
    cosine: float


@dataclass(frozen=True)
class Trial:
    """A recipe trained by a published gradient and by the true one, from the same starts on the same problems."""

    title: str
    recipe: Recipe
    seeds: int
    published: Curve
    true: Curve

    @property
    def counts_sums(self) -> bool:
        """Whether the values are shares of sums, and not losses."""
        return isinstance(self.recipe.task, Addition)


@dataclass(frozen=True)
class Audited:
    """What is known of a system: ``trained`` is the distance where its own gradient has led, if it can be trained."""

    system: System
    start: Distance
    trained: Distance | None
    checked: Report

    @property
    def found(self) -> list[str]:
        """Where the localiser finds something wrong."""
        return list(dict.fromkeys(place(fault) for fault in self.checked.faults))

    @property
    def expected(self) -> list[str]:
        """Where the system's departures show."""
        return list(dict.fromkeys(chain.from_iterable(departure.shows for departure in self.system.departures)))


@dataclass(frozen=True)
class Repair:
    """A training of the no-bias LSTM by a gradient with some of its departures: the median share of right sums."""

    words: str
    departures: tuple[Departure, ...]
    right: float


@dataclass(frozen=True)
class Audit:
    """Everything.

    ``check`` has, by number of steps, each parameter's relative error in the gradient check of the LSTM layer.
    """

    systems: list[Audited]
    trials: list[Trial]
    repairs: list[Repair]
    repair_problems: int
    check: dict[int, dict[str, float]]


def place(fault: Fault) -> str:
    """Where a fault shows, in the words of ``Departure.shows``."""
    return fault.name if fault.steps or not fault.gate else f"{fault.name.removesuffix(f'_{fault.gate}')} {fault.gate}"


def audit(share: float = 1.0, starts: int = 5, say: Callable[[str], None] = lambda line: None) -> Audit:
    """Work everything out.

    Args:
        share: of the problems that the write-ups train on.
        starts: how many of each, at most: where it takes long, there are three.
        say: called with a line before each part of the work.
    """
    trials = _trials(share, starts, say)
    trained_by = {trial.title: trial.published for trial in trials}
    systems = []
    for name, system in SYSTEMS.items():
        say(f"measuring {name}")
        recipe = RECIPES[RECIPE_OF[name]]
        start = _median([distance(system, recipe, *drawn(replace(recipe, seed=seed))) for seed in range(starts)])
        trained = None
        if (curve := trained_by.get(name)) is not None:
            ends = [({n: a[k] for n, a in curve.weights.items()}, curve.readout[k]) for k in range(len(curve.readout))]
            trained = _median([distance(system, recipe, *at) for at in ends])
        systems.append(Audited(system, start, trained, check_system(system)))
    problems = round(share * 10_000)
    return Audit(systems, trials, _repairs(problems, range(min(starts, 3)), say), problems, gradient_check())


def _median(distances: Sequence[Distance]) -> Distance:
    return Distance(*(float(np.median([getattr(d, name) for d in distances])) for name in ("error", "cosine")))


def distance(system: System, recipe: Recipe, weights: dict[str, Array], readout: Array) -> Distance:
    """Of a system's gradient at these weights, summed over problems of the recipe."""
    x, y = samples(replace(recipe, seed=recipe.seed + 1000), PROBLEMS)
    tape = PASSES[system.cell][0](weights, x)
    d_output, _, _ = incoming(recipe, tape, y, readout)
    published, true = _gradients(system, weights, x, d_output)
    p, t = (np.concatenate([array.ravel() for array in side.values()]) for side in (published, true))
    norms = np.linalg.norm(p), np.linalg.norm(t)
    return Distance(float(np.linalg.norm(p - t) / norms[1]), float(p @ t / (norms[0] * norms[1])))


def gradient_check() -> dict[int, dict[str, float]]:
    """The errors that the LSTM layer's own check could have seen, had it looked at every parameter, by steps.

    With its two steps and h_0 = c_0 = 0, what reaches the recurrent weights is the last step's delta alone, which needs
    no carry; a third step brings it out.
    """
    system, recipe = SYSTEMS["LSTM layer, program"], RECIPES["lstm-layer"]
    weights, _ = drawn(recipe)
    found = {}
    for T in (2, 3):
        x = np.arange(1.0, 4.0) + np.arange(T)[:, None, None]  # (T, 1, 3), as [1, 2, 3], [2, 3, 4] go on
        d_output = np.zeros((T, 1, recipe.hidden_size))
        d_output[-1] = 1
        published, true = _gradients(system, weights, x, d_output)
        found[T] = {n: float(np.abs(published[n] - t).max() / np.abs(t).max()) for n, t in true.items()}
    return found


def _gradients(
    system: System, weights: dict[str, Array], x: Array, d_output: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The published gradient, and autograd's."""
    problem = Problem(system.express(weights), {"x": x}, {"output": d_output})
    return system.solve(problem).gradients, truth(system, problem).answer.gradients


def _trials(share: float, starts: int, say: Callable[[str], None]) -> list[Trial]:
    trials: list[Trial] = []
    true: dict[tuple[str, int], Curve] = {}

    def trial(title: str, name: str, backward: Backward, most: int, problems: int) -> None:
        recipe, seeds, steps = RECIPES[name], range(min(starts, most)), round(share * problems)
        marks = (*(mark for mark in MARKS if mark < steps), steps) if isinstance(recipe.task, Addition) else None
        say(f"training {recipe.name}, {steps:,} problems, {len(seeds)} starts: {title}")
        if (name, steps) not in true:
            true[name, steps] = train(recipe, PASSES[recipe.cell][1], seeds, steps, marks)
        published = train(recipe, backward, seeds, steps, marks)
        trials.append(Trial(title, recipe, len(seeds), published, true[name, steps]))

    for name in ("no-bias LSTM", "scalar-bias LSTM", "RNN, MATLAB", "RNN, Python"):
        trial(name, RECIPE_OF[name], SYSTEMS[name].backward, 5, RECIPES[RECIPE_OF[name]].steps)
    class_backward = SYSTEMS["LSTM class"].backward
    trial("LSTM class", "lstm-class", class_backward, 3, 50_000)
    trial("LSTM class, one W", "lstm-class-one-target", class_backward, 3, 50_000)
    trial("LSTM class, adding", "scalar-bias-lstm", class_backward, 5, 20_000)
    trial("LSTM layer, adding", "scalar-bias-lstm", lstm_layer.backward_at_each_step, 5, 20_000)
    return trials


def _repairs(problems: int, seeds: Sequence[int], say: Callable[[str], None]) -> list[Repair]:
    """The no-bias LSTM with each of its departures alone, with each but one, and with a few more mended."""
    departures = SYSTEMS["no-bias LSTM"].departures
    slopes = tuple(departure for departure in departures if not departure.of)  # of the weights, one for each gate
    kinds = {
        "the carry through h": departures[0:1],
        "the carry through c": departures[1:2],
        "1 - c²": departures[2:3],
        "h (1 - h)": departures[3:4],
        "W (1 - W), 1 - W²": slopes,
    }
    wrong = {f"wrong in {name} alone": kind for name, kind in kinds.items()}
    mended = {f"mended in {name} alone": (name,) for name in kinds} | {
        "mended in both carries": ("the carry through h", "the carry through c"),
        "mended in h (1 - h) and W (1 - W), 1 - W²": ("h (1 - h)", "W (1 - W), 1 - W²"),
    }
    wrong |= {
        words: tuple(chain.from_iterable(kind for name, kind in kinds.items() if name not in names))
        for words, names in mended.items()
    }
    repairs = []
    for words, left in wrong.items():
        say(f"training the no-bias LSTM, {problems:,} problems, {len(seeds)} starts: {words}")
        backward = departing_backward(left) if left else lstm_backward
        curve = train(RECIPES["no-bias-lstm"], backward, seeds, problems, (problems,))
        repairs.append(Repair(words, left, float(np.median(curve.values[-1]))))
    return repairs
