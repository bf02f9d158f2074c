"""Train the sides on the same batches and compare them at every step.

Before each step the autograd sides take over the manual side's parameters and optimiser state; so an error shows in
the step that made it, in what made it. For the same reason all optimisers are handed the same gradients, the manual
side's, once the gradients have been compared. Beside this, one autograd side is left to itself: how far it has
drifted away from the manual side is what the rounding errors of both add up to.

Errors are relative to the tensor's own scale, its largest element. In the course of training, though, a small tensor
passes through zero, which the large terms that it is the sum of do not. So what belongs to a parameter (its gradient,
its value, its buffers) is measured by the largest such element that its layer has had in the run so far.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from compare.agreement import TOLERANCES, Difference, compare
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from manual.arrays import Array

#: What is compared at each step.
GROUPS = ("output", "loss", "gradient", "parameter", "optimizer")


@dataclass(frozen=True)
class Step:
    """One step of a run: the losses, the worst relative error of each group against any opponent, and the drift."""

    loss_manual: float
    loss_autograd: float
    errors: dict[str, float]
    drift: float


@dataclass(frozen=True)
class Finding:
    """The worst disagreement of one tensor with one opponent over a run, and the step at which it occurred."""

    opponent: str
    group: str
    difference: Difference
    shape: tuple[int, ...]
    step: int


class Lockstep:
    """A manual side, the opponents it is compared with, and an autograd side that is left to itself.

    Args:
        manual: the side whose parameters all others start from.
        opponents: by name, the sides that take over its parameters before each step.
        autograd: the side that does so only once, now.
    """

    def __init__(self, manual: ManualTrainer, opponents: Mapping[str, TorchTrainer], autograd: TorchTrainer):
        self.manual, self.opponents, self.autograd = manual, opponents, autograd
        self.tolerance = TOLERANCES[str(manual.model.recurrent.dtype)]
        self.steps: list[Step] = []
        self.worst: dict[tuple[str, str], Finding] = {}  # by opponent and tensor
        self.deaths: list[str] = []
        self.stuck = False  # a gradient is of a form that no optimiser takes
        self.seconds: dict[str, list[float]] = {"manual": [], "autograd": [], "comparing": []}
        self.scales: dict[tuple[str, str], float] = {}  # by group and layer
        self.first_batch: tuple[Array, Array] | None = None
        autograd.follow(manual)

    def step(self, x: Array, y: Array) -> Step:
        """Take one step on the batch x (T, B, D), y (T, B, 1) on every side, and compare."""
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
            if x.any():  # an x of zeros has no gradient to give to the weights that it is multiplied with
                for name, side in {"manual": ours, **theirs}.items():
                    self._watch(name, side.gradients)
            for name, their in theirs.items():
                self._compare(name, "output", {"logits": ours.logits}, {"logits": their.logits}, errors)
                self._compare(name, "loss", {"loss": ours.loss}, {"loss": their.loss}, errors)
                self._compare(name, "gradient", ours.gradients, their.gradients, errors)

        if _forms(ours.gradients) != _forms(self.manual.parameters):
            self.stuck = True
            self.deaths.append("manual: its gradients are not of the parameters' form, so no step can be taken")
            self.steps.append(Step(float(ours.loss), float(ours.loss), errors, np.inf))
            return self.steps[-1]
        with self._clock("manual"):
            self.manual.update(ours.gradients)
        for opponent in self.opponents.values():
            opponent.update(ours.gradients)
        with self._clock("comparing"):
            for name, opponent in self.opponents.items():
                self._compare(name, "parameter", self.manual.parameters, opponent.parameters, errors)
                if self.manual.buffers or opponent.buffers:  # plain SGD keeps nothing
                    self._compare(name, "optimizer", self.manual.buffers, opponent.buffers, errors)

        with self._clock("autograd"):
            alone = self.autograd.run(x, y)
            self.autograd.update(alone.gradients)
        self.steps.append(Step(float(ours.loss), float(alone.loss), errors, self._drift()))
        return self.steps[-1]

    def finish(self) -> None:
        """Hold both losses on the first batch against what they were: training that moves neither is dead."""
        if self.first_batch is None:
            return
        for side, trainer, before in (
            ("manual", self.manual, self.steps[0].loss_manual),
            ("autograd", self.autograd, self.steps[0].loss_autograd),
        ):
            after = float(trainer.run(*self.first_batch).loss)
            if not abs(after - before) > self.tolerance * abs(before):
                self.deaths.append(f"{side}: the loss on the first batch did not move from {before:.6g}")

    @property
    def agrees(self) -> bool:
        """Whether something was compared, all of it agrees, and neither side is dead."""
        return bool(self.worst) and not self.deaths and all(f.difference.agrees for f in self.worst.values())

    def worst_of(self, group: str) -> float:
        """The largest relative error of a group over the run, against any opponent."""
        return max((f.difference.error for f in self.worst.values() if f.group == group), default=0.0)

    def _compare(
        self,
        opponent: str,
        group: str,
        ours: Mapping[str, Array],
        theirs: Mapping[str, Array],
        errors: dict[str, float],
    ) -> None:
        """Compare by name, and note what is worse than anything before."""
        scales = self._scales(group, theirs) if group in ("gradient", "parameter", "optimizer") else {}
        for found in compare(ours, theirs, self.tolerance, scales):
            errors[group] = max(errors[group], found.error)
            key = opponent, f"{group} {found.name}"
            if key not in self.worst or found.error > self.worst[key].difference.error:
                shape = theirs[found.name].shape if found.name in theirs else ()
                self.worst[key] = Finding(opponent, group, found, shape, len(self.steps) + 1)

    def _drift(self) -> float:
        """How far the autograd side left to itself is away, relative to the largest of all parameters."""
        alone = self.autograd.parameters
        scale = max(np.abs(array).max().item() for array in alone.values())
        found = compare(self.manual.parameters, alone, self.tolerance, dict.fromkeys(alone, scale))
        return max(difference.error for difference in found)

    def _scales(self, group: str, references: Mapping[str, Array]) -> dict[str, float]:
        """For each reference the largest element its layer has had so far, biases counted as weights of a 1."""
        layers = {name: (group, re.sub(r"(weight|bias)(_[ih]h)?", "", name)) for name in references}
        for name, layer in layers.items():
            self.scales[layer] = max(self.scales.get(layer, 0.0), np.abs(references[name]).max().item())
        return {name: self.scales[layer] for name, layer in layers.items()}

    def _watch(self, side: str, gradients: Mapping[str, Array]) -> None:
        """Note a gradient of which nothing is left, once for each tensor."""
        for name, gradient in gradients.items():
            if np.abs(gradient).max() < np.finfo(gradient.dtype).tiny:
                death = f"{side}: the gradient of {name} has vanished"
                if death not in self.deaths:
                    self.deaths.append(death)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        """Add the time that the block takes to this step's."""
        start = perf_counter()
        yield
        self.seconds[what][-1] += perf_counter() - start


def _forms(arrays: Mapping[str, Array]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of each."""
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
