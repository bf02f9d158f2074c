"""The parameters of an LSTM in Python, from an untitled reading of somebody's code that names no author.

One matrix for each gate, acting on x and h side by side, U(-0.1, 0.1), and ``apply_diff``, which descends by lr times
the gradient and clears it. The text has no forward and no backward pass, hence no departure in one: ``apply_diff`` is
plain gradient descent.

What is wrong all the same:

1. ``rand_arr`` seeds the global generator on each call. So the four matrices are equal, the four biases are equal, each
   bias repeats the first numbers of the matrices, and any other user of NumPy's generator starts over, too.
2. The text has σ(x) = 1 / (1 + e^x), which is σ(-x): a sign error. Its code has σ right.
3. The text writes the derivatives of sigmoid and tanh as x (1 - x) and 1 - x² of the argument, where the code means the
   output. Taking the text at its word gives the tanh' at c of two of the other programs.
"""

import numpy as np

from manual.arrays import Array


def rand_arr(low: float, high: float, *shape: int) -> Array:
    """Return uniform numbers of a shape, as published: the same numbers on each call."""
    return np.random.RandomState(0).rand(*shape) * (high - low) + low


def published_start(D: int, H: int) -> dict[str, Array]:
    """Return the published start: weights (H, D + H) on [x, h] and biases (H,), by gate."""
    return {f"weight_{gate}": rand_arr(-0.1, 0.1, H, D + H) for gate in "gifo"} | {
        f"bias_{gate}": rand_arr(-0.1, 0.1, H) for gate in "gifo"
    }


def apply_diff(parameters: dict[str, Array], gradients: dict[str, Array], lr: float = 1.0) -> None:
    """Descend, then clear the gradients. Both arguments are overwritten, as published."""
    for name, parameter in parameters.items():
        parameter -= lr * gradients[name]
        gradients[name] = np.zeros_like(parameter)
