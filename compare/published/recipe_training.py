"""A recipe as an experiment: both sides from the write-up's start, with its loss, problems and print-outs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import manual
import torch_impl
from compare.agreement import by_hand
from compare.binary_addition import Sums
from compare.cells import CELLS
from compare.checker.report.report import Report
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import SUMS_RIGHT, CorrectSums, Experiment, Look, add_up
from compare.published.departures import DEPARTURES, DepartingLSTM, row_for_one_number
from compare.published.losses import loss
from compare.published.recipes import RECIPES, Recipe
from compare.published.scalar_bias import ScalarBiasModel, ScalarBiasModule
from compare.published.systems import PUBLISHED
from compare.published.tasks import Addition, Moment
from manual.arrays import Array
from manual.engines import fastest_for_few_rows
from manual.linear import LinearTape

#: What may be changed about a recipe from the command line.
CHANGEABLE = ("steps", "seed", "engine", "hidden_size", "bits", "learning_rate", "gradient")

#: The sums right are counted from this step on, and then in steps of about a third more.
FIRST_COUNT = 100


def changed(name: str, given: Mapping[str, Any]) -> Recipe:
    """Return a recipe with what is changed about it, or raise a ValueError; the engine is compiled with Numba.

    The gradient is ``true``, ``published``, or names of departures with commas between.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    recipe, plain = RECIPES[name], dict(given)
    for option, value in given.items():
        if option not in CHANGEABLE:
            raise ValueError(f"{option}: expected no value with --recipe, which sets it, got {value}")
    for option, least in (("hidden_size", 1), ("bits", 2)):
        if not least <= plain.get(option, least) <= 4096:
            raise ValueError(f"{option}: expected {least} to 4,096, got {plain[option]}")
    if "hidden_size" in plain:
        recipe = recipe.with_units(plain.pop("hidden_size"))
    if "bits" in plain:
        recipe = recipe.with_bits(plain.pop("bits"))
    if "gradient" in plain:
        plain["gradient"] = _departures_named(recipe, plain["gradient"])
    return replace(recipe, **({"engine": fastest_for_few_rows()} | plain))


def _departures_named(recipe: Recipe, words: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of departures; ``slope-of-weights`` stands for those of all gates, and so on."""
    if not isinstance(words, str):  # those of a checkpoint
        return tuple(words)
    if words == "true":
        return ()
    if recipe.name not in PUBLISHED:
        raise ValueError(f"gradient: expected true, for no backward pass is published for {recipe.name}, got {words!r}")
    published = tuple(departure.name for departure in PUBLISHED[recipe.name].departures)
    if words == "published":
        return published
    known = DEPARTURES if recipe.cell == "lstm" else {}
    found: list[str] = []
    for word in words.split(","):
        own = [name for name in known if name == word or name.startswith(f"{word}-")]
        if not own:
            choices = f"true, published or a list of {', '.join(known)}" if known else "true or published"
            raise ValueError(f"gradient: expected {choices}, got {words!r}")
        found += own
    return tuple(found)


class NoReadout(manual.Linear):
    """A readout that hands h (T, B, H) on as it is."""

    def __init__(self) -> None:
        self.parameters = {}

    def forward(self, h: Array) -> tuple[Array, LinearTape]:
        """Return h, and a tape that backward does not need."""
        return h, LinearTape(h, h)

    def backward(self, tape: LinearTape, d_y: Array) -> tuple[Array, dict[str, Array]]:
        """Return the gradient of h."""
        return d_y, {}


class FromRecipe(Experiment):
    """A recipe to train.

    The opponent is PyTorch's own layer where PyTorch has it, else the written-out twin; a second one follows its own
    gradients, which shows the drift.
    """

    prints = True

    def __init__(self, recipe: Recipe):
        self.settings: Recipe = recipe
        self.weights, self.data = recipe.generators()

    @property
    def arguments(self) -> dict[str, Any]:
        """The recipe's name and what has been changed about it."""
        recipe = self.settings
        given: dict[str, Any] = {"recipe": recipe.name} | {n: getattr(recipe, n) for n in CHANGEABLE if n != "bits"}
        return given | ({"bits": recipe.task.bits} if isinstance(recipe.task, Addition) else {})

    def set_up(self) -> Lockstep:
        """Set up both sides at the recipe's start.

        A second bias, which no write-up has, is zero and does not learn: with it, each bias would move twice as far.
        """
        recipe = self.settings
        start, w_out = recipe.draw(self.weights)
        # A gate's bias is one number, and stays one.
        scalar = recipe.layout.biases == "scalar" and row_for_one_number.name not in recipe.gradient
        objective = loss(recipe.loss, recipe.loss_scale)

        def learns(name: str) -> bool:
            return not name.startswith("recurrent.bias_hh")

        with by_hand("building the network"):
            rng = np.random.default_rng(0)  # for parameters that are overwritten at once
            kind = CELLS[recipe.cell].of(manual)
            if recipe.gradient:
                kind = partial(DepartingLSTM, tuple(DEPARTURES[name] for name in recipe.gradient))
            recurrent = self.layer(kind, rng=rng, engine=recipe.engine)
            for name, array in recurrent.parameters.items():
                array[...] = start[name.removesuffix("_l0")]
            readout = manual.Linear(recipe.hidden_size, 1, bias=False, rng=rng) if recipe.readout else NoReadout()
            for array in readout.parameters.values():
                array[...] = w_out
            model = (ScalarBiasModel if scalar else manual.Model)(recurrent, readout)
            learning = {name: array for name, array in model.parameters.items() if learns(name)}
            leader = ManualTrainer(model, manual.SGD(learning, lr=recipe.learning_rate), objective)

        def torch_side(package: Any) -> TorchTrainer:
            linear = nn.Linear(recipe.hidden_size, 1, bias=False, dtype=torch.float64)
            readout: Any = linear if recipe.readout else nn.Identity()
            layer = self.layer(CELLS[recipe.cell].of(package), dtype=torch.float64)
            module: nn.Module = (ScalarBiasModule if scalar else torch_impl.Model)(layer, readout)
            parameters = [parameter for name, parameter in module.named_parameters() if learns(name)]
            return TorchTrainer(module, torch.optim.SGD(parameters, lr=recipe.learning_rate), objective)

        # PyTorch's own layers lack the options that recipes have, and scalar biases.
        package: Any = torch_impl if recipe.options or scalar else torch.nn
        name = "autograd" if package is torch_impl else f"nn.{CELLS[recipe.cell].class_name}"
        return Lockstep(leader, {name: torch_side(package)}, torch_side(package))

    def layer(self, kind: Callable[..., Any], **options: Any) -> Any:
        """Make a layer of the recipe's sizes and options."""
        recipe = self.settings
        return kind(recipe.task.inputs, recipe.hidden_size, bias=recipe.layout.biases != 0, **recipe.options, **options)

    def opening(self) -> list[str]:
        """Return what the author prints before the training."""
        return self.settings.task.opening()

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Yield one problem for each step."""
        return self.settings.task.batches(self.data, self.settings.steps)

    def look(self, lockstep: Lockstep, x: Array, y: Array) -> Look | None:
        """Return what the author sees before the step, if anything, and now and then how many sums are right."""
        task, before = self.settings.task, lockstep.steps
        look = task.look(Moment(len(before) + 1, self.settings.steps, lockstep.manual, x, y, before))
        if not isinstance(task, Addition) or len(before) < FIRST_COUNT:
            return look
        now, last = (math.floor(8 * math.log10(steps)) for steps in (len(before), len(before) - 1))
        if now == last:
            return look
        share = task.counted.share_correct(lockstep.manual.logits(task.counted.inputs(np.float64)))
        return Look((look.values if look else {}) | {SUMS_RIGHT: share}, look.lines if look else [])

    def closing(self, lockstep: Lockstep) -> list[str]:
        """Return what the author prints after the training."""
        return self.settings.task.closing(lockstep.manual, self.data)

    def twin(self) -> nn.Module:
        """Build the layer in ``torch_impl``."""
        return self.layer(CELLS[self.settings.cell].of(torch_impl), dtype=torch.float64)

    def examine(self, lockstep: Lockstep, checked: Report) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
        """Compare the logits of sums of the trained length, and count those that are right, if the recipe adds."""
        task = self.settings.task
        if not isinstance(task, Addition):
            return [], None
        lockstep.compare_logits(f"logits of {task.bits:,} bits", task.counted.inputs(np.float64))
        return add_up(lockstep, [task.counted], task.problems(np.random.default_rng(self.settings.seed), 3))
