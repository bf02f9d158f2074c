"""How far rounding alone moves what an autograd side computes.

Where gates are saturated or a long product of derivatives grows, a last digit of a parameter moves the results by far
more than a last digit. The measure is autograd's own: its results after every parameter has been moved by one unit of
rounding, up or down at random.

Where that is more than half of the digits that are compared, an error within it neither speaks for a derivation nor
against it: the step cannot be judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from compare.agreement import Difference, difference
from compare.lockstep.trainers import Trainer
from manual.arrays import Array

#: How many times the movement by one unit of rounding a difference may be. A pass rounds many times.
FACTOR = 32

#: The same for the drift of whole runs. It is measured in a single run, and chaotic ones differ by two orders.
DRIFT_FACTOR = FACTOR**2

#: How many random movements are tried.
DRAWS = 3


def jitter(trainer: Trainer, rng: np.random.Generator) -> None:
    """Move every parameter by one unit of rounding, up or down at random."""
    trainer.load(
        {
            name: array * (1 + np.finfo(array.dtype).eps * rng.choice([-1, 1], array.shape).astype(array.dtype))
            for name, array in trainer.parameters.items()
        }
    )


def most_explained(tolerance: float) -> float:
    """Return the largest relative error that rounding may excuse: half of the digits that the tolerance asks for."""
    return float(np.sqrt(tolerance))


class Rounding:
    """The movements of what one side computes from its present parameters, measured when they are first asked for.

    Args:
        trainer: the side; its parameters are restored.
        compute: computes the arrays by name.
    """

    def __init__(self, trainer: Trainer, compute: Callable[[], Mapping[str, Array]]):
        self.trainer, self.compute = trainer, compute

    def judge(self, found: Difference, scale: float = 0.0) -> Difference | None:
        """Return a difference with a tolerance raised to what rounding explains, or None if it cannot be judged.

        ``scale`` is that of its error, where it is larger than the reference's.
        """
        if found.agrees or found.problem:
            return found
        explained = self.explains(found.name, scale)
        if found.error <= explained and explained > most_explained(found.tolerance):
            return None
        return replace(found, tolerance=max(found.tolerance, explained))

    def explains(self, name: str, scale: float) -> float:
        """Return the relative error that rounding explains in an array, 0 if it cannot be measured."""
        reference, *moved = self._results
        if name not in reference:
            return 0.0
        worst = max(difference(name, other[name], reference[name], 0.0, scale).error for other in moved)
        return FACTOR * worst if np.isfinite(worst) else 0.0

    @cached_property
    def _results(self) -> list[dict[str, Any]]:
        start = {name: array.copy() for name, array in self.trainer.parameters.items()}
        rng = np.random.default_rng(0)
        results = [dict(self.compute())]
        for _ in range(DRAWS):
            jitter(self.trainer, rng)
            results.append(dict(self.compute()))
            self.trainer.load(start)
        return results
