"""The activations, and their derivatives in terms of their outputs.

A backward pass has the outputs at hand, not the inputs; that is why the derivatives take them. Results are new arrays
unless ``out`` says where they are to go, which may be where an argument is.
Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable

import numpy as np
from numpy import multiply, subtract

from manual.arrays import Array


def sigmoid(z: Array, out: Array | None = None) -> Array:
    """σ(z) = 1 / (1 + e^-z), elementwise, written with tanh so that no z overflows. Any shape."""
    return multiply(0.5, 1 + np.tanh(0.5 * z), out)  # (A1)


def sigmoid_derivative(s: Array, out: Array | None = None) -> Array:
    """dσ/dz where ``s`` = σ(z): s (1 - s), elementwise. Any shape."""
    return multiply(s, 1 - s, out)  # (A2)


def tanh_derivative(a: Array, out: Array | None = None) -> Array:
    """Dtanh/dz where ``a`` = tanh(z): 1 - a², elementwise. Any shape."""
    return subtract(1, multiply(a, a, out), out)  # (A3)


def relu(z: Array, out: Array | None = None) -> Array:
    """max(z, 0), elementwise; of a complex z, what has a positive real part. Any shape."""
    return _put(np.where(z.real > 0, z, 0), out)  # (A4)


def relu_derivative(a: Array, out: Array | None = None) -> Array:
    """The derivative of relu where ``a`` = relu(z): 1 where a > 0, else 0, also at the kink. Any shape."""
    return _put((a.real > 0).astype(a.dtype), out)  # (A5)


def _put(array: Array, out: Array | None) -> Array:
    if out is None:
        return array
    np.copyto(out, array)
    return out


#: Each activation that a layer can be given by name, and its derivative in terms of its output.
ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "tanh": (np.tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
}
