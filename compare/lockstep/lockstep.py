"""Train all sides on the same batches and compare them at every step.

Before each step the opponents copy the manual side's parameters and optimiser state, so an error appears only in the
step and in the quantity that caused it. For the same reason all optimisers receive the same gradients, the manual
side's, after the gradients have been compared. A further autograd side trains independently: its drift away from the
manual side is the accumulated rounding error of both.

Errors are relative to the tensor's own scale, its largest element. During training, however, a small tensor may pass
through zero while the large terms that it is a sum of do not. So everything that belongs to a parameter (gradient,
value, optimiser buffers) is measured against the largest such element of its layer in the run so far.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from compare.agreement import TOLERANCES, Difference, compare
from compare.lockstep.trainers import ManualTrainer, Trainer
from manual.arrays import Array

#: What is compared at each step.
GROUPS = ("output", "loss", "gradient", "parameter", "optimizer")


@dataclass(frozen=True)
class Step:
    """One step: both losses, the worst relative error of each group against any opponent, and the drift."""

    loss_manual: float
    loss_autograd: float
    errors: dict[str, float]
    drift: float


@dataclass(frozen=True)
class Finding:
    """The worst error of one tensor against one opponent over a run, and the step in which it occurred."""

    opponent: str
    group: str
    difference: Difference
    shape: tuple[int, ...]
    step: int


class Lockstep:
    """A manual side, the opponents it is compared with, and an autograd side that trains independently.

    Args:
        manual: the side whose parameters all others start from.
        opponents: the sides that copy its parameters before each step, by name.
        autograd: the independent side, which copies them only once, here.
    """

    def __init__(self, manual: ManualTrainer, opponents: Mapping[str, Trainer], autograd: Trainer):
        self.manual, self.opponents, self.autograd = manual, opponents, autograd
        self.tolerance = TOLERANCES[str(manual.model.recurrent.dtype)]
        self.steps: list[Step] = []
        self.worst: dict[tuple[str, str], Finding] = {}  # by opponent and tensor
        self.failures: list[str] = []  # signs that a side does not train, which no comparison shows
        self.stuck = False  # the gradients have names, shapes or dtypes that no optimiser accepts
        self.seconds: dict[str, list[float]] = {"manual": [], "autograd": [], "comparing": []}
        self.scales: dict[tuple[str, str], float] = {}  # by group and layer
        self.first_batch: tuple[Array, Array] | None = None
        autograd.follow(manual)

    def step(self, x: Array, y: Array) -> Step:
        """Take one step on every side with the batch x (T, B, D), y (T, B, 1), and compare."""
        self.first_batch = self.first_batch or (x, y)
        for spent in self.seconds.values():
            spent.append(0.0)
        errors = dict.fromkeys(GROUPS, 0.0)
        for opponent in self.opponents.values():
            opponent.follow(self.manual)

        with self._clock("manual"):
            ours = self.manual.run(x, y)
        theirs = {name: opponent.run(x, y) for name, opponent in self.opponents.items()}
        with self._clock("comparing"):
            if x.any():  # if x is zero, so is the gradient of the input weights
                for name, side in {"manual": ours, **theirs}.items():
                    self._note_vanished(name, side.gradients)
            for name, their in theirs.items():
                self._compare(name, "output", {"logits": ours.logits}, {"logits": their.logits}, errors)
                self._compare(name, "loss", {"loss": ours.loss}, {"loss": their.loss}, errors)
                self._compare(name, "gradient", ours.gradients, their.gradients, errors)

        if _shapes_and_dtypes(ours.gradients) != _shapes_and_dtypes(self.manual.parameters):
            self.stuck = True
            self.failures.append("manual: gradients and parameters differ in form, so no step can be taken")
            self.steps.append(Step(float(ours.loss), float(ours.loss), errors, np.inf))
            return self.steps[-1]
        with self._clock("manual"):
            self.manual.update(ours.gradients)
        for opponent in self.opponents.values():
            opponent.update(ours.gradients)
        with self._clock("comparing"):
            for name, opponent in self.opponents.items():
                self._compare(name, "parameter", self.manual.parameters, opponent.parameters, errors)
                if self.manual.buffers or opponent.buffers:  # plain SGD has none
                    self._compare(name, "optimizer", self.manual.buffers, opponent.buffers, errors)

        with self._clock("autograd"):
            independent = self.autograd.run(x, y)
            self.autograd.update(independent.gradients)
        self.steps.append(Step(float(ours.loss), float(independent.loss), errors, self._drift()))
        return self.steps[-1]

    def finish(self) -> None:
        """Compare both losses on the first batch with their initial values: if one has not changed, nothing learns."""
        if self.first_batch is None:
            return
        for side, trainer, before in (
            ("manual", self.manual, self.steps[0].loss_manual),
            ("autograd", self.autograd, self.steps[0].loss_autograd),
        ):
            after = float(trainer.run(*self.first_batch).loss)
            if not abs(after - before) > self.tolerance * abs(before):
                self.failures.append(f"{side}: the loss on the first batch did not move from {before:.6g}")

    @property
    def agrees(self) -> bool:
        """Whether something was compared, all of it agrees, and every side trains."""
        return bool(self.worst) and not self.failures and all(f.difference.agrees for f in self.worst.values())

    def worst_of(self, group: str) -> float:
        """Return the largest relative error of a group over the run, against any opponent."""
        return max((f.difference.error for f in self.worst.values() if f.group == group), default=0.0)

    def worst_by_tensor(self) -> list[Finding]:
        """Return the worst finding of each tensor of each group, against any opponent."""
        worst: dict[tuple[str, str], Finding] = {}
        for finding in self.worst.values():
            key = finding.group, finding.difference.name
            if key not in worst or finding.difference.error > worst[key].difference.error:
                worst[key] = finding
        return list(worst.values())

    def _compare(
        self,
        opponent: str,
        group: str,
        ours: Mapping[str, Array],
        theirs: Mapping[str, Array],
        errors: dict[str, float],
    ) -> None:
        """Compare by name, and record every error that is the worst so far."""
        scales = self._scales(group, theirs) if group in ("gradient", "parameter", "optimizer") else {}
        for found in compare(ours, theirs, self.tolerance, scales):
            errors[group] = max(errors[group], found.error)
            key = opponent, f"{group} {found.name}"
            if key not in self.worst or found.error > self.worst[key].difference.error:
                shape = theirs[found.name].shape if found.name in theirs else ()
                self.worst[key] = Finding(opponent, group, found, shape, len(self.steps) + 1)

    def _drift(self) -> float:
        """Return the distance to the independent autograd side, relative to the largest of all parameters."""
        independent = self.autograd.parameters
        scale = max(np.abs(array).max().item() for array in independent.values())
        found = compare(self.manual.parameters, independent, self.tolerance, dict.fromkeys(independent, scale))
        return max(difference.error for difference in found)

    def _scales(self, group: str, references: Mapping[str, Array]) -> dict[str, float]:
        """Return, for each reference, the largest element of its layer so far. Biases belong to the weights' layer."""
        layers = {name: (group, re.sub(r"(weight|bias)(_[ih]h)?", "", name)) for name in references}
        for name, layer in layers.items():
            self.scales[layer] = max(self.scales.get(layer, 0.0), np.abs(references[name]).max().item())
        return {name: self.scales[layer] for name, layer in layers.items()}

    def _note_vanished(self, side: str, gradients: Mapping[str, Array]) -> None:
        """Record gradients that have vanished, once for each tensor."""
        for name, gradient in gradients.items():
            if np.abs(gradient).max() < np.finfo(gradient.dtype).tiny:
                failure = f"{side}: the gradient of {name} has vanished"
                if failure not in self.failures:
                    self.failures.append(failure)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        """Add the time that the block takes to that of this step."""
        start = perf_counter()
        yield
        self.seconds[what][-1] += perf_counter() - start


def _shapes_and_dtypes(arrays: Mapping[str, Array]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
