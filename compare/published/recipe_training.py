"""Train a recipe: both sides in lock-step, from the write-up's start, with its loss, problems and print-outs."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import manual
import torch_impl
from compare.binary_addition import all_sums
from compare.cells import CELLS
from compare.disagreement import by_hand
from compare.lockstep.checkpoint import Checkpoint
from compare.lockstep.lockstep import Lockstep, Step
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import Interruption, Run, add_up, check_equations, no_check
from compare.published.bare_layer import BareModel, BareModule
from compare.published.losses import loss
from compare.published.recipes import Recipe
from compare.published.scalar_bias import ScalarBiasModel, ScalarBiasModule
from compare.published.tasks import Addition, Moment
from manual.arrays import Array


@dataclass(frozen=True)
class RecipeRun(Run):
    """A finished run of a recipe, with its author's error curve: (step, value), empty if the author has none."""

    curve: list[tuple[int, float]]

    @property
    def figures(self) -> dict[str, Callable[[Path], None]]:
        """What draws the figures that not every run has, by file name: the faults, and the error curve."""
        return super().figures | ({"error_curve.png": self.draw_curve} if self.curve else {})

    def draw_curve(self, path: Path) -> None:
        """Draw the error curve as its author does."""
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*self.curve), ".-", markersize=3)
        is_sum = isinstance(self.settings, Recipe) and isinstance(self.settings.task, Addition)
        ylabel = "error of one problem, summed over the bits" if is_sum else "mean loss of the epoch"
        axes.set(xlabel="problems", ylabel=ylabel, title=self.settings.title)
        axes.grid(alpha=0.3)
        figure.savefig(path, format="png", dpi=110)


def train_recipe(
    recipe: Recipe,
    on_step: Callable[[Step], None] = lambda step: None,
    say: Callable[[str], None] = lambda line: None,
    checkpoint: Checkpoint | None = None,
) -> RecipeRun:
    """Train both sides in lock-step as the recipe says.

    The opponent is PyTorch's own layer where PyTorch has it, else the written-out twin; a second one follows its own
    gradients, which shows the drift. The equations are checked one by one against the twin at the end.

    Args:
        recipe: what to train.
        on_step: called after each step; it may raise ``Interruption``.
        say: called with each line that the write-up's author would print.
        checkpoint: where the run starts, if it was read from a file, and where it is saved on the way.

    Raises:
        OSError: the checkpoint cannot be written.
    """
    weights, data = recipe.generators()
    lockstep = set_up(recipe, weights)
    added = checkpoint.restore(lockstep) if checkpoint else {}
    curve: list[tuple[int, float]] = [(step, value) for step, value in added.get("curve", [])]
    losses = [step.loss_manual for step in lockstep.steps]
    if not losses:
        for line in recipe.task.opening():
            say(line)
    drawn = enumerate(recipe.task.batches(data, recipe.steps), start=1)
    try:
        for step, (x, y) in islice(drawn, len(losses), None):
            if lockstep.stuck:
                break
            moment = Moment(step, recipe.steps, lockstep.manual, x, y, losses)
            look = lockstep.by_hand("a print-out", lambda: recipe.task.look(moment))  # noqa: B023
            if look:
                curve += [(step, look.value)] if look.value is not None else []
                for line in look.lines:
                    say(line)
            done = lockstep.step(x, y)
            losses.append(done.loss_manual)
            if checkpoint:
                checkpoint.after_step(lockstep, curve=curve)
            on_step(done)
    except Interruption:
        if checkpoint:
            checkpoint.save(lockstep, curve=curve)
        return RecipeRun(recipe, lockstep, no_check(lockstep, recipe), [], None, curve, interrupted=True)
    if not lockstep.stuck:
        for line in lockstep.by_hand("a print-out", lambda: recipe.task.closing(lockstep.manual, data)) or []:
            say(line)
    lockstep.finish()
    checked = check_equations(lockstep, _torch_layer(recipe, torch_impl), recipe)
    if not isinstance(recipe.task, Addition):
        return RecipeRun(recipe, lockstep, checked, [], None, curve)
    examples = recipe.task.problems(np.random.default_rng(recipe.seed), 3)
    return RecipeRun(recipe, lockstep, checked, *add_up(lockstep, [all_sums(recipe.task.bits)], examples), curve)


def set_up(recipe: Recipe, rng: Any) -> Lockstep:
    """Set up both sides at the start that is drawn from ``rng``.

    A second bias, which no write-up has, is zero and does not learn: with it, each bias would move twice as far.
    """
    start, readout = recipe.draw(rng)
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
