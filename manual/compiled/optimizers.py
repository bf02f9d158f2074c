"""The equations of Adam in ``manual/optimizers.py``, one element after the other."""

from numpy import sqrt

from manual.arrays import Array
from manual.compiled.loops import compiled


@compiled
def adam(
    parameter: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    beta1: float,
    beta2: float,
    step_size: float,
    correction: float,
    eps: float,
) -> None:
    """Update ``parameter``, ``mean`` and ``square`` in place, as ``manual.optimizers.adam`` does."""
    p, g, m, s = parameter.flat, gradient.flat, mean.flat, square.flat
    for n in range(parameter.size):
        m[n] += (1 - beta1) * (g[n] - m[n])  # (U5)
        s[n] = beta2 * s[n] + (1 - beta2) * g[n] * g[n]  # (U6)
        p[n] -= step_size * m[n] / (sqrt(s[n]) / correction + eps)  # (U7)
