"""What a reader makes of a file, and whether the file's own framework computes the same."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compare.frameworks.network import Network
from manual.arrays import Array

#: How far outputs may differ, relative to the largest: that of single precision, in which most frameworks compute.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Proof:
    """What came out of running both."""

    words: str  #: who computed the same, or why nobody did
    error: float | None = None  #: the largest difference relative to the largest output, if both were run


@dataclass(frozen=True)
class Reading:
    """A network, and what has to be said of how it was read."""

    network: Network
    proof: Proof  #: whether the file's own framework computes the same
    assumed: tuple[str, ...] = ()  #: what the file does not say and the reader took for granted, a phrase each
    left_out: tuple[str, ...] = ()  #: what the file has besides, a phrase each


@dataclass(frozen=True)
class Writing:
    """What has to be said of a file that was written."""

    proof: Proof  #: whether its framework computes the same
    unsaid: tuple[str, ...] = ()  #: what the file does not say, and ``--form`` has to when it is read


def compared(source: str, framework: str, ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Proof:
    """Return the proof that ``manual`` and a framework have the same outputs; a ValueError says where they differ."""
    worst = 0.0
    for name, expected in theirs.items():
        expected, got = np.asarray(expected), ours[name]
        if got.shape != expected.shape:
            raise ValueError(f"{source}: {name}: expected shape {expected.shape}, as {framework}, got {got.shape}")
        scale = np.abs(expected).max(initial=np.finfo(np.float32).tiny)
        error = float(np.abs(got - expected).max(initial=0) / scale)
        if not error <= TOLERANCE:
            raise ValueError(f"{source}: {name}: expected the outputs of {framework}, got others: off by {error:.1e}")
        worst = max(worst, error)
    return Proof(f"{framework} computes the same", worst)
