"""The activations of ``manual/activations.py`` for one number. Equation numbers are those of DERIVATION.md.

The compiler can turn a loop over these into vector operations, which it cannot with calls of the C library: that makes
them four to ten times as fast. They compute in the dtype of their argument, to within 2 units in the last place.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy import rint

from manual.activations import ACTIVATIONS
from manual.arrays import Array
from manual.compiled.loops import compiled

#: A loop knows an activation by its position in ``ACTIVATIONS``.
TANH, RELU, SIGMOID = (list(ACTIVATIONS).index(name) for name in ("tanh", "relu", "sigmoid"))

#: Constants in float32 leave a result in the dtype of the variable that they meet; a plain 1 makes it float64.
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)

#: Twice the argument from which on a tanh is 1 in float64.
SATURATED = np.float32(40)


def _exponential(real: Any, whole: Any, ln_2: tuple[float, float], degree: int) -> Callable[[Any], tuple[Any, Any]]:
    """Return the function of a real x that returns 2^n and e^r - 1, with e^x = 2^n + 2^n (e^r - 1).

    Here x = n ln 2 + r with n whole and r small (Cody and Waite, Software Manual for the Elementary Functions), and
    e^r - 1 is its Taylor polynomial.

    Args:
        real: the dtype of x.
        whole: the integer of as many bits.
        ln_2: ln 2 in two parts; the first times any n is exact.
        degree: of the polynomial. For |r| < 0.35 the rest is below a tenth of a unit in the last place.
    """
    info = np.finfo(real)
    bits, bias = whole(info.nmant), whole(1 - info.minexp)
    first, last = real(info.minexp), real(info.maxexp - 1)
    least, most = real(info.minexp * math.log(2)), real((info.maxexp + 0.5) * math.log(2))
    high, low, log2_e, zero = real(ln_2[0]), real(ln_2[1]), real(1 / math.log(2)), real(0)
    taylor = tuple(real(1 / math.factorial(k)) for k in range(degree, 1, -1))

    @compiled
    def exponential(x: Any) -> tuple[Any, Any]:
        x = min(max(x, least), most)  # beyond, e^x is 0 or infinite
        n = max(first, min(last, rint(x * log2_e)))  # the last if x is NaN, which r then is
        r = (x - n * high) - n * low
        total = zero
        for coefficient in taylor:
            total = total * r + coefficient
        two_to_n = whole((whole(n) + bias) << bits).view(real)  # a number with this exponent
        return two_to_n, total * r * r + r

    return exponential


_IN_FLOAT32 = _exponential(np.float32, np.int32, (355 / 512, math.log(2) - 355 / 512), degree=7)
_IN_FLOAT64 = _exponential(
    np.float64, np.int64, (float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")), degree=13
)


def exponential(x: Any) -> tuple[Any, Any]:
    """Return 2^n and e^r - 1, with e^x = 2^n + 2^n (e^r - 1), for a float32 or float64."""
    return (_IN_FLOAT32 if isinstance(x, np.float32) else _IN_FLOAT64)(x)


@overload(exponential)  # type: ignore[untyped-decorator]
def _chosen_by_the_compiler(x: Any) -> Callable[[Any], Any]:
    chosen = _IN_FLOAT32 if x == types.float32 else _IN_FLOAT64

    def compute(x: Any) -> tuple[Any, Any]:
        return chosen(x)

    return compute


@compiled
def sigmoid(z: float) -> float:
    """Return σ(z) = 1 / (1 + e^-z)."""
    two_to_n, rest = exponential(-z)
    return ONE / (ONE + (two_to_n * rest + two_to_n))  # (A1)


@compiled
def tanh(z: float) -> float:
    """Return the hyperbolic tangent of z, with full relative precision also near 0."""
    two_to_n, rest = exponential(min(TWO * abs(z), SATURATED))
    e = two_to_n * rest + (two_to_n - ONE)  # e^2|z| - 1
    return math.copysign(e / (TWO + e), z)  # tanh(z) = (e^2z - 1) / (e^2z + 1)


@compiled
def activate(kind: int, z: Array, out: Array) -> None:
    """Write the activation of each element of z to ``out``, of the same shape."""
    z, out = z.ravel(), out.ravel()
    if kind == RELU:
        for u in range(len(z)):
            out[u] = z[u] if z[u] > 0 else ZERO  # (A4)
    elif kind == SIGMOID:
        for u in range(len(z)):
            out[u] = sigmoid(z[u])
    else:
        for u in range(len(z)):
            out[u] = tanh(z[u])


@compiled
def differentiate(kind: int, a: Array, out: Array) -> None:
    """Write the activation's derivative in terms of its output a to ``out``, of the same shape."""
    a, out = a.ravel(), out.ravel()
    for u in range(len(a)):
        if kind == RELU:
            out[u] = ONE if a[u] > 0 else ZERO  # (A5)
        elif kind == SIGMOID:
            out[u] = a[u] * (ONE - a[u])  # (A2)
        else:
            out[u] = ONE - a[u] * a[u]  # (A3)
