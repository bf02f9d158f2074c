"""The activations, and their derivatives in terms of their outputs.

A backward pass has the outputs at hand, not the inputs; that is why the derivatives take them.
Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable

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


def relu(z: Array) -> Array:
    """max(z, 0), elementwise; of a complex z, what has a positive real part. Any shape; a new array."""
    return np.where(z.real > 0, z, 0)  # (A4)


def relu_derivative(a: Array) -> Array:
    """The derivative of relu where ``a`` = relu(z): 1 where a > 0, else 0, also at the kink. Any shape; a new array."""
    return (a.real > 0).astype(a.dtype)  # (A5)


#: Each activation that a layer can be given by name, and its derivative in terms of its output.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (np.tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
}
