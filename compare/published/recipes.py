"""The systems of five public write-ups as they should be, each a configuration to train: ``recipes NAME``.

Sizes, start, loss, learning rate, problems and print-outs are the write-ups'; the gradient is the true one. All take
one problem at a time and use plain gradient descent, without momentum.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from compare.bounds import check_at_least
from compare.cells.layout import Layout
from compare.lockstep.settings import Configuration
from compare.published.tasks import (
    IN_PYTHON,
    WITH_SIZE,
    WITHOUT_SUM,
    Addition,
    Generator,
    GradientCheck,
    Regression,
)
from manual.arrays import Array
from manual.engines import is_compiled


@dataclass(frozen=True)
class Start:
    """How weights are drawn."""

    draw: str  #: ``uniform`` in ±``size`` or ``normal`` with standard deviation ``size``
    size: float  #: of the weights
    biases: bool = True  #: whether biases are drawn like the weights or are zero
    forget_bias: float = 0.0  #: the first value of the forget gate's biases, if biases are not drawn
    #: whether the generator is seeded anew for each array of the layer, so that all gates start equal
    equal_gates: bool = False

    def __str__(self) -> str:
        words = f"U(±{self.size:g})" if self.draw == "uniform" else f"N(0, {self.size:.3g})"
        words += "" if self.biases else f", b 0{f', b_f {self.forget_bias:g}' if self.forget_bias else ''}"
        return words + (", equal gates" if self.equal_gates else "")

    def array(self, rng: Generator, shape: tuple[int, ...]) -> Array:
        """Draw an array of this distribution."""
        return rng.uniform(-self.size, self.size, shape) if self.draw == "uniform" else rng.normal(0, self.size, shape)


@dataclass(frozen=True)
class Recipe(Configuration):
    """A system to train."""

    name: str  #: what the command line calls it
    source: str  #: title and author of the write-up
    wanted: str  #: what its author wanted of it, in a few words
    cell: str  #: ``lstm``, ``gru`` or ``rnn``
    hidden_size: int  #: H
    layout: Layout  #: the write-up's own layout of weights, in which the start is drawn
    start: Start  #: how the weights are drawn
    task: Addition | Regression | GradientCheck  #: what to train on
    loss: str  #: a name in ``losses.py``
    loss_scale: float  #: the ratio of the write-up's loss to that one, which is a mean
    learning_rate: float  #: for the write-up's loss
    steps: int  #: the number of problems
    options: dict[str, str | bool] = field(default_factory=dict)  #: of the layer, besides its sizes
    readout: bool = True  #: whether a sigmoid unit without a bias reads h; otherwise the loss is on h itself
    #: whether weights and then problems come from NumPy's old generator, as in the write-up; the readout's weights are
    #: then drawn second, as there
    old_generator: bool = False
    seed: int = 0  #: of weights and problems
    dtype: str = "float64"  #: of all arrays
    engine: str = "numpy"  #: what runs the hand-derived layer, ``numpy`` or ``compiled``
    gradient: tuple[str, ...] = ()  #: the names of the departures from the true gradient
    has_page: ClassVar[bool] = False  # its weights are a write-up's

    def __post_init__(self) -> None:
        check_at_least(self, steps=1, seed=0, hidden_size=1)
        if not 0 <= self.learning_rate < np.inf:
            raise ValueError(f"learning_rate: expected a finite number of at least 0, got {self.learning_rate}")
        is_compiled(self.engine, np.dtype(self.dtype))

    @property
    def error(self) -> str:
        """What the author's error curve is of."""
        return self.task.error

    @property
    def title(self) -> str:
        """The title of a figure."""
        gradient = f", {len(self.gradient)} departures" if self.gradient else ""
        return f"{self.name}: {self.cell.upper()}, {self.hidden_size} units, {self.dtype}{gradient}"

    def with_units(self, units: int) -> "Recipe":
        """Return the same recipe with so many units; where h is the output, the targets are of that size."""
        if isinstance(self.task, Addition):
            return replace(self, hidden_size=units)
        scale = units / 2 if self.loss == "squares" else self.loss_scale  # (W3): half the squares, summed over units
        return replace(self, hidden_size=units, task=replace(self.task, units=units), loss_scale=scale)

    def with_bits(self, bits: int) -> "Recipe":
        """Return the same recipe on sums of so many bits; a ValueError if it adds none."""
        if not isinstance(self.task, Addition):
            raise ValueError(f"bits: expected a recipe that adds, got {self.name}")
        scale = self.loss_scale * bits / self.task.bits  # (W1), (W2): summed over the bits
        return replace(self, task=self.task.with_bits(bits), loss_scale=scale)

    def generators(self) -> tuple[Generator, Generator]:
        """Return the generators of the weights and of the problems; one for both if it is the old one."""
        if self.old_generator:
            old = np.random.RandomState(self.seed)
            return old, old
        weights, problems = np.random.default_rng(self.seed).spawn(2)
        return weights, problems

    def draw(self, rng: Generator) -> tuple[dict[str, Array], Array]:
        """Draw the start: the layer's weights, in PyTorch's layout, and the readout's (1, H)."""
        H = self.hidden_size
        shapes = {n: a.shape for n, a in self.layout.draw(self.task.inputs, H, np.random.default_rng(0)).items()}
        own: dict[str, Array] = {}
        readout = np.zeros((1, 0))
        for name, shape in shapes.items():
            if "bias" in name and not self.start.biases:
                own[name] = np.full(shape, self.start.forget_bias if name.endswith("_f") else 0.0)
            elif self.start.equal_gates:
                own[name] = self.start.array(np.random.RandomState(self.seed), shape)
            else:
                own[name] = self.start.array(rng, shape)
            if self.old_generator and not readout.size:
                readout = self.start.array(rng, (1, H))
        if not readout.size:
            readout = self.start.array(rng, (1, H))
        return self.layout.parameters(own), readout


_SUMS = "sums right to the last bit"
_LSTM = Recipe(
    name="no-bias-lstm",
    source="RNN及LSTM的matlab实现",
    wanted=_SUMS,
    cell="lstm",
    hidden_size=32,
    layout=Layout("i f o g", stacked=False, columns=True, biases=0),
    start=Start("uniform", 1.0),
    task=Addition(print_out=WITHOUT_SUM),
    loss="bce",
    loss_scale=8.0,  # (W1): summed over 8 bits
    learning_rate=0.1,
    steps=99_999,
)
_RNN = replace(
    _LSTM,
    name="matlab-rnn",
    cell="rnn",
    hidden_size=16,
    layout=Layout("h", stacked=False, columns=True, biases=0),
    task=Addition(first=1, print_out=WITH_SIZE),
    loss="mse",
    loss_scale=4.0,  # (W2): half the squares, summed over 8 bits
    steps=20_000,
    options={"nonlinearity": "sigmoid"},
)
_CONCATENATED = replace(
    _LSTM,
    name="concatenated-lstm",
    source="a reading of LstmParam, without title or author",
    wanted=f"no task in the text; here {_SUMS}",
    layout=Layout("g i f o", stacked=False, joined="xh", biases=1),
    start=Start("uniform", 0.1),
    learning_rate=1.0,
    task=Addition(),
    steps=10_000,
)
_CLASS = Recipe(
    name="lstm-class",
    source="LSTM神经网络 - MATLAB实现",
    wanted="a loss that falls",
    cell="lstm",
    hidden_size=20,
    layout=Layout("f i g o", stacked=False, biases=1),
    start=Start("normal", float(np.sqrt(2 / 30)), biases=False, forget_bias=1.0),
    task=Regression(),
    loss="squares",
    loss_scale=10.0,  # (W3): half the squares, summed over 20 units
    learning_rate=0.01,
    steps=50_000,
    readout=False,
)
_LAYER = Recipe(
    name="lstm-layer",
    source="零基础入门深度学习(6), hanbingtao",
    wanted="a gradient that passes its check",
    cell="lstm",
    hidden_size=2,
    layout=Layout("f i o g", stacked=False, biases=1),
    start=Start("uniform", 1e-4, biases=False),
    task=GradientCheck(),
    loss="last",
    loss_scale=1.0,
    learning_rate=1e-3,
    steps=1,
    readout=False,
)

#: All recipes, by name.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        replace(
            _LSTM,
            name="scalar-bias-lstm",
            source="LSTM简单例子(MATLAB code)",
            layout=replace(_LSTM.layout, biases="scalar"),
            task=Addition(),
        ),
        _LSTM,
        _RNN,
        replace(
            _RNN,
            name="trask-rnn",
            source="Anyone Can Learn To Code an LSTM-RNN in Python, Andrew Trask",
            task=Addition(least=0, largest_a=127, first=1, print_out=IN_PYTHON),
            steps=10_000,
            old_generator=True,
        ),
        _CONCATENATED,
        replace(_CONCATENATED, name="concatenated-lstm-equal", start=Start("uniform", 0.1, equal_gates=True)),
        _CLASS,
        replace(
            _CLASS,
            name="lstm-class-one-target",
            source=f"{_CLASS.source}, with one W for all targets",
            task=Regression(one_target=True),
        ),
        _LAYER,
        replace(
            _LSTM,
            name="gru-layer",
            source=f"{_LAYER.source}, the GRU left to the reader",
            wanted=f"no task in the text; here {_SUMS}",
            cell="gru",
            task=Addition(),
            # Its update gate is 1 - PyTorch's, σ(-z) for σ(z), which makes no difference to a symmetric start.
            layout=Layout("z r n", stacked=False, joined="hx", biases=0),
            steps=10_000,
            options={"reset_after": False},
        ),
    )
}
