"""Binary addition as the settings of a run say: the network on all sides, and the sums that they get right."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

import manual
import torch_impl
from compare.agreement import by_hand, compare
from compare.binary_addition import Sums, batches, random_sums, sums_to_count
from compare.cells import CELLS
from compare.cells.functional import KNOWN
from compare.checker.report.report import Report
from compare.frameworks.layouts import LAYOUTS
from compare.lockstep.distributed import DistributedTrainer, check_batch_size, own_device
from compare.lockstep.lockstep import Lockstep
from compare.lockstep.rounding import Rounding
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import CorrectSums, Experiment, add_up
from manual.arrays import Array


class Adding(Experiment):
    """Binary addition by a network of the given settings."""

    def __init__(self, settings: Settings):
        self.settings: Settings = settings
        self.weights, self.data, self.unseen = np.random.default_rng(settings.seed).spawn(3)

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self.settings)

    def set_up(self) -> Lockstep:
        """Build the manual side, its opponents, and the independent side."""
        settings, rng = self.settings, self.weights
        device = own_device(settings.device)
        if settings.device == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        with by_hand("building the network"):
            recurrent = self.layer(manual, dtype=settings.dtype, rng=rng, engine=settings.engine)
            model = manual.Model(recurrent, manual.Linear(recurrent.output_size, 1, dtype=settings.dtype, rng=rng))
            leader = ManualTrainer(model, self.optimizer(manual, model.parameters), settings.loss)
        if settings.against == "jax":
            from compare.lockstep.sides.jax_side import JaxTrainer

            self._check_cell(KNOWN)
            jax, independent = (JaxTrainer(settings, model.parameters) for _ in range(2))
            return Lockstep(leader, {"jax": jax}, independent)

        if settings.against == "keras":
            from compare.lockstep.sides.keras_side import KerasTrainer, frozen

            self._check_cell(LAYOUTS["keras"])
            held = {name: model.parameters[name] for name in frozen(settings, model.parameters)}
            for array in held.values():
                array[...] = 0
            learning = {name: array for name, array in model.parameters.items() if name not in held}
            leader = ManualTrainer(model, self.optimizer(manual, learning), settings.loss)
            return Lockstep(leader, {"keras": KerasTrainer(settings, leader)}, KerasTrainer(settings, leader))

        kind: type[TorchTrainer] = TorchTrainer
        if dist.is_initialized():
            check_batch_size(settings.batch_size)
            kind = DistributedTrainer
        opponents, name = {"autograd": self.torch_side(torch_impl, kind, device)}, CELLS[settings.cell].class_name
        if hasattr(torch.nn, name):
            opponents[f"nn.{name}"] = self.torch_side(torch.nn, kind, device)
        return Lockstep(leader, opponents, self.torch_side(torch_impl, kind, device))

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Yield a batch of random sums for each step."""
        settings = self.settings
        return batches(self.data, settings.bits, settings.batch_size, settings.steps, settings.dtype)

    def twin(self) -> nn.Module:
        """Build the recurrent layers in ``torch_impl``."""
        return self.layer(torch_impl, dtype=getattr(torch, self.settings.dtype))

    def examine(self, lockstep: Lockstep, checked: Report) -> tuple[list[CorrectSums], tuple[Sums, Array] | None]:
        """Compare on sums and batches that were not trained on, and count the sums of three lengths that are right."""
        settings, unseen = self.settings, self.unseen
        lengths = (settings.bits, 16384), (64, 1000), (1024, 100)
        sets = [sums_to_count(unseen, bits, sample) for bits, sample in lengths]
        for sums in sets:
            lockstep.compare_logits(f"logits of {sums.total.shape[0]:,} bits", sums.inputs(settings.dtype))
        if checked.agrees:  # else they would only repeat what is wrong
            self.other_batches(lockstep)
        return add_up(lockstep, sets, random_sums(unseen, settings.bits, 3))

    def other_batches(self, lockstep: Lockstep) -> None:
        """Compare on batches of other forms."""
        rng = np.random.default_rng(self.settings.seed)
        compare_other_batches(lockstep, self.torch_side(torch_impl), self.settings.bits, rng)

    def layer(self, package: Any, **options: Any) -> Any:
        """Build the recurrent layers of ``manual``, ``torch_impl`` or ``torch.nn``."""
        settings = self.settings
        options |= {"num_layers": settings.layers, "bidirectional": settings.bidirectional}
        return CELLS[settings.cell].of(package)(2, settings.hidden_size, **options)

    def torch_side(self, package: Any, kind: type[TorchTrainer] = TorchTrainer, device: str = "cpu") -> TorchTrainer:
        """Build the network of ``torch_impl`` or ``torch.nn`` with its optimiser."""
        settings, dtype = self.settings, getattr(torch, self.settings.dtype)
        readout = nn.Linear(settings.hidden_size * (1 + settings.bidirectional), 1, dtype=dtype)
        module = torch_impl.Model(self.layer(package, dtype=dtype), readout).to(device)
        return kind(module, self.optimizer(torch.optim, module.parameters()), settings.loss)

    def optimizer(self, package: Any, parameters: Any) -> Any:
        """Build an optimiser of ``manual`` or ``torch.optim``, which take the same arguments."""
        settings = self.settings
        options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        if settings.optimizer == "sgd":
            return package.SGD(parameters, momentum=settings.momentum, nesterov=settings.nesterov, **options)
        if package is manual:
            options["engine"] = settings.engine
        return package.Adam(parameters, **options)

    def _check_cell(self, known: Collection[str]) -> None:
        """Check that the framework to compare with has the cell."""
        settings = self.settings
        if settings.cell not in known:
            raise ValueError(f"against: expected torch with cell {settings.cell}, got {settings.against}")


#: T of one batch and B of another, in which faults show that need many steps or rows.
LARGE = 200


def compare_other_batches(lockstep: Lockstep, twin: TorchTrainer, bits: int, rng: np.random.Generator) -> None:
    """Compare logits and gradients with the written-out twin's, on batches of other forms.

    They have one row, rows of different lengths, 200 steps, and 200 rows. A difference is a failure; it is recorded
    unless the sides are known to disagree.
    """
    layer = lockstep.manual.model.recurrent
    for title, T, B, lengths in (
        ("a single row", bits, 1, None),
        ("rows of different lengths", bits, 5, [bits, *rng.integers(1, bits + 1, 4).tolist()]),
        (f"{LARGE} steps", LARGE, 3, None),
        (f"{LARGE} rows", 3, LARGE, None),
    ):
        if not lockstep.agrees:
            return
        x = rng.integers(0, 2, (T, B, 2)).astype(layer.dtype)
        d_logits = rng.normal(size=(T, B, 1)).astype(layer.dtype)
        twin.follow(lockstep.manual)
        ours = lockstep.attempt(title, lambda: _by_hand(lockstep.manual.model, x, lengths, d_logits))  # noqa: B023
        rounding = Rounding(twin, lambda: _by_autograd(twin, x, lengths, d_logits))  # noqa: B023
        for found in compare(ours or {}, _by_autograd(twin, x, lengths, d_logits), lockstep.tolerance):
            lockstep.note(title, found, rounding, f"{title}: {found.name}")


def _by_hand(model: Any, x: Array, lengths: list[int] | None, d_logits: Array) -> dict[str, Array]:
    logits, _, tape = model.forward(x.copy(), lengths=lengths)
    return {"logits": logits} | model.backward(tape, d_logits.copy())[2]


def _by_autograd(side: Any, x: Array, lengths: list[int] | None, d_logits: Array) -> dict[str, Array]:
    logits, _ = side.module(torch.from_numpy(x), lengths=lengths)
    gradients = torch.autograd.grad(logits, list(side.tensors.values()), torch.from_numpy(d_logits))
    return {"logits": logits.detach().numpy()} | {n: g.numpy() for n, g in zip(side.tensors, gradients, strict=True)}
