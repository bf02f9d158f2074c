"""Tell a right derivation that loses digits from a wrong one: a mistake is no rounding, and does not grow with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from compare.checker.compare import Compared
from compare.checker.expected.digits import eps
from compare.checker.expected.rounding import NEARLY_NOTHING, Runs, distance, largest_magnitude, slope, worst
from manual.arrays import Array

#: By how much larger the error may be than further runs suggest.
MARGIN = 50

#: An error relative to the scale up to which ten times the largest noise of an array counts for all of its elements,
#: unless the error is systematic.
LOST = 1e-10

#: Compares the same run again, in single precision or with perturbed arguments; None if the derivation does not run so.
Rerun = Callable[[], list[Compared] | None]


def own_elements_apart(compared: list[Compared], by_itself: Sequence[Rerun]) -> list[Compared]:
    """Pass the small elements that are off by no more than what the derivation's own operations round.

    Where nothing is known of these, an error that is small beside other elements passes.

    Args:
        compared: the quantities of a run in double precision.
        by_itself: the same run with other rounding of its operations.
    """

    def is_off(one: Compared) -> bool:
        if not any(own.any() for own in one.own):
            return False
        return any((own & (far > most)).any() for own, far, most in zip(one.own, _errors(one), one.allowed))

    runs = cache(partial(_by_label, by_itself))

    def judged(one: Compared) -> Compared:
        noise = _moves(one.actual, one.label, runs())
        known = any(n.any() for n in noise)
        more = [MARGIN * n for n in noise] if known else [*_errors(one)]
        allowed = tuple(np.where(own, np.maximum(most, n), most) for own, most, n in zip(one.own, one.allowed, more))
        scales = map(largest_magnitude, one.right)
        found = [worst(*part) for part in zip(_errors(one), allowed, scales, one.right, one.own)]
        scales, errors, limits = np.array(found).T
        return replace(one, allowed=allowed, scales=scales, errors=errors, limits=limits)

    return [judged(one) if is_off(one) else one for one in compared]


def rounding_apart(
    compared: list[Compared], largest: float, in_single: Rerun, perturbed: Sequence[Rerun]
) -> list[Compared]:
    """Pass quantities that are wrong in double precision, but only by rounding, as less accurate.

    Their error is at most half of the digits. In single precision it is as much larger as the unit in the last place
    is, or in double precision it is another where the arguments differ by a few units.

    Args:
        compared: the quantities of a run in double precision.
        largest: the largest magnitude of all adjoints.
        in_single: the same run in single precision.
        perturbed: the same run on arguments that differ by a few units in the last place.
    """
    runs = cache(partial(_by_label, [in_single, *perturbed]))

    def judged(one: Compared) -> Compared:
        single, *others = runs()
        share = eps("float64") / eps("float32")
        noise = [share * far.max(initial=0) for far in _errors(single[one.label])] if one.label in single else []
        jitter = _moves(one.actual, one.label, others)
        none = [Runs(None, [], [])] * len(one.right)
        systematic = slope(one.actual, one.right, [*one.scales], none, eps("float64"))
        worst = [np.asarray(10 * by.max(initial=0)) for by in jitter]
        few = [np.minimum(by, LOST * scale / MARGIN) for by, scale in zip(worst, one.scales)] if not systematic else []
        found = (_less_accurate(one, by, MARGIN) for by in (noise, jitter, few))
        return next(filter(None, found), one)

    return [judged(one) if _may_be_rounding(one, largest) else one for one in compared]


def own_rounding_apart(compared: list[Compared], most: float, k: float, moved: Sequence[Rerun]) -> list[Compared]:
    """Pass quantities that are wrong only by the rounding of the derivation's own operations as less accurate.

    They move as far, in double precision, where its arguments and all its operations are off by a unit in the last
    place of the precision it is judged in.

    Args:
        compared: the quantities of a run.
        most: the largest error that may pass, relative to the scale of the quantity.
        k: the permitted error as a multiple of that movement.
        moved: the derivation in double precision, as it is and with its operations perturbed.
    """

    def may_be(one: Compared) -> bool:
        return _differs_in_numbers(one) and bool((one.errors <= most).all())

    runs = cache(partial(_by_label, moved))

    def judged(one: Compared) -> Compared:
        exact, *others = runs()
        noise = _moves(exact[one.label].actual, one.label, others) if one.label in exact else []
        return _less_accurate(one, noise, k) or one

    return [judged(one) if may_be(one) else one for one in compared]


def _differs_in_numbers(one: Compared) -> bool:
    return not (one.agrees or one.problem or one.missing)


def _may_be_rounding(one: Compared, largest: float) -> bool:
    if not _differs_in_numbers(one):
        return False
    most = max(np.sqrt(eps("float64")) * one.scales.max(), NEARLY_NOTHING * largest)
    return all((far <= np.maximum(most, allowed)).all() for far, allowed in zip(_errors(one), one.allowed))


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
