"""Right derivations, and faults put into their gradients: whether the check tells one from the other."""

from collections.abc import Iterator
from typing import Any

from . import elementwise, recurrences, reductions, selection
from .case import CASES, FAULTS, Case

__all__ = ["CASES", "FAULTS", "Case", "elementwise", "recurrences", "reductions", "selection", "verdict", "wrongs"]


def verdict(report: Any) -> str:
    """Return the verdict of a report in a word or two."""
    if getattr(report, "less_accurate", {}) and report.agrees:
        return "less accurate"
    return str(report.outcome)


def wrongs(case: Case) -> Iterator[tuple[str, str]]:
    """Yield each pair of a gradient and a fault that changes it, unless it is zero up to rounding."""
    found = case.gradients(0)
    largest = max(float(d.abs().max()) for d in found)
    for gradient, d in zip(case.differentiable(), found):
        for name, fault in FAULTS.items():
            scale = float(d.abs().max())
            if scale > 1e-12 * largest and float((fault(d) - d).abs().max()) > 1e-5 * scale:
                yield gradient, name
