"""Whether the error of an element is rounding: judged for each by itself, never by what another may be off by.

The measure is how far the reference moves when its arguments and the results of all its operations are perturbed by one
unit in the last place, up and down, and by ``WIDER`` units. Rounding moves a value in proportion. What moves by as much
at one unit as at several lies on a branch, such as a tie: rounding decides which side it takes. There the right
values are those that the runs took.

In double precision an error of 1e-12 of the array's scale passes as well, below that twice the error of autograd itself
in the same precision. But what is much of an element's own value is rounding only if it is that element's, however
small the element is beside others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compare.checker.expected.digits import eps
from manual.arrays import Array

#: By how many units in the last place the wider perturbations move each result.
WIDER = 8

#: What moves so many times as far there as at one unit moves in proportion.
PROPORTIONAL = 3, 24

#: The permitted error in double precision, as a multiple of how far the perturbations move an element. In lower
#: precision it is that of an array which rounding moves by more than its scale.
MARGIN = 50

#: In lower precision, the error that always passes, in units in the last place of the array's scale.
LEAST_ULPS = 2

#: An array below the first fraction of the typical scale is zero up to rounding; its error may be the second fraction.
NOTHING, NEARLY_NOTHING = 1e-15, 1e-13

#: An element that may be off by more than this share of the scale is not judged. If more than the second share of a
#: quantity is not judged, the quantity is not.
COARSE, UNJUDGED = 0.01, 0.25

#: An error of more than this share of an element's own value is judged by the noise of that element alone.
OWN = 0.01

#: So many standard errors the slope of an error on the right value may differ from zero by chance; it takes so many
#: elements to know.
SIGMAS, FEWEST = 6, 4

#: So many elements fit into the cache of a processor.
PIECE = 1 << 15


class Runs(NamedTuple):
    """One array in further runs of the reference: in the derivation's precision, and perturbed by one and more units.

    ``own`` is None in double precision. ``near`` and ``wide`` are empty before they are measured.
    """

    own: Array | None
    near: list[Array]
    wide: list[Array]


@dataclass(frozen=True)
class Rule:
    """What errors are judged by: the precision, and what passes in it.

    Args:
        dtype: the precision.
        k: below double precision, the permitted error as a multiple of autograd's own.
        tolerance: the largest relative error that always passes in double precision.
        typical: the scale of the other quantities of the same kind.
        tied: whether elements on a branch may have values that no run shows, since many branches meet.
        own: whether an error that is much of a small element is judged by the noise of that element.
    """

    dtype: str
    k: float
    tolerance: float
    typical: float
    tied: bool = False
    own: bool = True

    @property
    def eps(self) -> float:
        """The distance of 1 from the next larger number."""
        return eps(self.dtype)


@dataclass(frozen=True)
class Judged:
    """The judgement of a quantity, given as one array for each step.

    Args:
        scales: what the errors of each array are relative to.
        allowed: the largest error of each element that passes; broadcasts to the array.
        errors: the error of the worst element of each array, relative to the scale.
        limits: what passes for that element, relative to the scale.
        own: the elements whose error is much of their own value, and which are judged by their own noise.
        less_accurate: the largest error as a multiple of what passes, if it is right but less accurate than that.
        aside: how many elements took another side of a branch than the reference, or cannot be judged.
        unjudged: whether rounding moves too many elements too far to judge them.
    """

    scales: Array
    allowed: tuple[Array, ...]
    errors: Array
    limits: Array
    own: tuple[Array, ...] = ()
    less_accurate: float = 0.0
    aside: int = 0
    unjudged: bool = False

    @property
    def agrees(self) -> bool:
        """Whether every element is within its limit."""
        return bool((self.errors <= self.limits).all())


def judge(actual: list[Array], right: list[Array], runs: list[Runs], rule: Rule, proven: bool = False) -> Judged:
    """Judge a quantity by the rounding of each of its elements.

    Args:
        actual: the derivation's values, one array per step, of the same shapes as the right ones.
        right: the reference's, in double precision.
        runs: the same arrays in further runs of the reference.
        rule: what passes.
        proven: whether the quantity agrees in a higher precision, so that only its accuracy is in question.
    """
    if rule.dtype == "float64" and not any(run.near for run in runs):
        return _judged_at_first(actual, right, rule)
    parts = [_judge(*part, rule) for part in zip(actual, right, runs)]
    far = [distance(a, r) for a, r in zip(actual, right)]
    scales = np.array([part.scale for part in parts])
    allowed = [part.allowed for part in parts]
    less, wrong = 0.0, any((f > a).any() for f, a in zip(far, allowed))
    if rule.dtype != "float64" and not (wrong and any(not run.near for run in runs)):
        systematic = 0.0 if proven else slope(actual, right, [*scales], runs, rule.eps)
        if systematic:
            allowed = [np.minimum(a, abs(systematic) / 2 * s) for a, s in zip(allowed, scales)]
        elif wrong and all((f <= np.sqrt(rule.eps) * scales.max()).all() for f in far):
            less = max(float((f / a).max(initial=0)) for f, a in zip(far, allowed))
            allowed = [np.maximum(a, f) for a, f in zip(allowed, far)]
    aside = sum(int((part.aside | part.unjudged).sum()) for part in parts)
    unjudged = sum(int(part.unjudged.sum()) for part in parts) > UNJUDGED * sum(r.size for r in right)
    far = [np.where(part.aside | part.unjudged, 0.0, f) for part, f in zip(parts, far)]
    own = tuple(part.own for part in parts)
    found = [worst(*part) for part in zip(far, allowed, scales, right, own)]
    scales, errors, limits = np.array(found).reshape(-1, 3).T
    return Judged(scales, tuple(allowed), errors, limits, own, less, aside, unjudged)


def worst(far: Array, allowed: Array, scale: float, right: Array, own: Array) -> tuple[float, float, float]:
    """Return the scale of a part, and relative to it the error of its worst element and what passes for that.

    The scale of an element that is judged by itself is its own value.
    """
    if not far.size:
        return scale, 0.0, 0.0
    at = worst_element(far, allowed)
    error, limit = float(far[at]), float(np.broadcast_to(allowed, far.shape)[at])
    if error > limit and np.broadcast_to(own, far.shape)[at]:
        scale = abs(float(right[at]))
    return scale, error / scale, limit / scale


def worst_element(far: Array, allowed: Array) -> tuple[int, ...]:
    """Return the index of the element that is farthest beyond what is allowed, or farthest where none is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.where(far > allowed, far / allowed, 0.0)
    flat = int(np.argmax(beyond if beyond.any() else far)) if far.size else 0
    return tuple(map(int, np.unravel_index(flat, far.shape))) if far.size else ()


class _Part(NamedTuple):
    """The judgement of one array: its scale, and by element the largest error and by what else it is judged."""

    scale: float
    allowed: Array
    own: Array = np.zeros((), bool)
    aside: Array = np.zeros((), bool)
    unjudged: Array = np.zeros((), bool)


def _judged_at_first(actual: list[Array], right: list[Array], rule: Rule) -> Judged:
    """Judge in double precision before it is measured how far rounding moves each element.

    Until then an error that is much of a small element counts as wrong. Large arrays are judged in pieces.
    """
    bounds = [_bounds(r, rule) for r in right]
    scales, allowed = np.array([(scale, base) for scale, base, _ in bounds]).reshape(-1, 2).T
    errors = [max(_errors(a, r, own), default=0.0) for a, r, (_, _, own) in zip(actual, right, bounds)]
    return Judged(scales, tuple(allowed), errors / scales, allowed / scales, (np.zeros((), bool),) * len(right))


def _errors(actual: Array, right: Array, own: bool) -> Iterator[float]:
    """Yield the largest error of each piece of an array; infinity where one is much of its element."""
    whole = actual.size <= PIECE or not (actual.flags.c_contiguous and right.flags.c_contiguous)
    a, r = (actual, right) if whole else (actual.reshape(-1), right.reshape(-1))
    for piece in [...] if whole else [slice(k, k + PIECE) for k in range(0, a.size, PIECE)]:
        far = distance(a[piece], r[piece])
        largest = float(far.max(initial=0))
        yield np.inf if own and largest and _is_much(far, r[piece], OWN).any() else largest


def _is_much(far: Array, right: Array, share: float) -> Array:
    """Return where an error is much of an element that is not zero."""
    return (far > share * np.abs(right)) & (right != 0)


def _bounds(right: Array, rule: Rule) -> tuple[float, float, bool]:
    """Return the scale of an array, the error that always passes, and whether its elements are judged by themselves."""
    largest = largest_magnitude(right)
    if right.dtype.kind != "f":  # whole numbers
        return max(largest, 1.0), 0.0, False
    tiny = float(np.finfo(float).tiny)
    if largest < NOTHING * rule.typical:
        return max(rule.typical, tiny), NEARLY_NOTHING * rule.typical, False
    share = rule.tolerance if rule.dtype == "float64" else rule.k * LEAST_ULPS * rule.eps
    return max(largest, tiny), max(share * largest, tiny), rule.own


def _judge(actual: Array, right: Array, runs: Runs, rule: Rule) -> _Part:
    scale, base, by_itself = _bounds(right, rule)
    allowed = np.asarray(base)
    if not base:
        return _Part(scale, allowed)
    if runs.own is not None:
        error = _moves([runs.own], right)
        allowed = rule.k * np.maximum(error, _median(error))
        allowed = np.maximum(allowed, max(base, rule.k * rule.eps**2 * rule.typical))
    far = distance(actual, right)
    share = max(OWN, np.sqrt(rule.eps))
    own, much = _is_much(far, right, share) & by_itself, share * np.abs(right)
    if not runs.near:
        return _Part(scale, np.where(own, much, allowed), own)

    near, wide = _moves(runs.near, right), _moves(runs.wide, right)
    noise = np.maximum(near, wide / WIDER)
    smooth = (wide <= allowed) | ((wide >= PROPORTIONAL[0] * near) & (wide <= PROPORTIONAL[1] * near))
    jumps = ~smooth & (wide > MARGIN * WIDER * _median(noise[smooth]))
    usual = _median(noise[~jumps])
    drowns = usual >= largest_magnitude(right)
    least = np.where(jumps, usual, np.maximum(noise, usual))
    allowed = np.maximum(allowed, (MARGIN if rule.dtype == "float64" or drowns else rule.k) * least)
    differs = far > base
    unjudged = differs & ~jumps & (far <= allowed) & (allowed > COARSE * scale) & (not drowns)
    aside = np.zeros(right.shape, bool)
    if jumps.any():
        taken, unclear = _sides(actual, right, [*runs.near, *runs.wide], allowed, np.sqrt(rule.eps) * wide, rule.tied)
        aside, unjudged = jumps & differs & taken, unjudged | (jumps & differs & unclear)
    own &= (far <= allowed) & ~(aside | unjudged)
    allowed = np.where(aside | unjudged, np.maximum(allowed, far), allowed)
    return _Part(scale, np.where(own, np.maximum(much, MARGIN * noise), allowed), own, aside, unjudged)


def _sides(
    actual: Array, right: Array, runs: list[Array], allowed: Array, grain: Array, tied: bool
) -> tuple[Array, Array]:
    """Return where an element has a value that a run of the reference has, and where it may be yet another.

    Several branches that meet in one element make more values than the runs show. Where they show more than two, the
    element may have any value that is not far outside them.
    """
    values = np.array([right, *runs])
    same = np.maximum(allowed, grain)
    taken = (np.abs(values - actual) <= same).any(axis=0)
    low, high = values.min(axis=0), values.max(axis=0)
    several = tied | ((values > low + same) & (values < high - same)).any(axis=0)
    width = high - low
    unclear = ~taken & several & (actual >= low - width) & (actual <= high + width)
    lost = _is_lost(actual, values, same)
    return taken & ~lost, unclear & ~lost


def _is_lost(actual: Array, values: Array, same: Array) -> Array:
    """Return the elements of a row, column or array whose sum is not that which all runs have.

    A gradient that equal values share out, or that goes to one of them, is the same in the sum.
    """
    lost = np.zeros(actual.shape, bool)
    for axis in (None, *range(actual.ndim)):
        axes = tuple(range(actual.ndim)) if axis is None else axis
        most = same.sum(axis=axes, keepdims=True)
        first, *others = (run.sum(axis=axes, keepdims=True) for run in values)
        kept = np.all([distance(other, first) <= most for other in others], axis=0)
        lost |= kept & (distance(actual.sum(axis=axes, keepdims=True), first) > most)
    return lost


def slope(actual: list[Array], right: list[Array], scales: list[float], runs: list[Runs], unit: float) -> float:
    """Return the systematic error of a quantity, as a share of its value; 0 if rounding explains it.

    Rounding errors are as often above as below: their regression on the right values has no slope but by chance.

    Args:
        actual: the derivation's values, one array per step.
        right: the reference's.
        scales: what the errors of each step are relative to.
        runs: each step in further runs of the reference.
        unit: the unit in the last place of 1.
    """

    def errors(arrays: list[Array]) -> Array:
        with np.errstate(all="ignore"):
            return np.concatenate([((a - r) / s).ravel() for a, r, s in zip(arrays, right, scales)])

    x, y = errors([2 * r for r in right]), errors(actual)
    good = np.isfinite(y) & (x != 0) & (np.abs(y) <= np.sqrt(unit))
    if good.sum() < max(FEWEST, len(x) / 2):
        return 0.0
    others = [2 * errors([run.own for run in runs if run.own is not None])] if runs[0].own is not None else []
    others += [errors([run.near[j] for run in runs]) for j in range(len(runs[0].near))]
    others += [errors([run.wide[j] for run in runs]) / WIDER for j in range(len(runs[0].wide))]
    x, y = x[good], y[good]
    square = float(x @ x)
    found = float(x @ y) / square
    spread = float(np.sqrt(((x * (y - found * x)) ** 2).sum())) / square
    chance = max((abs(float(x @ other[good])) / square for other in others), default=0.0)
    few = 1 + 8 / (len(x) - 2)  # the fewer they are, the less is known of the spread
    return found if abs(found) > SIGMAS * few * spread + chance + 2 * unit else 0.0


def distance(actual: Array, right: Array) -> Array:
    """Return the distance by element: 0 where both are the same infinity, infinite where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(np.subtract(actual, right, dtype=float))
    if np.isnan(far.max(initial=0)):  # of infinities, or of what is no number
        far = np.where(actual == right, 0.0, np.where(np.isnan(far), np.inf, far))
    return far


def largest_magnitude(array: Array) -> float:
    """Return the largest magnitude among the finite elements."""
    largest = float(max(array.max(), -array.min())) if array.size and array.dtype.kind == "f" else np.nan
    if np.isfinite(largest):
        return largest
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return float(np.abs(finite).max()) if finite.size else 0.0


def _moves(runs: list[Array], right: Array) -> Array:
    """Return how far the runs move each element at most."""
    with np.errstate(invalid="ignore", over="ignore"):
        farthest = np.max([np.abs(run - right) for run in runs], axis=0)
    return np.nan_to_num(farthest, nan=0.0, posinf=0.0)


def _median(array: Array) -> float:
    return float(np.median(array)) if array.size else 0.0
