"""Train a write-up's system as it should be: both sides in lock-step, its own start, loss, problems and print-outs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import manual
import torch_impl
from compare.binary_addition import all_sums
from compare.cells import CELLS
from compare.lockstep.lockstep import Lockstep, Step
from compare.lockstep.objectives import objective
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import Run, check_equations, count_correct
from compare.published.recipes import Recipe
from compare.published.tasks import Addition
from manual.arrays import Array, Probe
from manual.recurrent import State


class Bare(manual.Model):
    """A recurrent layer whose h is the output: a model without a readout."""

    def __init__(self, recurrent: manual.recurrent.Recurrent):
        self.recurrent = recurrent

    @property
    def parameters(self) -> dict[str, Array]:
        """The layer's, under the names that they have in a model."""
        return {f"recurrent.{name}": array for name, array in self.recurrent.parameters.items()}

    def forward(
        self, x: Array, state: State | None = None, out: Any = None, **options: Any
    ) -> tuple[Array, State, Any]:
        """From x (T, B, D): h (T, B, H), the final state, and the tape."""
        return self.recurrent.forward(x, state, out=out, **options)

    def backward(
        self, tape: Any, d_logits: Array, d_state: State | None = None, probe: Probe | None = None
    ) -> tuple[Array, State, dict[str, Array]]:
        """From the gradient of h: d_x, the gradient of the initial state, those of ``parameters``."""
        d_x, d_initial, gradients = self.recurrent.backward(tape, d_logits, d_state, probe)
        return d_x, d_initial, {f"recurrent.{name}": gradient for name, gradient in gradients.items()}


class BareModule(nn.Module):
    """The same for autograd."""

    def __init__(self, recurrent: nn.Module):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        """From x (T, B, D): h (T, B, H), and the final state."""
        output, state = self.recurrent(x)
        return output, state


def train_recipe(
    recipe: Recipe,
    on_step: Callable[[Step], None] = lambda step: None,
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train both sides in lock-step as the recipe says.

    The opponent is PyTorch's own layer where PyTorch has it, else the written-out twin; another one of its kind is left
    to itself. One opponent will do: the equations are checked against the twin at the end, one by one.

    Args:
        recipe: what is trained.
        on_step: called after each step.
        say: called with each line that the write-up's author would print.
    """
    weights, data = recipe.generators()
    lockstep = set_up(recipe, weights)
    for step, (x, y) in enumerate(recipe.task.batches(data, recipe.steps), start=1):
        if recipe.task.printed(step):
            losses = [earlier.loss_manual for earlier in lockstep.steps]
            for line in recipe.task.lines(step, lockstep.manual, x, y, losses):
                say(line)
        on_step(lockstep.step(x, y))
        if lockstep.stuck:
            break
    lockstep.finish()
    checked = check_equations(lockstep, _torch_layer(recipe, torch_impl), recipe)
    if not isinstance(recipe.task, Addition):
        return Run(recipe, lockstep, checked, [], None)
    examples = recipe.task.problems(np.random.default_rng(recipe.seed), 3)
    return Run(
        recipe,
        lockstep,
        checked,
        [count_correct(lockstep, all_sums(recipe.task.bits), recipe.dtype)],
        (examples, lockstep.manual.logits(examples.inputs(recipe.dtype))),
    )


def set_up(recipe: Recipe, rng: Any) -> Lockstep:
    """Both sides, at the start that is drawn from ``rng``.

    A second bias, which no write-up has, is zero and does not learn: with it, each bias would move twice as far.
    """
    start, readout = recipe.draw(rng)
    anything = np.random.default_rng(0)  # for parameters that are overwritten
    bias = recipe.layout.biases != 0
    recurrent = CELLS[recipe.cell].of(manual)(
        recipe.input_size, recipe.hidden_size, bias=bias, rng=anything, **recipe.options
    )
    for name, array in recurrent.parameters.items():
        array[...] = start[name.removesuffix("_l0")]
    model: manual.Model = Bare(recurrent)
    if recipe.readout:
        model = manual.Model(recurrent, manual.Linear(recipe.hidden_size, 1, bias=False, rng=anything))
        model.readout.parameters["weight"][...] = readout
    loss = objective(recipe.loss).times(recipe.loss_scale)

    def learns(name: str) -> bool:
        return not name.startswith("recurrent.bias_hh")

    def torch_side(package: Any) -> TorchTrainer:
        layer = _torch_layer(recipe, package)
        module: nn.Module = BareModule(layer)
        if recipe.readout:
            module = torch_impl.Model(layer, nn.Linear(recipe.hidden_size, 1, bias=False, dtype=torch.float64))
        parameters = [parameter for name, parameter in module.named_parameters() if learns(name)]
        return TorchTrainer(module, torch.optim.SGD(parameters, lr=recipe.learning_rate), loss)

    # The options that the recipes have are those that PyTorch's own layers lack.
    package, name = (torch_impl, "autograd") if recipe.options else (torch.nn, f"nn.{CELLS[recipe.cell].class_name}")
    learning = {name: array for name, array in model.parameters.items() if learns(name)}
    return Lockstep(
        ManualTrainer(model, manual.SGD(learning, lr=recipe.learning_rate), loss),
        {name: torch_side(package)},
        torch_side(package),
    )


def _torch_layer(recipe: Recipe, package: Any) -> nn.Module:
    """PyTorch's own layer, or the twin."""
    bias = recipe.layout.biases != 0
    layer: nn.Module = CELLS[recipe.cell].of(package)(
        recipe.input_size, recipe.hidden_size, bias=bias, dtype=torch.float64, **recipe.options
    )
    return layer
