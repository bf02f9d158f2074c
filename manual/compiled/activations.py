"""The activations of ``manual/activations.py`` for one number. Equation numbers are those of DERIVATION.md.

The compiler can turn a loop over these into vector operations, which it cannot with calls of the C library: that makes
them four to ten times as fast. They compute in float64, to within 2 units in the last place.
"""

import math

import numpy as np
from numpy import rint

from manual.activations import ACTIVATIONS
from manual.arrays import Array
from manual.compiled.loops import compiled

#: A loop knows an activation by its position in ``ACTIVATIONS``.
TANH, RELU, SIGMOID = (list(ACTIVATIONS).index(name) for name in ("tanh", "relu", "sigmoid"))

#: ln 2 in two parts; the first times a whole number of up to 11 bits is exact.
LN_2_HIGH, LN_2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")

#: The coefficients of the Taylor series of e^r - 1 from r^13 down to r^2. For |r| < 0.35 the rest is below 1e-17 r.
TAYLOR = tuple(1 / math.factorial(k) for k in range(13, 1, -1))


@compiled
def expm1(x: float) -> float:
    """Return e^x - 1.

    It is 2^n (e^r - 1) + (2^n - 1), where x = n ln 2 + r with n whole and r small (Cody and Waite, Software Manual for
    the Elementary Functions).
    """
    x = min(max(x, -708.0), 710.0)  # beyond, the result is -1 or infinite
    n = max(-1022.0, min(1023.0, rint(x * (1 / math.log(2)))))  # 1023 if x is NaN, which r then is
    r = (x - n * LN_2_HIGH) - n * LN_2_LOW
    total = 0.0
    for coefficient in TAYLOR:
        total = total * r + coefficient
    two_to_n = np.int64((np.int64(n) + 1023) << 52).view(np.float64)  # a float64 with this exponent
    return two_to_n * (total * r * r + r) + (two_to_n - 1)


@compiled
def sigmoid(z: float) -> float:
    """Return σ(z) = 1 / (1 + e^-z)."""
    return 1 / (2 + expm1(-z))  # (A1)


@compiled
def tanh(z: float) -> float:
    """Return the hyperbolic tangent of z, with full relative precision also near 0."""
    e = expm1(-2.0 * abs(z))  # tanh(z) = (1 - e^-2z) / (1 + e^-2z)
    return math.copysign(e / (2 + e), z)


@compiled
def activate(kind: int, z: Array) -> None:
    """Replace each element of z (H,) by its activation."""
    if kind == RELU:
        for u in range(len(z)):
            z[u] = z[u] if z[u] > 0 else 0.0  # (A4)
    elif kind == SIGMOID:
        for u in range(len(z)):
            z[u] = sigmoid(z[u])
    else:
        for u in range(len(z)):
            z[u] = tanh(z[u])


@compiled
def derivative(kind: int, a: float) -> float:
    """Return the activation's derivative in terms of its output a."""
    if kind == RELU:
        return 1.0 if a > 0 else 0.0  # (A5)
    if kind == SIGMOID:
        return a * (1 - a)  # (A2)
    return 1 - a * a  # (A3)
