"""The difference between two arrays: its size, relative to the tensor's own scale, and its position.

Whatever cannot be compared is a difference, never a pass: another shape or dtype, a name missing on one side, a value
that is not finite, nothing to compare. Where a side is wrong in a way that leaves nothing to compare, a verdict ends
the command.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from manual.arrays import Array

#: The largest relative error that passes, well above what rounding alone causes in the layers here.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


@dataclass(frozen=True)
class Difference:
    """The difference between an array and its reference.

    ``error`` is max|actual - reference| / scale, where the scale is max|reference| or larger. If a ``problem`` makes
    the comparison impossible, the error is infinite. ``index`` is the position of the worst element, ``actual`` and
    ``reference`` are its two values.
    """

    name: str
    error: float
    tolerance: float
    index: tuple[int, ...] = ()
    actual: float = np.nan
    reference: float = np.nan
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def used(self) -> float:
        """The error as a share of the tolerance: at most 1 means agreement."""
        return self.error / self.tolerance


def difference(name: str, actual: Array, reference: Array, tolerance: float, scale: float = 0.0) -> Difference:
    """Compare an array with its reference, relative to the reference's largest element or to ``scale`` if larger."""
    arrays: tuple[object, object] = actual, reference  # a derivation may return anything
    for array in arrays:
        if not isinstance(array, np.ndarray | np.generic):
            return Difference(name, np.inf, tolerance, problem=f"expected an array, got {type(array).__name__}")
    if actual.shape != reference.shape:
        return Difference(name, np.inf, tolerance, problem=f"shape {actual.shape}, expected {reference.shape}")
    if actual.dtype != reference.dtype:
        return Difference(name, np.inf, tolerance, problem=f"dtype {actual.dtype}, expected {reference.dtype}")
    if not actual.size:
        return Difference(name, np.inf, tolerance, problem="nothing to compare: no elements")
    with np.errstate(invalid="ignore", over="ignore"):  # either result is not finite, and is reported as such
        distance = np.abs(actual - reference)
    worst = int(distance.argmax())  # the first NaN, if there is one
    index = tuple(map(int, np.unravel_index(worst, actual.shape)))
    values = actual[index].item(), reference[index].item()
    largest, scale = distance[index].item(), max(np.abs(reference).max().item(), scale)
    if not (np.isfinite(largest) and np.isfinite(scale)):
        return Difference(name, np.inf, tolerance, index, *values, problem="not finite")
    error = 0.0 if largest == 0 else largest / scale if scale else np.inf
    return Difference(name, error, tolerance, index, *values)


def compare(
    actual: Mapping[str, Array],
    reference: Mapping[str, Array],
    tolerance: float,
    scales: Mapping[str, float] = MappingProxyType({}),
) -> list[Difference]:
    """Compare arrays by name.

    Args:
        actual: the arrays to examine.
        reference: the arrays that are right.
        tolerance: the largest relative error that passes.
        scales: for some names, the scale of the error where it is larger than the reference's.

    Returns:
        A difference for each name in either, with a problem if one side lacks it; at least one, for if there is no
        name at all, that is the problem.
    """
    differences = [
        difference(name, actual[name], reference[name], tolerance, scales.get(name, 0.0))
        if name in actual and name in reference
        else Difference(name, np.inf, tolerance, problem="missing in the reference" if name in actual else "missing")
        for name in [*reference, *(name for name in actual if name not in reference)]
    ]
    return differences or [Difference("", np.inf, tolerance, problem="nothing was compared")]


def position(name: str, index: tuple[int, ...], shape: tuple[int, ...], gates: Sequence[str]) -> str:
    """Describe the element ``index`` of the tensor ``name`` by its gate, unit, time step or row.

    Recurrent weights and biases have a block of H rows for each gate. Any other tensor with three axes is (T, B, …).
    """
    if not index:
        return ""
    leaf = name.rpartition(".")[2]
    if leaf.startswith(("weight_ih", "weight_hh", "bias_ih", "bias_hh")):
        gate, unit = divmod(index[0], shape[0] // len(gates))
        words = [f"gate {gates[gate]}", f"unit {unit}"]
        if len(index) == 2:
            words.append(f"{'input' if leaf.startswith('weight_ih') else 'from unit'} {index[1]}")
        return ", ".join(words)
    axes = ("step", "row", "unit") if len(index) == 3 else ("output", "from unit")
    return ", ".join(f"{axis} {i}" for axis, i in zip(axes, index))


class Disagreement(Exception):  # noqa: N818 - a verdict, no error
    """What is wrong with which side. The command line prints it, and the exit status is that of a disagreement."""


@contextmanager
def by_hand(what: str) -> Iterator[None]:
    """Turn whatever the hand-derived side raises in the block, ``SystemExit`` included, into a verdict about it.

    An interrupt and a lack of memory say nothing about a derivation, and propagate.

    Args:
        what: the hand-derived side does in the block.

    Raises:
        Disagreement: it raised an error.
    """
    try:
        yield
    except (Disagreement, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        words = str(error).encode(errors="backslashreplace").decode()  # no file or terminal takes half a character
        raise Disagreement(f"manual: {what} raised {type(error).__name__}: {words}") from error
