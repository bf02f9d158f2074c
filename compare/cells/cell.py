"""A recurrent cell, and one form of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from compare.checker.notation import Equation, Notation
from manual.arrays import Array

#: The equations of a form by the names of the probes, of the gradients of inputs (``d_x``), and of the parameters,
#: which stand for their gradients; where each gate has its own, by parameter and gate.
Equations = dict[str, Equation]

#: Equations that every cell has.
OF_STATE: Equations = {
    "h_prev": Equation("", "h of the previous step"),
    "output": Equation("", "h of each step"),
    "h_n": Equation("", "h of the last step"),
    "d_h_0": Equation("", "d_h_prev of the first step"),
}

#: Where the files to start a derivation from are.
STARTERS = Path(__file__).parent / "starters"


@dataclass(frozen=True)
class Option:
    """What a cell leaves open."""

    values: tuple[Any, ...]  #: the permitted values, the default first. A type stands for all its values.
    name: str  #: what a form with another value than the default is called; ``{}`` is the value
    words: str = ""  #: the same in a title; the name if left out


@dataclass(frozen=True)
class Cell:
    """A recurrent cell. Its layers have one class name in ``manual``, ``torch_impl`` and ``torch.nn``."""

    name: str  #: its name on the command line and in users' files
    gates: tuple[str, ...]  #: the blocks of rows of its weights, in PyTorch's order
    states: tuple[str, ...]  #: the states carried from step to step; the first is the output
    options: Mapping[str, Option]
    #: returns the equations of a form, given the values of all options
    equations: Callable[[Mapping[str, Any]], Equations]
    #: the column and the height, in gates, of each node of its diagram; drawn in order if left out
    places: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The name of its class in ``manual``, ``torch_impl`` and ``torch.nn``."""
        return self.name.upper()

    @property
    def starter(self) -> Path:
        """The file to start a derivation from."""
        return STARTERS / f"{self.name}.py"

    def of(self, package: Any) -> Any:
        """Return its class in one of these packages; a ValueError if it has none."""
        if not hasattr(package, self.class_name):
            raise ValueError(f"cell: {package.__name__} has no {self.class_name}")
        return getattr(package, self.class_name)


@dataclass(frozen=True)
class Form(Notation):
    """One form of a cell.

    Raises:
        ValueError: an unknown option, or a value that is not permitted.
    """

    cell: Cell
    #: the options that are not those by default; others may be given, too
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.options.items():
            if name not in self.cell.options:
                raise ValueError(unknown_key("OPTIONS", name, self.cell.options))
            values = self.cell.options[name].values
            if value not in values and type(value) not in values:
                expected = " or ".join("a whole number" if one is int else repr(one) for one in values)
                raise ValueError(f"OPTIONS: {name}: expected {expected}, got {value!r}")
        chosen = {n: v for n, v in self.options.items() if v != self.cell.options[n].values[0]}
        object.__setattr__(self, "options", {name: chosen[name] for name in self.cell.options if name in chosen})

    @property
    def cell_name(self) -> str:  # type: ignore[override]
        """The name of the cell."""
        return self.cell.name

    @property
    def name(self) -> str:
        """The cell and what sets this form apart, as in "gru, reset before"; tables are keyed by it."""
        return ", ".join([self.cell.name, *(self.cell.options[n].name.format(v) for n, v in self.options.items())])

    @property
    def title(self) -> str:
        """The form in words."""
        given = [(self.cell.options[name], value) for name, value in self.options.items()]
        words = " and ".join((option.words or option.name).format(value) for option, value in given)
        return self.cell.class_name + (f" with {words}" if words else "")

    @property
    def gates(self) -> tuple[str, ...]:
        """The blocks of rows of its weights, in PyTorch's order: an LSTM with coupled gates computes f from i."""
        return tuple(gate for gate in self.cell.gates if gate != "f" or not self.options.get("coupled"))

    @property
    def equations(self) -> Equations:
        """Its equations by name."""
        default = {name: option.values[0] for name, option in self.cell.options.items()}
        return self.cell.equations({**default, **self.options})

    def layer(self, package: Any, D: int, H: int, **options: Any) -> Any:
        """Make a layer of this form in ``manual``, ``torch_impl`` or ``torch.nn``; a ValueError if it has none."""
        return self.cell.of(package)(D, H, **self.options, **options)

    def gate(self, name: str) -> str:
        """Return the gate in the name of an intermediate, or ""."""
        bare = re.sub(r"_l\d+(_reverse)?$", "", name).removeprefix("d_").removeprefix("z_")
        return bare if bare in self.gates and len(self.gates) > 1 else ""

    def blocks(self, name: str, gradient: Array) -> dict[str, Array]:
        """Split by gate; a projection has none, nor has a cell with one block; an LSTM's candidate has no peephole."""
        if len(self.gates) == 1 or name.startswith("weight_hr"):
            return {"": gradient}
        own = [gate for gate in self.gates if gate != "g" or not name.startswith("weight_ch")]
        return dict(zip(own, np.split(gradient, len(own))))

    def equation(self, name: str, gate: str = "") -> Equation:
        """Return the equation of a name, which may end in a layer and direction, a gate, or both; empty if unknown."""
        table, bare = self.equations, re.sub(r"_l\d+(_reverse)?$", "", name)
        own = bare if self.gate(name) else f"{bare}_{gate}"  # a gate's block of a parameter, not the intermediate z
        names = (own, bare, bare.rpartition("_")[0])  # the last of a parameter of one gate: weight_ih_f
        return next((table[one] for one in names if one in table), Equation())


def unknown_key(where: str, name: str, known: Mapping[str, Any]) -> str:
    """Return the message for an unknown key, with the valid ones and the nearest."""
    close = get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{where}: expected keys {', '.join(known)}; got {name!r}{meant}"
