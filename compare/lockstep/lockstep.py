"""Train all sides on the same batches and compare them at every step.

Before each step the opponents copy the manual side's parameters and optimiser state, so an error appears only in the
step and in the quantity that caused it. For the same reason all optimisers receive the same gradients, the manual
side's, after the gradients have been compared. A further autograd side trains independently: its drift away from the
manual side is the accumulated rounding error of both.

Errors are relative to the tensor's own scale, its largest element. During training, however, a small tensor may pass
through zero while the large terms that it is a sum of do not. So everything that belongs to a parameter (gradient,
value, optimiser buffers) is measured against the largest such element of its layer in the last steps. An error above
the tolerance is held against what rounding alone does at that step. A step at which that is too much is left open, and
a run in which most steps are is a failure.

Every side works on copies of its own: a side that changes what it is given cannot mislead another, and is reported.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from compare.agreement import TOLERANCES, Difference, Disagreement, by_hand, compare, difference
from compare.lockstep.rounding import DRIFT_FACTOR, Rounding, jitter
from compare.lockstep.trainers import ManualTrainer, Pass, Trainer
from manual.arrays import Array

#: What is compared at each step.
GROUPS = ("output", "loss", "gradient", "parameter", "optimizer")

#: How many steps back the scale of a comparison may reach.
SCALE_STEPS = 20


@dataclass(frozen=True)
class Step:
    """One step: both losses, the worst relative error of each group against any opponent, and the drift.

    ``rounding_drift`` is the drift of two autograd sides of which one is moved by one unit of rounding at each step.
    """

    loss_manual: float
    loss_autograd: float
    errors: dict[str, float]
    drift: float
    rounding_drift: float = 0.0


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

    Raises:
        Disagreement: the manual side has parameters that no other side can copy.
    """

    def __init__(self, manual: ManualTrainer, opponents: Mapping[str, Trainer], autograd: Trainer):
        self.manual, self.opponents, self.autograd = manual, opponents, autograd
        self.tolerance = TOLERANCES[str(manual.model.recurrent.dtype)]
        self.steps: list[Step] = []
        self.worst: dict[tuple[str, str], Finding] = {}  # by opponent and tensor
        self.failures: list[str] = []  # what no comparison shows: a side does not train, raises, changes its arguments
        self.stuck = False  # the manual side raises, or has gradients that no optimiser accepts
        self.raised = False  # the manual side has raised an error
        self.explained = 0  # errors above the tolerance that are no larger than rounding makes them
        self.unjudged: list[str] = []  # steps and other data in which rounding alone moves autograd too far
        self.seconds: dict[str, list[float]] = {what: [] for what in ("manual", *opponents, "comparing")}
        self.scales: dict[tuple[str, str, str], deque[float]] = {}  # by opponent, group and layer; of the last steps
        self.first_batch: tuple[Array, Array] | None = None
        with by_hand("copying its parameters"):
            autograd.follow(manual)
        self.moved, self.movements = autograd.copy(), np.random.default_rng(0)  # drifts by rounding alone

    def step(self, x: Array, y: Array) -> Step:
        """Take one step on every side with the batch x (T, B, D), y (T, B, 1), and compare."""
        self.first_batch = self.first_batch or (x, y)
        for spent in self.seconds.values():
            spent.append(0.0)
        errors = dict.fromkeys(GROUPS, 0.0)
        try:
            self.steps.append(self._step(x, y, errors))
        except Disagreement as found:
            self._end(found)
            self.steps.append(Step(np.nan, np.nan, errors, np.inf))
        return self.steps[-1]

    def _step(self, x: Array, y: Array, errors: dict[str, float]) -> Step:
        """Take one step, and write the worst error of each group to ``errors``."""
        with by_hand("copying its parameters"):
            for opponent in self.opponents.values():
                opponent.follow(self.manual)
        with self._clock("manual"), by_hand("forward and backward"):
            ours = self._undisturbed("manual", self.manual.run, x, y)
        loss = _number(ours.loss)
        theirs = {}
        for name, opponent in self.opponents.items():
            with self._clock(name):
                theirs[name] = self._undisturbed(name, opponent.run, x, y)
        with self._clock("comparing"):
            if x.any():  # if x is zero, so is the gradient of the input weights
                for name, side in {"manual": ours, **theirs}.items():
                    self._note_vanished(name, side.gradients)
            for name, opponent in self.opponents.items():
                rounding = Rounding(opponent, partial(_flat_pass, opponent, x, y))
                for group, arrays in _groups(theirs[name]).items():
                    self._compare(name, group, _groups(ours)[group], arrays, errors, rounding)

        with by_hand("handing out its parameters"):
            fits = _shapes_and_dtypes(ours.gradients) == _shapes_and_dtypes(self.manual.parameters)
        if not fits:
            self.stuck = True
            self.failures.append("manual: gradients and parameters differ in form, so no step can be taken")
            return Step(loss, loss, errors, np.inf)
        with self._clock("manual"), by_hand("optimiser"):
            self._undisturbed("manual", self.manual.update, ours.gradients)
        with by_hand("handing out its parameters"):
            parameters, buffers = self.manual.parameters, self.manual.buffers
        for name, opponent in self.opponents.items():
            with self._clock(name):
                opponent.update(ours.gradients)
        with self._clock("comparing"):
            for name, opponent in self.opponents.items():
                self._compare(name, "parameter", parameters, opponent.parameters, errors)
                if buffers or opponent.buffers:  # plain SGD has none
                    self._compare(name, "optimizer", buffers, opponent.buffers, errors)

        independent = self.autograd.run(x, y)
        self.autograd.update(independent.gradients)
        self.moved.update(self.moved.run(x, y).gradients)
        jitter(self.moved, self.movements)
        drift = self._drift(parameters), self._drift(self.moved.parameters)
        return Step(loss, float(independent.loss), errors, *drift)

    def finish(self) -> None:
        """Compare both losses on the first batch with their initial values, and the drift with that of rounding alone.

        If a loss has not changed, nothing learns.
        """
        if self.first_batch is None or self.stuck:
            return
        batch = self.first_batch
        ours = self.attempt("forward and backward", lambda: self._undisturbed("manual", self.manual.run, *batch))
        if ours is None:
            return
        for side, last, before in (
            ("manual", ours, self.steps[0].loss_manual),
            ("autograd", self.autograd.run(*batch), self.steps[0].loss_autograd),
        ):
            after = _number(last.loss)
            if not abs(after - before) > self.tolerance * abs(before):
                self.failures.append(f"{side}: the loss on the first batch did not move from {before:.6g}")
        if len(self.unjudged) > len(self.steps) / 2:
            self.failures.append(f"{len(self.unjudged):,} of {len(self.steps):,} steps cannot be judged")
        limits = np.maximum.accumulate([max(self.tolerance, DRIFT_FACTOR * step.rounding_drift) for step in self.steps])
        beyond = [k for k, step in enumerate(self.steps) if not step.drift <= limits[k]]
        if beyond and self.agrees:  # else the drift is no news
            k = max(beyond, key=lambda k: self.steps[k].drift / limits[k])
            self.failures.append(
                f"drift of {self.steps[k].drift:.1e} at step {k + 1}, of which rounding explains {limits[k]:.1e}"
            )

    def compare_logits(self, title: str, x: Array) -> None:
        """Compare the logits of all sides with the manual side's weights, on inputs x (T, B, D) not trained on.

        A difference is a failure; it is recorded unless the sides are known to disagree.
        """
        if not self.agrees:
            return
        ours = self.attempt(title, lambda: self._undisturbed("manual", self.manual.logits, x))
        for name, opponent in self.opponents.items():
            opponent.follow(self.manual)
            found = difference("logits", ours, opponent.logits(x), self.tolerance)
            rounding = Rounding(opponent, lambda side=opponent: {"logits": side.logits(x)})  # type: ignore[misc]
            self.note(title, found, rounding, f"{title} against {name}")

    def note(self, title: str, found: Difference, rounding: Rounding, what: str) -> None:
        """Record a failure if a difference on other data than a batch's disagrees."""
        judged = rounding.judge(found)
        if judged is None:
            self.leave_open(title)
        elif not judged.agrees:
            self.failures.append(f"{what}: {judged.problem or f'relative error {judged.error:.1e}'}")

    def leave_open(self, what: str) -> None:
        """Record that something cannot be judged."""
        if what not in self.unjudged:
            self.unjudged.append(what)

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
            if key not in worst or finding.difference.used > worst[key].difference.used:
                worst[key] = finding
        return list(worst.values())

    def _compare(
        self,
        opponent: str,
        group: str,
        ours: Mapping[str, Array],
        theirs: Mapping[str, Array],
        errors: dict[str, float],
        rounding: Rounding | None = None,
    ) -> None:
        """Compare by name, and record every error that is the worst so far, as a share of what is tolerated."""
        scales = self._scales(opponent, group, theirs) if group in ("gradient", "parameter", "optimizer") else {}
        for found in compare(ours, theirs, self.tolerance, scales):
            errors[group] = max(errors[group], found.error)
            key = opponent, f"{group} {found.name}"
            known_wrong = key in self.worst and not self.worst[key].difference.agrees
            if rounding and not known_wrong:  # judging takes several passes
                judged = rounding.judge(found, scales.get(found.name, 0.0))
                if judged is None:
                    self.leave_open(f"step {len(self.steps) + 1:,}")
                    continue
                self.explained += judged.agrees and not found.agrees
                found = judged
            if key not in self.worst or found.used > self.worst[key].difference.used:
                shape = theirs[found.name].shape if found.name in theirs else ()
                self.worst[key] = Finding(opponent, group, found, shape, len(self.steps) + 1)

    def attempt(self, what: str, compute: Callable[[], Any]) -> Any:
        """Return the result of the manual side; if it raises, record that, and return None."""
        try:
            with by_hand(what):
                return compute()
        except Disagreement as found:
            self._end(found)

    def _end(self, found: Disagreement) -> None:
        """Record that the manual side has raised an error, after which nothing can be compared."""
        self.stuck = self.raised = True
        self.failures.append(str(found))

    def _undisturbed(self, side: str, compute: Callable[..., Any], *given: Any) -> Any:
        """Return what a side computes from copies of its arguments, and record it if it changes them."""
        copies = deepcopy(given)
        result = compute(*copies)
        for before, after in zip(given, copies):
            named = (before, after) if isinstance(before, Mapping) else ({"a batch": before}, {"a batch": after})
            for name, array in named[0].items():
                failure = f"{side}: {name} was changed by {compute.__name__}"
                if not np.array_equal(array, named[1][name], equal_nan=True) and failure not in self.failures:
                    self.failures.append(failure)
        return result

    def _drift(self, parameters: Mapping[str, Array]) -> float:
        """Return the distance to the independent autograd side, relative to the largest of all parameters."""
        independent = self.autograd.parameters
        scale = max(np.abs(array).max().item() for array in independent.values())
        found = compare(parameters, independent, self.tolerance, dict.fromkeys(independent, scale))
        return max(one.error for one in found)

    def _scales(self, opponent: str, group: str, references: Mapping[str, Array]) -> dict[str, float]:
        """Return, for each reference, the largest element of its layer of late. Biases belong to the weights' layer."""
        layers = {name: (opponent, group, re.sub(r"(weight|bias)(_[ih]h)?", "", name)) for name in references}
        largest = dict.fromkeys(layers.values(), 0.0)
        for name, layer in layers.items():
            largest[layer] = max(largest[layer], np.abs(references[name]).max().item())
        for layer, value in largest.items():
            self.scales.setdefault(layer, deque(maxlen=SCALE_STEPS)).append(value)
        return {name: max(self.scales[layer]) for name, layer in layers.items()}

    def _note_vanished(self, side: str, gradients: Mapping[str, Array]) -> None:
        """Record gradients that have vanished, once for each tensor."""
        for name, gradient in gradients.items():
            if not isinstance(gradient, np.ndarray) or not np.issubdtype(gradient.dtype, np.inexact):
                continue  # the comparison names it
            if gradient.size and np.abs(gradient).max() < np.finfo(gradient.dtype).tiny:
                failure = f"{side}: the gradient of {name} has vanished"
                if failure not in self.failures:
                    self.failures.append(failure)

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        """Add the time that the block takes to that of this step."""
        start = perf_counter()
        yield
        self.seconds[what][-1] += perf_counter() - start


def _groups(run: Pass) -> dict[str, dict[str, Array]]:
    """Return what is compared of a pass, by group and name."""
    return {"output": {"logits": run.logits}, "loss": {"loss": run.loss}, "gradient": run.gradients}


def _number(loss: object) -> float:
    """Return a loss as a number, NaN if it is none; then the comparison says what it is."""
    value = loss.item() if isinstance(loss, np.ndarray | np.generic) and loss.size == 1 else None
    return value if isinstance(value, float) else np.nan


def _flat_pass(side: Trainer, x: Array, y: Array) -> dict[str, Array]:
    """Run a pass, and return what is compared of it, by name."""
    return {name: array for arrays in _groups(side.run(x, y)).values() for name, array in arrays.items()}


def _shapes_and_dtypes(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: (getattr(array, "shape", None), getattr(array, "dtype", None)) for name, array in arrays.items()}
