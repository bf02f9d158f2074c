"""The correct values of a trial, and their tolerances: how far rounding alone moves the reference.

In double precision an error may be 1e-12 of a value's scale. That scale means nothing where the reference is zero up to
rounding, or ill-conditioned. There an error is measured against how far the reference moves when its inputs and the
results of all its operations are perturbed by one unit in the last place. In lower precision the measure is the
reference's own error in that precision, relative to the reference in double precision.
"""

from functools import partial

import numpy as np
import torch

from compare.agreement import TOLERANCES
from compare.checker.derivations.problem import Answer, Arrays
from compare.checker.perturbation import Perturbation, perturbed
from compare.checker.reference import Reference, check_finite
from compare.checker.trials import Trial
from manual.arrays import Array

#: The number of runs of the reference with every operation perturbed.
PERTURBED_RUNS = 2

#: The permitted error in double precision, as a multiple of how far those perturbations move a value. In lower
#: precision it is that of a value which rounding moves by more than its scale.
MARGIN = 50

#: In lower precision, the error that always passes, in units in the last place of the value's scale.
LEAST_ULPS = 2

#: A value below the first fraction of the typical scale is zero up to rounding; its error may be the second fraction.
NOTHING, NEARLY_NOTHING = 1e-15, 1e-14


class Expected:
    """The correct values of a trial, and how far rounding may move each element.

    Args:
        trial: the problem and its reference.
        dtype: the precision of the derivation.
        k: below double precision, the permitted error as a multiple of the reference's own.
        tolerance: the largest relative error that passes in double precision; the project's default if None.

    Raises:
        ValueError: the reference's values are not finite.
    """

    def __init__(self, trial: Trial, dtype: str, k: float, tolerance: float | None):
        self.trial, self.dtype, self.k = trial, dtype, k
        self.tolerance = TOLERANCES["float64"] if tolerance is None else tolerance
        self.right = trial.reference()
        check_finite(self.right)
        self.noise: Reference | None = None
        values = [_largest(value) for (name, _), value in self.right.record.items() if not name.startswith("d_")]
        values += map(_largest, self.right.answer.outputs.values())
        adjoints = [_largest(value) for (name, _), value in self.right.record.items() if name.startswith("d_")]
        answer = self.right.answer
        adjoints += map(_largest, [*answer.d_inputs.values(), *answer.gradients.values()])
        #: The median scale of values, and of adjoints; 1, that of what is drawn, where all are zero.
        self.typical = [float(np.median([s for s in scales if s > 0] or [1.0])) for scales in (values, adjoints)]
        if dtype != "float64":
            self.measure_noise()

    def measure_noise(self) -> None:
        """Run the reference again with every operation perturbed; in low precision also unperturbed."""
        own = getattr(torch, self.dtype)
        moved = [] if self.dtype == "float64" else [self.trial.reference(dtype=own)]
        for seed in range(PERTURBED_RUNS):
            perturb = partial(perturbed, dtype=self.dtype, rng=np.random.default_rng(seed))
            with Perturbation(seed):
                moved.append(self.trial.reference(dtype=own, perturb=perturb))
        record = {k: _farthest(value, [one.record.get(k) for one in moved]) for k, value in self.right.record.items()}

        def farthest(part: str) -> Arrays:
            return {
                name: _farthest(value, [getattr(one.answer, part).get(name) for one in moved])
                for name, value in getattr(self.right.answer, part).items()
            }

        self.noise = Reference(record, Answer(farthest("outputs"), farthest("d_inputs"), farthest("gradients")))

    def limits(self, values: list[Array], noise: list[Array], backward: bool) -> tuple[Array, Array]:
        """Return the scale of each value and the largest error that passes, relative to it.

        Args:
            values: the correct values, one per step.
            noise: how far rounding moves them; empty if not measured.
            backward: whether they are adjoints.
        """
        scales = np.array([_largest(value) for value in values])
        if any(value.dtype.kind != "f" for value in values):  # whole numbers
            return np.maximum(scales, 1.0), np.zeros(len(values))
        moved = np.array([_largest(array) for array in noise]) if noise else np.zeros(len(values))
        typical, tiny = self.typical[backward], np.finfo(float).tiny
        if self.dtype == "float64":
            allowed = np.maximum(self.tolerance * scales, MARGIN * moved)
            allowed = np.where(scales < NOTHING * typical, np.maximum(allowed, NEARLY_NOTHING * typical), allowed)
            return np.maximum(allowed, tiny) / self.tolerance, np.full(len(values), self.tolerance)
        eps = _eps(self.dtype)
        drowned = moved >= scales  # zero up to rounding: autograd's error there is one noise, the derivation's another
        share = max([LEAST_ULPS * eps, *(moved[~drowned] / scales[~drowned])])
        least = eps * eps * typical
        allowed = self.k * np.maximum(share * scales, least)
        allowed = np.where(drowned, np.maximum(allowed, MARGIN * moved), allowed)
        scales = np.where(scales > least, scales, max(typical, tiny))
        return scales, np.maximum(allowed, tiny) / scales


def _eps(dtype: str) -> float:
    return float(torch.finfo(getattr(torch, dtype)).eps)


def _largest(array: Array) -> float:
    """Return the largest magnitude among the finite elements."""
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return float(np.abs(finite).max()) if finite.size else 0.0


def _farthest(value: Array, others: list[Array | None]) -> Array:
    """Return the largest distance of the others from the value, by element."""
    same = [other for other in others if other is not None and other.shape == value.shape]
    if not same or value.dtype.kind != "f":
        return np.zeros(value.shape)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.max([np.abs(other - value) for other in same], axis=0), nan=0.0, posinf=0.0)
