"""The settings of a run, apart from everything that carries it out."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from compare.bounds import check_at_least, check_at_most
from compare.cells import CELLS
from manual import LOSSES
from manual.engines import ENGINES, is_compiled

#: What the manual side can be compared with, and the modules that each needs besides the project's own.
OPPONENTS: dict[str, tuple[str, ...]] = {"torch": (), "jax": ("jax", "optax"), "keras": ("keras",)}

#: The values of the settings that are words.
CHOICES: dict[str, Collection[str]] = {
    "cell": CELLS.keys(),
    "optimizer": ("adam", "sgd"),
    "loss": tuple(LOSSES),
    "dtype": ("float64", "float32"),
    "against": tuple(OPPONENTS),
    "device": ("cpu", "cuda"),
    "engine": ENGINES,
}

#: The largest number of weights. A run has about 25 copies of them: five sides, their gradients and their optimisers.
MOST_WEIGHTS = 10**8


class Configuration:
    """What a finished run needs to know of how it was set up: by ``Settings``, or by a recipe; both are dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    cell: str  #: a key of ``CELLS``
    dtype: str  #: of all arrays
    seed: int  #: of the weights and the training data
    steps: int
    has_page: ClassVar[bool] = True  #: whether ``derivation.html`` can show the network

    @property
    def batch_size(self) -> int:
        """The number of rows in a batch."""
        return 1

    @property
    def error(self) -> str:
        """What the author's error curve is of, if there is one."""
        return ""

    @property
    def title(self) -> str:
        """The title of the run's figure."""
        raise NotImplementedError


@dataclass(frozen=True)
class Settings(Configuration):
    """The settings of a run on binary addition. The command line's options have the same names and explain them."""

    cell: str = "lstm"
    hidden_size: int = 16
    layers: int = 1
    bidirectional: bool = False
    bits: int = 8
    steps: int = 1000
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 0.03
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 5e-4
    loss: str = "bce"
    dtype: str = "float64"
    seed: int = 0
    against: str = "torch"
    device: str = "cpu"
    engine: str = "numpy"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("learning_rate", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a finite number of at least 0, got {getattr(self, name)}")
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f"momentum, nesterov: expected only with optimizer sgd, got optimizer {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise ValueError(f"nesterov: expected a momentum above 0, got {self.momentum}")
        is_compiled(self.engine, np.dtype(self.dtype))
        if self.device != "cpu" and self.against != "torch":
            raise ValueError(f"device: expected cpu with against {self.against}, got {self.device}")
        missing = [module for module in OPPONENTS[self.against] if not find_spec(module)]
        if missing:
            raise ValueError(
                f"against: {self.against} needs {', '.join(missing)}: pip install -c constraints.txt -e '.[frameworks]'"
            )
        check_at_least(self, hidden_size=1, layers=1, bits=2, steps=1, batch_size=1, seed=0)
        check_at_most(self, hidden_size=4096, layers=64, bits=4096, steps=10**7, batch_size=1 << 16)
        directions = 1 + self.bidirectional
        weights = directions * 4 * self.hidden_size**2 * (1 + (self.layers - 1) * (1 + directions))
        if weights > MOST_WEIGHTS:
            raise ValueError(f"hidden_size, layers: expected at most {MOST_WEIGHTS:,} weights, got about {weights:,}")

    @property
    def title(self) -> str:
        """The title of the run's figure."""
        return f"{self.cell.upper()}, {self.bits} bits, {self.dtype}"
