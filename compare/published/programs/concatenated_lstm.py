"""The parameters of an LSTM in Python, out of an untitled reading of somebody's code; its text names no author.

One matrix for each gate, acting on x and h side by side, U(-0.1, 0.1), and ``apply_diff``, which descends by lr times
the gradient and clears it. There is no forward and no backward pass in the text, hence no departure in one:
``apply_diff`` is plain gradient descent.

What is not as it should be: ``rand_arr`` seeds the global generator anew on each call. So the four matrices are equal,
the four biases are equal, each bias is the beginning of the matrix's numbers, and whoever else draws from NumPy starts
over, too. And the text writes the derivatives of sigmoid and tanh as x (1 - x) and 1 - x² of the argument, where the
code means the output: the root of the tanh' taken at c in two of the other programs.
"""

import numpy as np

from manual.arrays import Array


def rand_arr(low: float, high: float, *shape: int) -> Array:
    """Uniform numbers of a shape, as published: the same ones on each call."""
    return np.random.RandomState(0).rand(*shape) * (high - low) + low


def published_start(D: int, H: int) -> dict[str, Array]:
    """The published start: weights (H, D + H) on [x, h] and biases (H,), by gate."""
    return {f"weight_{gate}": rand_arr(-0.1, 0.1, H, D + H) for gate in "gifo"} | {
        f"bias_{gate}": rand_arr(-0.1, 0.1, H) for gate in "gifo"
    }


def apply_diff(parameters: dict[str, Array], gradients: dict[str, Array], lr: float = 1.0) -> None:
    """Descend, then clear the gradients. Both are written into, as published."""
    for name, parameter in parameters.items():
        parameter -= lr * gradients[name]
        gradients[name] = np.zeros_like(parameter)
