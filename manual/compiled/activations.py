"""The activations of ``manual/activations.py`` for one number. Equation numbers are those of DERIVATION.md."""

from numpy import exp, tanh

from manual.activations import ACTIVATIONS
from manual.compiled.loops import compiled

#: A loop knows an activation by its position in ``ACTIVATIONS``.
TANH, RELU, SIGMOID = (list(ACTIVATIONS).index(name) for name in ("tanh", "relu", "sigmoid"))


@compiled
def sigmoid(z: float) -> float:
    """Return σ(z) = 1 / (1 + e^-z), which is 0 where e^-z overflows to infinity."""
    return 1 / (1 + exp(-z))  # (A1)


@compiled
def activation(kind: int, z: float) -> float:
    """Return the activation of z."""
    if kind == RELU:
        return z if z > 0 else 0.0  # (A4)
    if kind == SIGMOID:
        return sigmoid(z)
    return tanh(z)


@compiled
def derivative(kind: int, a: float) -> float:
    """Return the activation's derivative in terms of its output a."""
    if kind == RELU:
        return 1.0 if a > 0 else 0.0  # (A5)
    if kind == SIGMOID:
        return a * (1 - a)  # (A2)
    return 1 - a * a  # (A3)
