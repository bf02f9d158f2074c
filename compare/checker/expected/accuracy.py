"""Tell a right derivation that loses digits from a wrong one: a mistake does not grow as the precision falls."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from compare.checker.compare import Compared
from compare.checker.expected.rounding import NEARLY_NOTHING, distance, eps

#: By how much larger the error in double precision may be than that in single precision suggests.
MARGIN = 50


def rounding_apart(
    compared: list[Compared], largest: float, rerun: Callable[[], list[Compared] | None]
) -> list[Compared]:
    """Pass quantities that are wrong in double precision, but only by rounding, as less accurate.

    Their error is at most half of the digits, and in single precision it is as much larger as the unit in the last
    place is.

    Args:
        compared: the quantities of a run in double precision.
        largest: the largest magnitude of all adjoints.
        rerun: compares the same run in single precision; None if the derivation does not run in it.
    """

    def may_be_rounding(one: Compared) -> bool:
        if one.agrees or one.problem or one.missing:
            return False
        most = max(np.sqrt(eps("float64")) * one.scales.max(), NEARLY_NOTHING * largest)
        return all((distance(a, r) <= np.maximum(most, limit)).all() for a, r, limit in _parts(one))

    doubtful = {one.label for one in compared if may_be_rounding(one)}
    single = {one.label: one for one in (rerun() if doubtful else None) or []}
    return [_less_accurate(one, single.get(one.label)) if one.label in doubtful else one for one in compared]


def _less_accurate(one: Compared, single: Compared | None) -> Compared:
    """Return the quantity as right but less accurate, if its errors are in proportion to those in single precision."""
    if single is None or single.steps != one.steps or single.problem:
        return one
    share = MARGIN * eps("float64") / eps("float32")
    allowed = []
    for (a, r, limit), (a_single, r_single, _) in zip(_parts(one), _parts(single)):
        far, far_single = distance(a, r), distance(a_single, r_single).max(initial=0)
        if ((far > limit) & (far > share * far_single)).any():
            return one
        allowed.append(np.maximum(limit, far))
    with np.errstate(divide="ignore"):
        times = float((one.errors / one.limits).max())
    return replace(one, allowed=tuple(allowed), limits=np.maximum(one.limits, one.errors), less_accurate=times)


def _parts(one: Compared) -> "zip[tuple[np.ndarray, np.ndarray, np.ndarray]]":
    return zip(one.actual, one.right, one.allowed)
