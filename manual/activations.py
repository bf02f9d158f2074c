"""The logistic sigmoid, and the derivatives of sigmoid and tanh in terms of their outputs.

A backward pass has the outputs at hand, not the inputs; that is why the derivatives take them.
Equation numbers (A1) to (A3) are those of DERIVATION.md.
"""

import numpy as np

from manual.arrays import Array


def sigmoid(z: Array) -> Array:
    """σ(z) = 1 / (1 + e^-z), elementwise, written with tanh so that no z overflows. Any shape; a new array."""
    return 0.5 * (1 + np.tanh(0.5 * z))  # (A1)


def sigmoid_derivative(s: Array) -> Array:
    """dσ/dz where ``s`` = σ(z): s (1 - s), elementwise. Any shape; a new array."""
    return s * (1 - s)  # (A2)


def tanh_derivative(a: Array) -> Array:
    """Dtanh/dz where ``a`` = tanh(z): 1 - a², elementwise. Any shape; a new array."""
    return 1 - a * a  # (A3)
