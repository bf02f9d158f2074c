"""The correct values of a trial, and how far rounding may move each element of them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from compare.agreement import TOLERANCES
from compare.checker.expected.digits import eps
from compare.checker.expected.perturbation import Perturbation, perturbed
from compare.checker.expected.rounding import WIDER, Rule, Runs, largest_magnitude
from compare.checker.reference import Reference, check_finite
from compare.checker.trials import Trial
from manual.arrays import Array

#: By how many units the operations are perturbed in each run, by seed. With the signs reversed, a branch is taken the
#: other way.
PERTURBED_RUNS = ((0, 1), (0, -1), (0, WIDER), (0, -WIDER), (1, WIDER), (1, -WIDER))

#: What equal values are moved by at least, since a unit in the last place may be lost in a sum.
BREAKS_TIES = 2.0**-42

#: Returns a quantity of a run of the reference, as one array for each step.
Pick = Callable[[Reference], list[Array]]


class Expected:
    """The correct values of a trial, and how far rounding may move each element.

    Args:
        trial: the problem and its reference.
        dtype: the precision of the derivation.
        k: below double precision, the permitted error as a multiple of the reference's own.
        tolerance: the largest relative error that passes in double precision; the project's default if None.
        proven: whether the derivation agrees in double precision, so that only its accuracy is in question.

    Raises:
        ValueError: the reference's values are not finite.
    """

    def __init__(self, trial: Trial, dtype: str, k: float, tolerance: float | None, proven: bool = False):
        self.trial, self.dtype, self.k, self.proven = trial, dtype, k, proven
        self.tolerance = TOLERANCES["float64"] if tolerance is None else tolerance
        given = self.tolerance <= TOLERANCES["float64"] and not trial.gradients_to
        own = given and not proven and not trial.large  # where saturated values are small, and all noise
        if trial.tied:  # these are drawn to show another branch, not another digit
            self.tolerance = max(self.tolerance, float(np.sqrt(eps("float64"))))
        self.right = trial.reference()
        check_finite(self.right)
        record, answer = self.right.record, self.right.answer
        values = [*(a for (name, _), a in record.items() if not name.startswith("d_")), *answer.outputs.values()]
        adjoints = [a for (name, _), a in record.items() if name.startswith("d_")]
        adjoints += [*answer.d_inputs.values(), *answer.gradients.values()]
        tolerances = self.tolerance, max(self.tolerance, trial.gradients_to)
        self._rules = [
            Rule(dtype, k, passes, _typical(arrays), trial.tied, own)
            for passes, arrays in zip(tolerances, (values, adjoints))
        ]
        self._own = None if dtype == "float64" else trial.reference(dtype=getattr(torch, dtype))
        self._perturbed: list[tuple[int, Reference]] = []
        self._lower: dict[str, Expected] = {}

    @property
    def measured(self) -> bool:
        """Whether it is known how far rounding moves each element."""
        return bool(self._perturbed)

    def measure(self) -> None:
        """Run the reference again with every operation perturbed: as slow as several runs."""
        unit = max(eps(self.dtype), BREAKS_TIES if self.trial.tied else 0.0)
        for seed, units in () if self._perturbed else PERTURBED_RUNS:
            size = units * unit
            perturb = partial(perturbed, size=size, rng=np.random.default_rng(seed))
            with Perturbation(seed, size):
                self._perturbed.append((units, self.trial.reference(perturb=perturb)))

    def rule(self, backward: bool) -> Rule:
        """Return what values, or adjoints, are judged by."""
        return self._rules[backward]

    def runs(self, pick: Pick) -> list[Runs]:
        """Return each part of a quantity in all further runs of the reference."""
        right = pick(self.right)
        shapes = [part.shape for part in right]

        def parts(reference: Reference) -> list[Array] | None:
            try:
                found = pick(reference)
            except KeyError:  # it is not reached in this run
                return None
            return found if [part.shape for part in found] == shapes else None

        own = parts(self._own) if self._own else None
        picked = [(abs(units), found) for units, run in self._perturbed if (found := parts(run))]
        return [
            Runs(
                own[k] if own else None,
                [found[k] for units, found in picked if units == 1],
                [found[k] for units, found in picked if units == WIDER],
            )
            for k in range(len(right))
        ]

    def lower(self, dtype: str) -> "Expected":
        """Return what is expected of a quantity that has fewer digits than the others."""
        if dtype not in self._lower:
            lower = object.__new__(Expected)
            lower.__dict__.update(self.__dict__, dtype=dtype, proven=False, _perturbed=[])
            lower._rules = [replace(rule, dtype=dtype) for rule in self._rules]
            lower._own = self.trial.reference(dtype=getattr(torch, dtype))
            lower.measure()
            self._lower[dtype] = lower
        return self._lower[dtype]


def _typical(arrays: list[Array]) -> float:
    """Return the median scale; 1, that of what is drawn, where all are zero."""
    return float(np.median([s for s in map(largest_magnitude, arrays) if s > 0] or [1.0]))
