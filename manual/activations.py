"""The activations, and their derivatives in terms of their outputs.

The derivatives take the activation's output, since that is what a backward pass has. Results are new arrays, or are
written to ``out``, which may be an argument. Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable

import numpy as np
from numpy import multiply, subtract

from manual.arrays import Array


def sigmoid(z: Array, out: Array | None = None) -> Array:
    """Return σ(z) = 1 / (1 + e^-z) elementwise, for z of any shape, with full relative precision also near 0.

    Far below 0 the exponential overflows to infinity, and the result is 0. A complex infinity has no inverse, so for
    complex z the exponential is of ±z, whichever is smaller.
    """
    if np.iscomplexobj(z):
        below = z.real < 0
        e = np.exp(np.where(below, z, -z))
        return np.divide(np.where(below, e, 1), 1 + e, out)
    with np.errstate(over="ignore"):
        return np.divide(1, 1 + np.exp(-z), out)  # (A1)


def sigmoid_derivative(s: Array, out: Array | None = None) -> Array:
    """Return dσ/dz = s (1 - s) elementwise, from ``s`` = σ(z) of any shape."""
    return multiply(s, 1 - s, out)  # (A2)


def tanh_derivative(a: Array, out: Array | None = None) -> Array:
    """Return dtanh/dz = 1 - a² elementwise, from ``a`` = tanh(z) of any shape."""
    return subtract(1, multiply(a, a, out), out)  # (A3)


def relu(z: Array, out: Array | None = None) -> Array:
    """Return max(z, 0) elementwise, for z of any shape; the real part decides where z is complex."""
    return _put(np.where(z.real > 0, z, 0), out)  # (A4)


def relu_derivative(a: Array, out: Array | None = None) -> Array:
    """Return the derivative of relu elementwise, from ``a`` = relu(z) of any shape: 1 where a > 0, else 0."""
    return _put((a.real > 0).astype(a.dtype), out)  # (A5)


def softmax(z: Array) -> Array:
    """Return e^z / Σ e^z over the last axis, for z of any shape; the largest z is subtracted, so nothing overflows."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)  # (A6)


def softmax_backward(y: Array, d_y: Array) -> Array:
    """Return the gradient of z from ``y`` = softmax(z) and its gradient, of the same shape."""
    return y * (d_y - (d_y * y).sum(axis=-1, keepdims=True))  # (A7)


def _put(array: Array, out: Array | None) -> Array:
    if out is None:
        return array
    np.copyto(out, array)
    return out


#: The activations by name, each with its derivative in terms of its output.
ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "tanh": (np.tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
}
