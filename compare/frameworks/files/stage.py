"""What hands out elements on the way from a model's input to its output, and their labels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compare.cells.layout import Arrays

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stage:
    """What hands out elements: the input, a recurrent layer, or a readout.

    Args:
        title: what errors call it.
        labels: of its elements: (T, B, F) of a layer, (T, B, O) or (B, O) of a readout, any shape of an input.
        source: the stage whose elements it reads; an input reads none.
        form, directions: of a layer, its form and the weights of each direction.
        reverse: whether a layer of one direction runs backwards.
        batch_first: whether the input that a layer reads is (B, T, D).
        cells: of an LSTM, the labels of the final c, (directions, B, H).
        initial: the labels of a layer's initial state, (directions, B, H) each; nothing where it is zero or a caller's.
        readout: the weight (O, F) and the bias (O,) of a readout.
        activation: what a readout ends in.
    """

    title: str
    labels: Labels
    source: "Stage | None" = None
    form: str = ""
    directions: tuple[Arrays, ...] = ()
    reverse: bool = False
    batch_first: bool = False
    cells: Labels = field(default_factory=lambda: np.empty(0, np.int64))
    initial: tuple[Labels, ...] = ()
    readout: Arrays | None = None
    activation: str = "linear"

    @property
    def final(self) -> Labels:
        """The labels of a layer's final h, (directions, B, H)."""
        last = np.split(self.labels[[0 if self.reverse else -1, 0]], len(self.directions), axis=-1)
        return np.stack([last[k][k] for k in range(len(self.directions))])


#: What a framework has for a recurrent layer, its stage, and the labels of its outputs, (T, B, directions * H).
Layer = tuple[Any, Stage, Labels]


class Marked:
    """A value that depends on the input of the model: its labels, or None if something computed it."""

    def __init__(self, labels: Any = None):
        self.labels = labels


def walk(last: Stage) -> list[Stage]:
    """Return the stages from the input to ``last``."""
    stages = [last]
    while stages[0].source:
        stages.insert(0, stages[0].source)
    return stages


def chained(layers: list[Layer], one: Layer) -> list[Layer]:
    """Return the recurrent layers that form one chain with a layer, from the first to the last."""
    chain = [one]
    while before := [layer for layer in layers if layer[1] is chain[0][1].source]:
        chain.insert(0, before[0])
    while len(following := [layer for layer in layers if layer[1].source is chain[-1][1]]) == 1:
        chain.append(following[0])
    return chain
