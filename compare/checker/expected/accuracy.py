"""Tell a right derivation that loses digits from a wrong one: a mistake is no rounding, and does not grow with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from compare.checker.compare import Compared
from compare.checker.expected import Expected
from compare.checker.expected.rounding import COARSE, distance, largest_magnitude, worst
from manual.arrays import Array

#: By how much larger the error may be than further runs suggest.
MARGIN = 50

#: Compares the same run again, with perturbed arguments and operations; None if the derivation does not run so.
Rerun = Callable[[], list[Compared] | None]


def own_rounding_apart(compared: list[Compared], expected: Expected, moved: Sequence[Rerun]) -> list[Compared]:
    """Pass what is wrong only by the rounding of the derivation's own operations.

    In double precision, where its arguments and all its operations are off by a unit in the last place of the precision
    it is judged in, a small element that moves as far as it is off is right, and any other is less accurate. Where
    nothing is known of small elements, an error that is small beside other elements passes.

    Args:
        compared: the quantities of a run.
        expected: what they were compared with.
        moved: the derivation in double precision, as it is and with its operations perturbed.
    """
    runs = cache(partial(_by_label, moved))
    most = np.inf if expected.proven else COARSE  # relative to the scale of the quantity

    def noise(one: Compared) -> list[Array]:
        exact, *others = runs()
        return _moves(exact[one.label].actual, one.label, others) if one.label in exact else []

    def judged(one: Compared) -> Compared:
        if expected.dtype == "float64" and _small_ones_are_off(one):
            one = _small_ones_judged(one, noise(one))
        if _differs_in_numbers(one) and (one.errors <= most).all():
            return _less_accurate(one, noise(one), expected.k) or one
        return one

    return [*map(judged, compared)] if expected.dtype == "float64" or expected.proven else compared


def _small_ones_are_off(one: Compared) -> bool:
    if not any(own.any() for own in one.own):
        return False
    return any((own & (far > most)).any() for own, far, most in zip(one.own, _errors(one), one.allowed))


def _small_ones_judged(one: Compared, noise: list[Array]) -> Compared:
    known = any(n.any() for n in noise)
    more = [MARGIN * n for n in noise] if known else [*_errors(one)]
    allowed = tuple(np.where(own, np.maximum(most, n), most) for own, most, n in zip(one.own, one.allowed, more))
    scales = map(largest_magnitude, one.right)
    found = [worst(*part) for part in zip(_errors(one), allowed, scales, one.right, one.own)]
    scales, errors, limits = np.array(found).T
    return replace(one, allowed=allowed, scales=scales, errors=errors, limits=limits)


def _differs_in_numbers(one: Compared) -> bool:
    return not (one.agrees or one.problem or one.missing)


def _by_label(reruns: Sequence[Rerun]) -> list[dict[str, Compared]]:
    return [{one.label: one for one in rerun() or []} for rerun in reruns]


def _moves(parts: list[Array], label: str, runs: list[dict[str, Compared]]) -> list[Array]:
    """Return how far each part of a quantity moves at most in some runs; nothing if it is in none of them."""
    moves = [[*map(distance, parts, run[label].actual)] for run in runs if label in run]
    return [np.max(by, axis=0) for by in zip(*moves)]


def _less_accurate(one: Compared, noise: list[Array], margin: float) -> Compared | None:
    """Return the quantity as right but less accurate, if the noise of each part explains its errors."""
    if len(noise) != len(one.actual):
        return None
    allowed = [
        np.where(own, most, np.maximum(most, margin * np.maximum(n, np.median(n))))
        for own, most, n in zip(one.own, one.allowed, noise)
    ]
    if any((far > most).any() for far, most in zip(_errors(one), allowed)):
        return None
    with np.errstate(divide="ignore"):
        times = float((one.errors / one.limits).max())
    return replace(one, allowed=tuple(allowed), limits=np.maximum(one.limits, one.errors), less_accurate=times)


def _errors(one: Compared) -> Iterator[Array]:
    return map(distance, one.actual, one.right)
