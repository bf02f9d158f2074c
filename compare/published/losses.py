"""The losses of the write-ups, on both sides: those on logits, which sum over the bits, and those on h itself.

Equation numbers are those of ``manual/DERIVATION.md``. A recipe names a loss and the factor by which its write-up's
loss differs from it.
"""

import numpy as np

from compare.lockstep.trainers import Objective, objective
from manual.arrays import Array


def _d_last_h(h: Array, y: Array) -> Array:
    d_h = np.zeros_like(h)
    d_h[-1] = 1  # (W4)
    return d_h


#: On h (T, B, H) and targets y of its shape, by name. The last h has no target.
_ON_H = {
    "squares": Objective(
        lambda h, y: np.mean((h - y) ** 2),  # (W3), but for the factor
        lambda h, y: 2 * (h - y) / h.size,
        lambda h, y: (h - y).square().mean(),
    ),
    "last": Objective(lambda h, y: h[-1].sum(), _d_last_h, lambda h, y: h[-1].sum()),
}


def loss(name: str, scale: float) -> Objective:
    """Return a loss times a factor: ``bce`` or ``mse`` of logits, ``squares`` or ``last``."""
    return (_ON_H[name] if name in _ON_H else objective(name)).times(scale)
