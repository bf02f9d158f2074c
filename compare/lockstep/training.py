"""One run on binary addition: set up all sides, train them in lock-step, count the sums that they get right."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

import manual
import torch_impl
from compare.agreement import position
from compare.binary_addition import Sums, all_sums, batches, carry_chains, random_sums
from compare.cells import CELLS
from compare.cells.check import check_layer
from compare.cells.equations import form_of
from compare.checker.report.report import Report
from compare.disagreement import by_hand
from compare.lockstep.checkpoint import Checkpoint
from compare.lockstep.distributed import DistributedTrainer, check_batch_size
from compare.lockstep.lockstep import Finding, Lockstep, Step
from compare.lockstep.other_batches import compare_other_batches
from compare.lockstep.settings import Configuration, Settings
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from manual.arrays import Array

#: Up to this many bits, all 4^(bits - 1) sums are evaluated; beyond, a random sample.
EXHAUSTIVE_BITS = 8


@dataclass(frozen=True)
class CorrectSums:
    """The share of ``count`` sums that each side gets right in every bit."""

    bits: int
    count: int
    manual: float
    autograd: float


class Interruption(Exception):  # noqa: N818 - no error
    """Raised after a step to end a run there."""


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run."""

    settings: Configuration
    lockstep: Lockstep
    checked: Report  # each equation of the recurrent layers individually, and their fast kernels against the text
    correct_sums: list[CorrectSums]  # of the trained length first, then 64 and 1,024 bits; empty if nothing is added
    examples: tuple[Sums, Array] | None  # a few sums, and the manual side's logits for them
    interrupted: bool = field(default=False, kw_only=True)

    @property
    def agrees(self) -> bool:
        """Whether the sides agreed at every step, each equation individually, and the fast kernels with the text."""
        return self.lockstep.agrees and self.checked.agrees and not self.interrupted

    @property
    def shows_faults(self) -> bool:
        """Whether equations were checked and some of them are wrong."""
        return bool(self.checked.as_run) and not all(one.agrees for one in self.checked.as_run + self.checked.fed_back)

    @property
    def figures(self) -> dict[str, Callable[[Path], None]]:
        """What draws the figures that not every run has, by file name: the faults, if equations are wrong."""
        return {"faults.png": self.checked.draw} if self.shows_faults else {}

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates whose blocks of rows make up the recurrent weights."""
        return self.lockstep.manual.model.recurrent.kernel.gates

    @property
    def written_examples(self) -> list[dict[str, str]]:
        """The bits of each example, most significant first: ``a``, ``b``, ``predicted`` and ``true``."""
        if not self.examples:
            return []
        sums, logits = self.examples
        columns = {"a": sums.a, "b": sums.b, "predicted": (logits[:, :, 0] > 0).astype(int), "true": sums.total}
        return [
            {name: "".join(map(str, bits[::-1, row])) for name, bits in columns.items()}
            for row in range(sums.a.shape[1])
        ]

    def where(self, finding: Finding) -> str:
        """Describe the position of a finding's worst element, or the problem that prevents the comparison."""
        found = finding.difference
        return found.problem or position(found.name, found.index, finding.shape, self.gates)


def train(
    settings: Settings,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
) -> Run:
    """Train all sides in lock-step.

    Args:
        settings: the settings of the run.
        on_step: called after each step; it may raise ``Interruption``.
        checkpoint: where the run starts, if it was read from a file, and where it is saved on the way.

    Raises:
        ValueError: there is no such device, or the processes cannot share a batch equally.
        OSError: the checkpoint cannot be written.
    """
    weights, data, unseen = np.random.default_rng(settings.seed).spawn(3)
    lockstep = set_up(settings, weights)
    if checkpoint:
        checkpoint.restore(lockstep)
    drawn = batches(data, settings.bits, settings.batch_size, settings.steps, settings.dtype)
    try:
        for x, y in islice(drawn, len(lockstep.steps), None):
            if lockstep.stuck:
                break
            step = lockstep.step(x, y)
            if checkpoint:
                checkpoint.after_step(lockstep)
            on_step(step)
    except Interruption:
        if checkpoint:
            checkpoint.save(lockstep)
        return Run(settings, lockstep, no_check(lockstep, settings), [], None, interrupted=True)
    lockstep.finish()
    checked = check_equations(lockstep, _recurrent(settings, torch_impl), settings)

    exhaustive = settings.bits <= EXHAUSTIVE_BITS
    trained = all_sums(settings.bits) if exhaustive else _sample(unseen, settings.bits, 16384)
    sets = [trained, _sample(unseen, 64, 1000), _sample(unseen, 1024, 100)]
    for sums in sets:
        lockstep.compare_logits(f"logits of {sums.total.shape[0]:,} bits", sums.inputs(settings.dtype))
    if checked.agrees:  # else they would only repeat what is wrong
        compare_other_batches(
            lockstep, _torch_side(settings, torch_impl), settings.bits, np.random.default_rng(settings.seed)
        )
    examples = random_sums(unseen, settings.bits, 3)
    return Run(settings, lockstep, checked, *add_up(lockstep, sets, examples))


def set_up(settings: Settings, rng: np.random.Generator) -> Lockstep:
    """Build the manual side, its opponents, and the independent side.

    Raises:
        ValueError: there is no such device, or the processes cannot share a batch equally.
    """
    if settings.device == "cuda":
        if not torch.cuda.is_available():
            raise ValueError("device: expected a GPU for cuda, but torch finds none")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    options = _options(settings) | {"rng": rng, "engine": settings.engine}
    with by_hand("building the network"):
        recurrent = CELLS[settings.cell].of(manual)(2, settings.hidden_size, **options)
        model = manual.Model(recurrent, manual.Linear(recurrent.output_size, 1, dtype=settings.dtype, rng=rng))
        leader = ManualTrainer(model, _optimizer(settings, manual, model.parameters), settings.loss)
    if settings.against == "jax":
        from compare.lockstep.jax_side import JaxTrainer

        return Lockstep(leader, {"jax": JaxTrainer(settings, model.parameters)}, JaxTrainer(settings, model.parameters))

    if settings.against == "keras":
        from compare.lockstep.keras_side import KerasTrainer, frozen

        held = {name: model.parameters[name] for name in frozen(settings, model.parameters)}
        for array in held.values():
            array[...] = 0
        learning = {name: array for name, array in model.parameters.items() if name not in held}
        leader = ManualTrainer(model, _optimizer(settings, manual, learning), settings.loss)
        return Lockstep(leader, {"keras": KerasTrainer(settings, leader)}, KerasTrainer(settings, leader))

    kind: type[TorchTrainer] = TorchTrainer
    if dist.is_initialized():
        check_batch_size(settings.batch_size)
        kind = DistributedTrainer

    def torch_side(package: Any) -> TorchTrainer:
        return _torch_side(settings, package, kind, settings.device)

    nn_layer = f"nn.{CELLS[settings.cell].class_name}"
    opponents = {"autograd": torch_side(torch_impl), nn_layer: torch_side(torch.nn)}
    return Lockstep(leader, opponents, torch_side(torch_impl))


def _torch_side(
    settings: Settings, package: Any, kind: type[TorchTrainer] = TorchTrainer, device: str = "cpu"
) -> TorchTrainer:
    """Build the network of ``torch_impl`` or ``torch.nn`` with its optimiser."""
    recurrent = _recurrent(settings, package)
    width = settings.hidden_size * (1 + settings.bidirectional)
    module = torch_impl.Model(recurrent, nn.Linear(width, 1, dtype=getattr(torch, settings.dtype))).to(device)
    return kind(module, _optimizer(settings, torch.optim, module.parameters()), settings.loss)


def _recurrent(settings: Settings, package: Any) -> nn.Module:
    """Build the recurrent layers of ``torch_impl`` or ``torch.nn``."""
    options = _options(settings) | {"dtype": getattr(torch, settings.dtype)}
    layer: nn.Module = CELLS[settings.cell].of(package)(2, settings.hidden_size, **options)
    return layer


def _options(settings: Settings) -> dict[str, Any]:
    """Return the options of the recurrent layers."""
    return {"num_layers": settings.layers, "bidirectional": settings.bidirectional, "dtype": settings.dtype}


def _optimizer(settings: Settings, package: Any, parameters: Any) -> Any:
    """Build an optimiser of ``manual`` or ``torch.optim``, which take the same arguments."""
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return package.SGD(parameters, momentum=settings.momentum, nesterov=settings.nesterov, **options)
    if package is manual:
        options["engine"] = settings.engine
    return package.Adam(parameters, **options)


def _sample(rng: np.random.Generator, bits: int, count: int) -> Sums:
    return random_sums(rng, bits, count) + carry_chains(bits)


def check_equations(lockstep: Lockstep, twin: nn.Module, settings: Configuration) -> Report:
    """Check each equation of the manual side's layer individually, and its fast kernels against the text.

    Nothing is checked if the lock-step is stuck. An error that the text raises is a failure of the manual side.

    Args:
        lockstep: the finished lock-step.
        twin: the same layer in ``torch_impl``.
        settings: the cell and the seed.
    """
    if lockstep.stuck:
        return no_check(lockstep, settings)
    layer = lockstep.manual.model.recurrent
    cell = form_of(settings.cell, getattr(layer.kernel, "reset_after", True))
    checked = lockstep.by_hand("each equation", lambda: check_layer(layer, twin, cell, seed=settings.seed))
    return checked or no_check(lockstep, settings)


def no_check(lockstep: Lockstep, settings: Configuration) -> Report:
    """Return the report of a check that examined nothing."""
    return Report("", settings.cell, "float64", lockstep.tolerance, k=1.0, as_run=[], fed_back=[])


def add_up(lockstep: Lockstep, sets: list[Sums], examples: Sums) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
    """Return the shares of each set of sums that both sides get right, and the manual side's logits for the examples.

    Neither is there once the manual side has raised an error.
    """
    dtype = str(lockstep.manual.model.recurrent.dtype)

    def shares(sums: Sums) -> CorrectSums:
        bits, count = sums.total.shape
        sides = (lockstep.manual, lockstep.autograd)
        return CorrectSums(bits, count, *(sums.share_correct(side.logits(sums.inputs(dtype))) for side in sides))

    if lockstep.raised:
        return [], None
    found = lockstep.by_hand(
        "adding", lambda: ([shares(s) for s in sets], (examples, lockstep.manual.logits(examples.inputs(dtype))))
    )
    return found or ([], None)
