"""How the weights of a recurrent layer lie in a file or a framework, as data, and the way from and to PyTorch's layout.

PyTorch stacks the gates, each a block of H rows: weight_ih (G H, D), weight_hh (G H, H), bias_ih and bias_hh (G H,).
Others order the gates differently, have an array for each, transpose, join both matrices to act on [x, h], have one
bias or none, or invert a gate. Reading them wrongly changes no shape and raises no error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from compare.cells import CELLS, Form
from manual.arrays import Array

Arrays = dict[str, Array]

#: The arrays of each kind of biases.
BIASES: dict[int | str, tuple[str, ...]] = {
    0: (),
    1: ("bias",),
    2: ("bias_ih", "bias_hh"),
    "scalar": ("bias",),
    "stacked": ("bias",),
    "candidate": ("bias", "bias_n"),
}


#: How one matrix may act on input, state and a 1 for the bias.
JOINED = ("", "xh", "hx", "1xh", "1hx", "xh1", "hx1")

#: The fields of a layout that a file's LAYOUT may have.
FILE_KEYS = ("gates", "stacked", "columns", "joined", "biases", "vectors")


@dataclass(frozen=True)
class Layout:
    """How the weights of one layer in one direction lie.

    The first six are the keys of a file's LAYOUT; only the framework's need the others.
    """

    #: in the order in which they are stacked, as in ``"i f g o"``; ``-`` is a block that is never read
    gates: str = "i f g o"
    #: whether the gates are stacked in one array or have separate arrays, ``weight_ih_f`` and so on; or the groups that
    #: share an array, as in ``["z r", "n"]`` for ``weight_ih_zr`` and ``weight_ih_n``
    stacked: bool | tuple[str, ...] = True
    columns: bool = False  #: whether weights are (D, G H), for ``x @ W``, rather than (G H, D)
    #: ``"xh"`` or ``"hx"`` if one matrix ``weight`` acts on [x, h] or [h, x], else ``""``. With a ``1`` before or
    #: after, as in ``"1xh"``, the one bias is part of the matrix, which acts on [1, x, h].
    joined: str = ""
    #: 2 for ``bias_ih`` and ``bias_hh``; ``"stacked"`` for both in one ``bias``; 1 for their sum ``bias``;
    #: ``"candidate"`` for the sum, with the bias_hh of a GRU's candidate apart in ``bias_n``; 0 for none; ``"scalar"``
    #: for one number per gate, a ``bias`` of shape (1,)
    biases: int | str = 2
    #: ``"rows"`` if a state is (B, H); ``"columns"`` if it is (H, B), x is (T, D, B) and a bias is (H, 1); ``"flat"``
    #: if there is one row only, a state is (H,) and x is (T, D)
    vectors: str = "rows"
    #: what an array is called where it has another name than here; with ``{gate}`` in it, there is one a gate
    names: Mapping[str, str] = field(default_factory=dict)
    recurrent: bool = True  #: whether there is a ``weight_hh``, that is, whether h goes through a matrix
    peepholes: bool = False  #: whether there is a ``weight_ch``, from the cell to all gates but the candidate
    #: gates that are one minus PyTorch's, so that their pre-activations and weights have the opposite sign
    negated: str = ""
    #: what is added to the bias of a gate whenever the layer runs
    added: Mapping[str, float] = field(default_factory=dict)
    lacking: str = ""  #: gates whose bias_hh has no place, although it is not redundant

    def __post_init__(self) -> None:
        if self.joined not in JOINED:
            raise ValueError(f"joined: expected one of {', '.join(map(repr, JOINED))}, got {self.joined!r}")
        if "1" in self.joined and self.biases != 1:
            raise ValueError(f"biases: expected 1 with joined {self.joined!r}, got {self.biases!r}")
        if self.biases not in BIASES:
            raise ValueError(f"biases: expected one of {', '.join(map(repr, BIASES))}, got {self.biases!r}")
        if self.vectors not in ("rows", "columns", "flat"):
            raise ValueError(f"vectors: expected 'rows', 'columns' or 'flat', got {self.vectors!r}")

    def check_gates(self, gates: tuple[str, ...]) -> None:
        """Raise a ValueError unless this layout has exactly these gates."""
        if tuple(self.gates.split()) not in permutations(gates):
            raise ValueError(f"gates: expected {' '.join(gates)!r} in any order, got {self.gates!r}")
        if tuple(gate for group in self._groups for gate in group) not in permutations(gates):
            raise ValueError(f"stacked: expected each of {' '.join(gates)!r} once, got {self.stacked!r}")

    def draw(self, D: int, H: int, rng: np.random.Generator, scale: float = 0.5) -> Arrays:
        """Draw normally distributed weights in this layout."""
        G = len(self.order)
        sizes = {"weight_ih": (G * H, D), "weight_hh": (G * H, H), "bias_ih": (G * H,), "bias_hh": (G * H,)}
        if self.peepholes:
            sizes["weight_ch"] = (len(_seeing(self.order)) * H,)
        blank = {name: np.zeros(size) for name, size in sizes.items()}
        return {name: rng.normal(0, scale, array.shape) for name, array in self.of_gradients(blank).items()}

    def weights(self, parameters: Mapping[str, Array]) -> Arrays:
        """Return ``parameters``, under PyTorch's names, as this layout has them. Copies; missing biases are zero.

        Where there is one bias, it is the sum of both, less what is added to it.

        Raises:
            ValueError: a bias that has no place is not zero.
        """
        own = {name: self._by_gate(name, array) for name, array in parameters.items()}
        for name in ("bias_ih", "bias_hh"):
            own.setdefault(name, {gate: np.zeros_like(block[:, 0]) for gate, block in own["weight_ih"].items()})
        for gate in self.lacking.split():
            if own["bias_hh"][gate].any():
                raise ValueError(f"bias_hh: expected zeros for gate {gate}, whose second bias this layout cannot hold")
        return self._arrays(own, lambda gate: self._sum(gate, own["bias_ih"][gate], own["bias_hh"][gate]))

    def of_gradients(self, gradients: Mapping[str, Array]) -> Arrays:
        """Return gradients, under PyTorch's names, as this layout has them. Copies.

        The gradient of a sum of two biases is that of each; that of one number for all units is the sum of theirs.
        """
        own = {name: self._by_gate(name, array) for name, array in gradients.items()}
        if self.biases == "scalar":
            own["bias_ih"] = {gate: block.sum(keepdims=True) for gate, block in own["bias_ih"].items()}
        return self._arrays(own, lambda gate: own["bias_ih"][gate])

    def parameters(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return weights in this layout under PyTorch's names; a ValueError if they are of another. Copies.

        A single bias becomes bias_ih, and what is added to it bias_hh: mostly zeros. So ``weights`` gives the same
        arrays back, bit for bit.
        """
        blocks = self._blocks(arrays)
        if self.biases == 0:
            blocks["bias_ih"] = {gate: np.zeros_like(block[:, 0]) for gate, block in blocks["weight_ih"].items()}
        if self.biases == "scalar":
            H = len(blocks["weight_ih"][self.order[0]])
            blocks["bias_ih"] = {gate: np.repeat(block, H) for gate, block in blocks["bias_ih"].items()}
        if "bias_hh" not in blocks:
            added = {gate: np.full_like(block, self.added.get(gate, 0.0)) for gate, block in blocks["bias_ih"].items()}
            blocks["bias_hh"] = added | blocks.get("bias_n", {})
        return self._in_order(blocks)

    def gradients(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return gradients of this layout's arrays under PyTorch's names; a ValueError if they are of another. Copies.

        The gradient of a sum of two biases is that of each. ``bias_hh`` is left out where it has no place for some.
        """
        blocks = self._blocks(arrays)
        if "bias_ih" in blocks and "bias_hh" not in blocks and not self.lacking:
            blocks["bias_hh"] = blocks["bias_ih"] | blocks.get("bias_n", {})
        return self._in_order(blocks)

    def blocks(self, name: str, array: Array) -> Arrays:
        """Split one of this layout's arrays by gate."""
        for role in self._roles:
            for group, own in self._named(role).items():
                if own == name:
                    return dict(zip(group, np.split(array, len(group), axis=self._axis(role))))
        raise ValueError(f"weights: expected one of {', '.join(self.arrays)}, got {name}")

    @property
    def order(self) -> tuple[str, ...]:
        """The gates that are read, in PyTorch's order."""
        own = set(self.gates.split()) - {"-"}
        gates = min((cell.gates for cell in CELLS.values() if own <= set(cell.gates)), key=len)
        return tuple(gate for gate in gates if gate in own)

    @property
    def arrays(self) -> list[str]:
        """The names of all arrays."""
        return [name for role in self._roles for name in self._named(role).values()]

    @property
    def _groups(self) -> list[list[str]]:
        """The gates that share an array where there are several, in the order in which they are stacked."""
        return [group.split() for group in (self.gates.split() if isinstance(self.stacked, bool) else self.stacked)]

    @property
    def _roles(self) -> tuple[str, ...]:
        """What the arrays are."""
        weights = ("weight",) if self.joined else ("weight_ih", "weight_hh") if self.recurrent else ("weight_ih",)
        biases = () if "1" in self.joined else BIASES[self.biases]
        return *weights, *biases, *(("weight_ch",) if self.peepholes else ())

    def _named(self, role: str) -> dict[tuple[str, ...], str]:
        """Return the names of the arrays of a role, by the gates that each holds."""
        name = self.names.get(role, role if self.stacked is True else f"{role}_{{gate}}")
        groups = self._groups if "{gate}" in name else [self.gates.split()]
        held = [{"bias_n": ["n"], "weight_ch": _seeing(group)}.get(role, group) for group in groups]
        return {tuple(group): name.format(gate="".join(group)) for group in held if group}

    def _arrays(self, own: Mapping[str, Mapping[str, Array]], bias: Callable[[str], Array]) -> Arrays:
        """Return blocks under PyTorch's names, by gate, as this layout has them; ``bias`` gives a single one."""
        columns: dict[str, Callable[[str], Array]] = {
            "x": lambda gate: own["weight_ih"][gate],
            "h": lambda gate: own["weight_hh"][gate],
            "1": lambda gate: bias(gate)[:, None],
        }
        made: dict[str, Callable[[str], Array]] = {
            "weight": lambda gate: np.hstack([columns[one](gate) for one in self.joined]),
            "bias_n": lambda gate: own["bias_hh"][gate],
            "bias": bias,
        }
        if self.biases == "stacked":
            made["bias"] = lambda gate: np.stack([own["bias_ih"][gate], own["bias_hh"][gate]])
        arrays = {}
        for role in self._roles:
            block = made.get(role, lambda gate, role=role: own[role][gate])
            unread = np.zeros_like(block(self.order[0]))
            for group, name in self._named(role).items():
                parts = [self._turned(role, gate, unread if gate == "-" else block(gate)) for gate in group]
                arrays[name] = np.ascontiguousarray(np.concatenate(parts, axis=self._axis(role)))
        return arrays

    def _blocks(self, arrays: Mapping[str, Array]) -> dict[str, Arrays]:
        """Cut arrays up by what they hold and by gate, under PyTorch's names where it has them."""
        if set(arrays) != set(self.arrays):
            raise ValueError(f"weights: expected arrays {', '.join(self.arrays)}, got {', '.join(arrays)}")
        blocks: dict[str, Arrays] = {}
        for role in self._roles:
            for group, name in self._named(role).items():
                for gate, part in zip(group, np.split(arrays[name], len(group), axis=self._axis(role))):
                    blocks.setdefault(role, {})[gate] = self._turned(role, gate, part, back=True)
        if self.joined:
            H, width = blocks["weight"][self.order[0]].shape
            sizes = {"1": 1, "h": H, "x": width - H - ("1" in self.joined)}
            ends = np.cumsum([sizes[one] for one in self.joined])[:-1]
            for gate, block in blocks["weight"].items():
                held = dict(zip(self.joined, np.split(block, ends, axis=1)))
                blocks.setdefault("weight_ih", {})[gate] = held["x"]
                blocks.setdefault("weight_hh", {})[gate] = held["h"]
                if "1" in held:
                    blocks.setdefault("bias", {})[gate] = held["1"][:, 0]
        if self.biases == "stacked":
            for k, name in enumerate(("bias_ih", "bias_hh")):
                blocks[name] = {gate: block[k] for gate, block in blocks["bias"].items()}
        elif "bias" in blocks:
            blocks["bias_ih"] = blocks["bias"]
        return blocks

    def _in_order(self, blocks: Mapping[str, Mapping[str, Array]]) -> Arrays:
        """Stack the blocks of all gates in PyTorch's order."""
        names = [name for name in ("weight_ih", "weight_hh", "weight_ch", "bias_ih", "bias_hh") if name in blocks]
        order = {name: [gate for gate in self.order if gate in blocks[name]] for name in names}
        return {name: np.concatenate([blocks[name][gate] for gate in order[name]]) for name in names}

    def _by_gate(self, name: str, array: Array) -> Arrays:
        """Cut an array under PyTorch's name up by gate."""
        gates = _seeing(self.order) if name == "weight_ch" else self.order
        return dict(zip(gates, np.split(array, len(gates))))

    def _sum(self, gate: str, bias_ih: Array, bias_hh: Array) -> Array:
        """Return the one bias of a gate: bias_ih to the bit wherever bias_hh is no more than what is added."""
        if self.biases == "candidate" and gate == "n":
            return bias_ih
        added = np.asarray(self.added.get(gate, 0.0), bias_ih.dtype)
        return np.where(bias_hh == added, bias_ih, bias_ih + bias_hh - added)

    def _turned(self, role: str, gate: str, block: Array, back: bool = False) -> Array:
        """Turn a gate's block from PyTorch's orientation and sign to this layout's, or back."""
        block = -block if gate in self.negated.split() else block
        if "bias" in role or role == "weight_ch":
            column = self.vectors == "columns" and self.biases != "stacked"
            return block.reshape(-1) if column and back else block[:, None] if column else block
        return block.T if self.columns else block

    def _axis(self, role: str) -> int:
        """Return the axis along which an array stacks the gates."""
        if "bias" in role or role == "weight_ch":
            return 0 if self.biases != "stacked" or role != "bias" else 1
        return 1 if self.columns else 0


@dataclass(frozen=True)
class LaidOut(Form):
    """A form of a cell whose weights lie in a layout of their own."""

    layout: Layout = field(default_factory=Layout)

    def blocks(self, name: str, gradient: Array) -> Arrays:
        """Split a gradient in the layout by gate."""
        return self.layout.blocks(name, gradient)


def _seeing(gates: Sequence[str]) -> list[str]:
    """Return those of an LSTM's gates that may see the cell: all but the candidate."""
    return [gate for gate in gates if gate != "g"]
