"""A gradient check in the form of the LSTM layer's text: numeric and hand-derived, element by element."""

from collections.abc import Iterator

import numpy as np

from compare.lockstep.trainers import ManualTrainer
from manual.arrays import Array

#: How far a parameter is moved to either side. The error of a central difference is about its square.
EPSILON = 1e-5

#: The error of a loss, in units in the last place: of its sums and of what it is computed from.
ULPS = 10

#: A gradient that differs by more than this share of its largest element is wrong.
LIMIT = 1e-6


def numeric(trainer: ManualTrainer, x: Array, y: Array, parameter: Array, epsilon: float = EPSILON) -> Array:
    """Return central differences of the loss, ``(L(w + ε) - L(w - ε)) / 2ε``, by each element of a parameter.

    The parameter is an array of the trainer, or a view of one; it is moved and put back.
    """
    gradient = np.empty_like(parameter)
    for index in np.ndindex(parameter.shape):
        before, losses = parameter[index], []
        for moved in (before + epsilon, before - epsilon):
            parameter[index] = moved
            losses.append(float(trainer.loss(trainer.logits(x), y)))
        parameter[index] = before
        gradient[index] = (losses[0] - losses[1]) / (2 * epsilon)
    return gradient


def printed(name: str, expected: Array, actual: Array) -> list[str]:
    """Return the name of a gradient, and a line for each of its elements: the numeric one, then the hand-derived."""
    return [
        name,
        *(
            f"weights({','.join(map(str, (*index, 0)[:2]))}): expected - actual "
            f"{expected[index]:.4e} - {actual[index]:.4e}"
            for index in np.ndindex(actual.shape)
        ),
    ]


def check(trainer: ManualTrainer, gates: tuple[str, ...], x: Array, y: Array) -> Iterator[tuple[list[str], float]]:
    """Check every gradient that the trainer learns by, gate by gate.

    Yields:
        the lines of a gradient, and its largest difference beyond rounding, relative to its largest element.
    """
    loss, _, gradients = trainer.run(x, y)
    rounding = ULPS * np.finfo(float).eps * abs(float(loss)) / EPSILON
    for name, parameter in trainer.optimizer.parameters.items():
        blocks = gates if name.startswith("recurrent.") else ("",)
        rows = zip(blocks, np.split(parameter, len(blocks)), np.split(gradients[name], len(blocks)))
        for gate, weights, actual in rows:
            expected = numeric(trainer, x, y, weights)
            words = "_".join(filter(None, (name.removeprefix("recurrent.").removesuffix("_l0"), gate)))
            far = max(0.0, np.abs(expected - actual).max() - rounding)
            yield printed(words, expected, actual), float(far / max(np.abs(expected).max(), np.finfo(float).tiny))
