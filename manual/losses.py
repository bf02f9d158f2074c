"""Losses on logits, averaged over all elements, each with its gradient directly below it.

z are the logits and y the targets, both (T, B, O). Equation numbers are those of DERIVATION.md.
"""

from collections.abc import Callable

import numpy as np

from manual.activations import sigmoid, sigmoid_derivative
from manual.arrays import Array, check_array


def binary_cross_entropy(z: Array, y: Array) -> Array:
    """Return the mean of -y log σ(z) - (1 - y) log(1 - σ(z)), a scalar, without overflow or cancellation at any z.

    Raises:
        TypeError, ValueError: y is not an array of z's shape and dtype.
    """
    _check_targets(z, y)
    return np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))))  # (E1)


def d_binary_cross_entropy(z: Array, y: Array) -> Array:
    """Return the gradient of ``binary_cross_entropy`` with respect to z, in the shape of z.

    σ(z) - y cancels where the prediction is good; the equal (1 - y) σ(z) - y σ(-z) does not.

    Raises:
        TypeError, ValueError: y is not an array of z's shape and dtype.
    """
    _check_targets(z, y)
    e = np.exp(-np.abs(z))
    larger, smaller = 1 / (1 + e), e / (1 + e)  # σ(|z|) and σ(-|z|)
    positive = z >= 0
    s, s_of_minus_z = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
    return ((1 - y) * s - y * s_of_minus_z) / z.size  # (E2)


def mean_squared_error(z: Array, y: Array) -> Array:
    """Return the mean of (σ(z) - y)², a scalar.

    Raises:
        TypeError, ValueError: y is not an array of z's shape and dtype.
    """
    _check_targets(z, y)
    return np.mean((sigmoid(z) - y) ** 2)  # (E3)


def d_mean_squared_error(z: Array, y: Array) -> Array:
    """Return the gradient of ``mean_squared_error`` with respect to z, in the shape of z.

    Raises:
        TypeError, ValueError: y is not an array of z's shape and dtype.
    """
    _check_targets(z, y)
    s = sigmoid(z)
    return 2 * (s - y) * sigmoid_derivative(s) / z.size  # (E4)


def _check_targets(z: Array, y: object) -> None:
    check_array("y", y, "the logits' shape", z.shape, z.dtype)


#: Each loss and its gradient, by its name on the command line.
LOSSES: dict[str, tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]] = {
    "bce": (binary_cross_entropy, d_binary_cross_entropy),
    "mse": (mean_squared_error, d_mean_squared_error),
}
