"""Score the checker: inject every fault of the catalogue into the source, and see whether it is caught and named."""

from dataclasses import dataclass

import numpy as np
import torch

import manual
import torch_impl
from catalogue import EquationFault, FastFault
from catalogue.broken import broken
from compare.cells import CELLS
from compare.cells.check import D, H, check_layer
from compare.checker.report.report import Report


@dataclass(frozen=True)
class Scored:
    """The result of checking a layer with one injected fault.

    Args:
        injected: the fault.
        caught: whether anything differs as the code runs.
        named: whether the names found wrong are exactly those in the catalogue.
        found: the names found wrong.
    """

    injected: EquationFault | FastFault
    caught: bool
    named: bool
    found: tuple[str, ...]


def score(injected: EquationFault | FastFault) -> Scored:
    """Inject a fault into the source and check the resulting layer.

    Raises:
        ValueError: the text that the fault replaces does not occur exactly once.
    """
    kind = CELLS[injected.cell]
    twin = kind.of(torch_impl)(D, H, dtype=torch.float64, **injected.options)
    with broken(injected):
        rng = np.random.default_rng(0)
        if isinstance(injected, FastFault):
            layer = kind.of(manual)(D, H, **injected.options, rng=rng, engine=injected.engine)
            return _score_fast(injected, check_layer(layer, twin))
        layer = kind.of(manual)(D, H, **injected.options, rng=rng)
        lengths = list(injected.lengths) if injected.lengths else None
        return _score_equations(injected, check_layer(layer, twin, lengths), layer.kernel.gates)


def _score_fast(injected: FastFault, report: Report) -> Scored:
    """Score a fault of a fast kernel by the tensors that differ from those of the equations, which are right."""
    found = tuple(name.removesuffix("_l0") for name in report.fast_faults)
    named = set(found) == set(injected.wrong) and all(one.agrees for one in report.as_run)
    return Scored(injected, caught=bool(found), named=named, found=found)


def _score_equations(injected: EquationFault, report: Report, gates: tuple[str, ...]) -> Scored:
    """Score a fault of the equations by the equations named, the steps and rows."""
    found, faults = _names(report, gates), [fault for fault in report.faults if fault.steps]
    where = all(fault.steps == injected.steps for fault in faults) or not injected.steps
    where &= all(fault.rows == injected.rows for fault in faults) or not injected.rows
    return Scored(
        injected,
        caught=not all(one.agrees for one in report.as_run),
        named=set(found) == set(injected.wrong) and where,
        found=found,
    )


def _names(report: Report, gates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names found wrong; a parameter is named with its wrong gates unless all are wrong."""
    by_name: dict[str, list[str]] = {}
    for fault in report.faults:
        by_name.setdefault(fault.name.removesuffix("_l0"), []).append("" if fault.steps else fault.gate)
    return tuple(
        name if not all(wrong) or len(wrong) == len(gates) else f"{name}[{' '.join(wrong)}]"
        for name, wrong in by_name.items()
    )
