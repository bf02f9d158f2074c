"""One run on binary addition: set both sides up, train them in lock-step, see how well they add."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn

import manual
import torch_impl
from compare.binary_addition import Problems, batches, carry_chains, every_problem, random_problems
from compare.bounds import check_least
from compare.diagnosis.check import check_layer
from compare.diagnosis.diagnose import Checked
from compare.diagnosis.equations import form_of
from compare.diagnosis.localise import Localisation
from compare.lockstep.lockstep import Lockstep, Step
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from manual.arrays import Array

#: Sums of up to so many bits are evaluated one and all: 4^(bits - 1) of them.
EXHAUSTIVE_BITS = 8


@dataclass(frozen=True)
class Settings:
    """What a run can be told; the command line's options of the same names say what they mean."""

    cell: str = "lstm"
    hidden_size: int = 16
    layers: int = 1
    bidirectional: bool = False
    bits: int = 8
    steps: int = 1000
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 0.03
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 5e-4
    loss: str = "bce"
    dtype: str = "float64"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name}: expected a finite number of at least 0, got {getattr(self, name)}")
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f"momentum, nesterov: expected only with optimizer sgd, got optimizer {self.optimizer}")
        check_least(self, hidden_size=1, layers=1, bits=2, steps=1, batch_size=1, seed=0)

    @property
    def title(self) -> str:
        """For a figure."""
        return f"{self.cell.upper()}, {self.bits} bits, {self.dtype}"


class Plan(Protocol):
    """What a run is told, by the command line or by a recipe: a dataclass that has these."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def cell(self) -> str:
        """A key of ``CELLS``."""

    @property
    def dtype(self) -> str:
        """Of everything."""

    @property
    def seed(self) -> int:
        """Of weights and problems."""

    @property
    def title(self) -> str:
        """For a figure."""


@dataclass(frozen=True)
class Accuracy:
    """The share of sums that each side gets right to the last bit."""

    bits: int
    problems: int
    manual: float
    autograd: float


@dataclass(frozen=True)
class Run:
    """A finished run."""

    settings: Plan
    lockstep: Lockstep
    checked: Checked  # every equation of the recurrent layers alone, and their fast kernels against the text
    accuracies: list[Accuracy]  # the trained length first, then 64 and 1,024 bits; none where nothing is added
    examples: tuple[Problems, Array] | None  # a few sums, and the manual side's logits for them

    @property
    def agrees(self) -> bool:
        """Whether the sides agreed at every step, every equation alone, and the fast kernels with the text."""
        return self.lockstep.agrees and self.checked.agrees

    @property
    def shows_faults(self) -> bool:
        """Whether there are equations to show: some were checked, and something is wrong with them."""
        return bool(self.checked.localisation.chained) and not self.checked.localisation.agrees

    @property
    def gates(self) -> tuple[str, ...]:
        """The blocks of rows of the recurrent weights."""
        return self.lockstep.manual.model.recurrent.kernel.gates


def train(settings: Settings, on_step: Callable[[Step], None] = lambda step: None) -> Run:
    """Train both sides in lock-step as the settings say, calling ``on_step`` after each step.

    Raises:
        ValueError: a setting outside its range.
    """
    weights, data, unseen = np.random.default_rng(settings.seed).spawn(3)
    lockstep = _set_up(settings, weights)
    for x, y in batches(data, settings.bits, settings.batch_size, settings.steps, settings.dtype):
        on_step(lockstep.step(x, y))
        if lockstep.stuck:
            break
    lockstep.finish()
    checked = check_equations(lockstep, lockstep.autograd.module.get_submodule("recurrent"), settings)

    trained = every_problem if settings.bits <= EXHAUSTIVE_BITS else lambda bits: _sample(unseen, bits, 16384)
    sets = [trained(settings.bits), _sample(unseen, 64, 1000), _sample(unseen, 1024, 100)]
    examples = random_problems(unseen, settings.bits, 3)
    return Run(
        settings,
        lockstep,
        checked,
        [accuracy(lockstep, problems, settings.dtype) for problems in sets],
        (examples, lockstep.manual.logits(examples.inputs(settings.dtype))),
    )


def _set_up(settings: Settings, rng: np.random.Generator) -> Lockstep:
    """The manual side, its two opponents, and the autograd side that is left to itself."""
    D, H, O = 2, settings.hidden_size, 1
    dtype, kind = getattr(torch, settings.dtype), settings.cell.upper()
    options = {"num_layers": settings.layers, "bidirectional": settings.bidirectional}
    recurrent = getattr(manual, kind)(D, H, **options, dtype=settings.dtype, rng=rng)
    model = manual.Model(recurrent, manual.Linear(recurrent.output_size, O, dtype=settings.dtype, rng=rng))

    def torch_side(package: Any) -> TorchTrainer:
        layer = getattr(package, kind)(D, H, **options, dtype=dtype)
        module = torch_impl.Model(layer, torch.nn.Linear(recurrent.output_size, O, dtype=dtype))
        return TorchTrainer(module, _optimizer(settings, torch.optim, module.parameters()), settings.loss)

    return Lockstep(
        ManualTrainer(model, _optimizer(settings, manual, model.parameters), settings.loss),
        {"autograd": torch_side(torch_impl), f"nn.{kind}": torch_side(torch.nn)},
        torch_side(torch_impl),
    )


def _optimizer(settings: Settings, package: Any, parameters: Any) -> Any:
    """The optimiser of ``manual`` or of ``torch.optim``: both take the same arguments."""
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return package.SGD(parameters, momentum=settings.momentum, nesterov=settings.nesterov, **options)
    return package.Adam(parameters, **options)


def _sample(rng: np.random.Generator, bits: int, count: int) -> Problems:
    """Random problems, and those that are hardest on the memory."""
    return random_problems(rng, bits, count) + carry_chains(bits)


def check_equations(lockstep: Lockstep, twin: nn.Module, settings: Plan) -> Checked:
    """Check each equation of the manual side's layer alone, and its fast kernels against the text.

    Nothing is checked where its gradients are not of a form to compare.

    ``twin``: the same layer in ``torch_impl``.
    """
    if lockstep.stuck:
        return Checked("", settings.cell, Localisation(lockstep.tolerance, {}, {}, []), [])
    layer = lockstep.manual.model.recurrent
    cell = form_of(settings.cell, getattr(layer.kernel, "reset_after", True))
    return check_layer(layer, twin, cell, seed=settings.seed)


def accuracy(lockstep: Lockstep, problems: Problems, dtype: str) -> Accuracy:
    """How many of the problems each side gets right."""
    bits, count = problems.total.shape
    x = problems.inputs(dtype)
    return Accuracy(
        bits, count, problems.solved(lockstep.manual.logits(x)), problems.solved(lockstep.autograd.logits(x))
    )
