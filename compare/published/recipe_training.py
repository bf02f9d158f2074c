"""A recipe as an experiment: both sides from the write-up's start, with its loss, problems and print-outs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

import manual
import torch_impl
from compare.binary_addition import Sums, all_sums
from compare.cells import CELLS
from compare.checker.report.report import Report
from compare.disagreement import by_hand
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import CorrectSums, Experiment, Look, add_up
from compare.published.bare_layer import BareModel, BareModule
from compare.published.losses import loss
from compare.published.recipes import RECIPES, Recipe
from compare.published.scalar_bias import ScalarBiasModel, ScalarBiasModule
from compare.published.tasks import Addition, Moment
from manual.arrays import Array
from manual.engines import fastest_for_few_rows

#: What may be changed about a recipe.
CHANGEABLE = ("steps", "seed", "engine")


def changed(name: str, given: Mapping[str, Any]) -> Recipe:
    """Return a recipe with what is changed about it; the engine is compiled where Numba is installed.

    Raises:
        ValueError: there is no such recipe, or it does not let that be changed.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    for option, value in given.items():
        if option not in CHANGEABLE:
            raise ValueError(f"{option}: expected no value with --recipe, which sets it, got {value}")
    return replace(RECIPES[name], **({"engine": fastest_for_few_rows()} | dict(given)))


class FromRecipe(Experiment):
    """A recipe to train.

    The opponent is PyTorch's own layer where PyTorch has it, else the written-out twin; a second one follows its own
    gradients, which shows the drift.

    Args:
        recipe: what to train.
    """

    prints = True

    def __init__(self, recipe: Recipe):
        self.settings: Recipe = recipe
        self.weights, self.data = recipe.generators()

    @property
    def arguments(self) -> dict[str, Any]:
        """The recipe's name and what has been changed about it."""
        recipe = self.settings
        return {"recipe": recipe.name} | {name: getattr(recipe, name) for name in CHANGEABLE}

    def set_up(self) -> Lockstep:
        """Set up both sides at the recipe's start.

        A second bias, which no write-up has, is zero and does not learn: with it, each bias would move twice as far.
        """
        recipe = self.settings
        start, readout = recipe.draw(self.weights)
        scalar = recipe.layout.biases == "scalar"
        objective = loss(recipe.loss, recipe.loss_scale)

        def learns(name: str) -> bool:
            return not name.startswith("recurrent.bias_hh")

        with by_hand("building the network"):
            model = _model(recipe, start, readout)
            learning = {name: array for name, array in model.parameters.items() if learns(name)}
            leader = ManualTrainer(model, manual.SGD(learning, lr=recipe.learning_rate), objective)

        def torch_side(package: Any) -> TorchTrainer:
            layer = _torch_layer(recipe, package)
            module: nn.Module = BareModule(layer)
            if recipe.readout:
                linear = nn.Linear(recipe.hidden_size, 1, bias=False, dtype=torch.float64)
                module = (ScalarBiasModule if scalar else torch_impl.Model)(layer, linear)
            parameters = [parameter for name, parameter in module.named_parameters() if learns(name)]
            return TorchTrainer(module, torch.optim.SGD(parameters, lr=recipe.learning_rate), objective)

        # PyTorch's own layers lack the options that recipes have, and scalar biases.
        package: Any = torch_impl if recipe.options or scalar else torch.nn
        name = "autograd" if package is torch_impl else f"nn.{CELLS[recipe.cell].class_name}"
        return Lockstep(leader, {name: torch_side(package)}, torch_side(package))

    def opening(self) -> list[str]:
        """Return what the author prints before the training."""
        return self.settings.task.opening()

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Yield one problem for each step."""
        return self.settings.task.batches(self.data, self.settings.steps)

    def look(self, lockstep: Lockstep, x: Array, y: Array) -> Look | None:
        """Return what the author sees before the step, if anything."""
        before = lockstep.steps
        return self.settings.task.look(Moment(len(before) + 1, self.settings.steps, lockstep.manual, x, y, before))

    def closing(self, lockstep: Lockstep) -> list[str]:
        """Return what the author prints after the training."""
        return self.settings.task.closing(lockstep.manual, self.data)

    def twin(self) -> nn.Module:
        """Build the layer in ``torch_impl``."""
        return _torch_layer(self.settings, torch_impl)

    def examine(self, lockstep: Lockstep, checked: Report) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
        """Count the sums of the trained length that are right, if the recipe adds."""
        task = self.settings.task
        if not isinstance(task, Addition):
            return [], None
        examples = task.problems(np.random.default_rng(self.settings.seed), 3)
        return add_up(lockstep, [all_sums(task.bits)], examples)


def _model(recipe: Recipe, start: dict[str, Array], readout: Array) -> manual.Model:
    """Build the manual side's network with the weights that it starts from."""
    placeholder = np.random.default_rng(0)  # for parameters that are overwritten at once
    recurrent = CELLS[recipe.cell].of(manual)(
        recipe.input_size,
        recipe.hidden_size,
        bias=recipe.layout.biases != 0,
        rng=placeholder,
        engine=recipe.engine,
        **recipe.options,
    )
    for name, array in recurrent.parameters.items():
        array[...] = start[name.removesuffix("_l0")]
    if not recipe.readout:
        return BareModel(recurrent)
    linear = manual.Linear(recipe.hidden_size, 1, bias=False, rng=placeholder)
    linear.parameters["weight"][...] = readout
    return (ScalarBiasModel if recipe.layout.biases == "scalar" else manual.Model)(recurrent, linear)


def _torch_layer(recipe: Recipe, package: Any) -> nn.Module:
    """Make PyTorch's own layer, or the twin."""
    bias = recipe.layout.biases != 0
    layer: nn.Module = CELLS[recipe.cell].of(package)(
        recipe.input_size, recipe.hidden_size, bias=bias, dtype=torch.float64, **recipe.options
    )
    return layer
