"""Layouts of the weights of a recurrent layer, described as data and converted to and from PyTorch's layout.

PyTorch stacks the gates along the rows of weight_ih (gates * H, D) and weight_hh (gates * H, H) and has two biases.
Other layouts have one matrix per gate, transpose it, join it to act on [x, h], or have one bias, one number per gate,
or none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from manual.arrays import Array


@dataclass(frozen=True)
class Layout:
    """A layout of weights.

    Args:
        gates: the gates in the order in which they are stacked, as in ``"i f g o"``.
        stacked: whether the gates are stacked in one array or have separate arrays, ``weight_ih_f`` and so on; or the
            groups that share an array, as in ``["z r", "n"]`` for ``weight_ih_zr`` and ``weight_ih_n``.
        columns: whether weights are (D, H), for ``x @ W``, rather than (H, D).
        joined: ``"xh"`` or ``"hx"`` if one matrix ``weight`` acts on [x, h] or [h, x], else ``""``.
        biases: 2 for ``bias_ih`` and ``bias_hh``; 1 for one ``bias``; 0 for none; ``"scalar"`` for one number per
            gate, each a ``bias`` of shape (1,).
        vectors: ``"rows"`` if a state is (B, H); ``"columns"`` if it is (H, B), x is (T, D, B) and a bias is (H, 1).

    Raises:
        ValueError: an argument has another value.
    """

    gates: str = "i f g o"
    stacked: bool | tuple[str, ...] = True
    columns: bool = False
    joined: str = ""
    biases: int | str = 2
    vectors: str = "rows"

    def __post_init__(self) -> None:
        if self.joined not in ("", "xh", "hx"):
            raise ValueError(f"joined: expected '', 'xh' or 'hx', got {self.joined!r}")
        if self.biases not in (0, 1, 2, "scalar"):
            raise ValueError(f"biases: expected 0, 1, 2 or 'scalar', got {self.biases!r}")
        if self.vectors not in ("rows", "columns"):
            raise ValueError(f"vectors: expected 'rows' or 'columns', got {self.vectors!r}")

    @property
    def groups(self) -> list[list[str]]:
        """The gates that share an array, in the order in which they are stacked."""
        if isinstance(self.stacked, bool):
            gates = self.gates.split()
            return [gates] if self.stacked else [[gate] for gate in gates]
        return [group.split() for group in self.stacked]

    def check_gates(self, gates: tuple[str, ...]) -> None:
        """Check that this layout has exactly these gates.

        Raises:
            ValueError: it has others.
        """
        if tuple(self.gates.split()) not in permutations(gates):
            raise ValueError(f"gates: expected {' '.join(gates)!r} in any order, got {self.gates!r}")
        if tuple(gate for group in self.groups for gate in group) not in permutations(gates):
            raise ValueError(f"stacked: expected each of {' '.join(gates)!r} once, got {self.stacked!r}")

    def draw(
        self, D: int, H: int, rng: np.random.Generator, peepholes: bool = False, scale: float = 0.5
    ) -> dict[str, Array]:
        """Draw normally distributed weights in this layout."""
        gates = self.gates.split()
        blank = {
            "weight_ih": np.zeros((len(gates) * H, D)),
            "weight_hh": np.zeros((len(gates) * H, H)),
            "bias_ih": np.zeros(len(gates) * H),
            "bias_hh": np.zeros(len(gates) * H),
        }
        if peepholes:
            blank["weight_ch"] = np.zeros(len(_with_peephole(gates)) * H)
        shapes = {name: array.shape for name, array in self.from_torch(blank, tuple(gates)).items()}
        return {name: rng.normal(0, scale, shape) for name, shape in shapes.items()}

    def to_torch(self, arrays: Mapping[str, Array], gates: tuple[str, ...]) -> dict[str, Array]:
        """Convert weights to PyTorch's layout, with ``gates`` in PyTorch's order. Return copies.

        A second bias that this layout lacks is zero.
        """
        blocks: dict[str, list[Array]] = {"weight_ih": [], "weight_hh": [], "bias_ih": [], "bias_hh": []}
        peepholes = {name: array for name, array in arrays.items() if name.startswith("weight_ch")}
        if peepholes:
            by_gate = {gate: p for name, array in peepholes.items() for gate, p in self.blocks(name, array).items()}
            blocks["weight_ch"] = [by_gate[gate].reshape(-1) for gate in _with_peephole(gates)]
        for gate in gates:
            own = self._of_gate({name: array for name, array in arrays.items() if name not in peepholes}, gate)
            weights = {name: array.T if self.columns else array for name, array in own.items() if "weight" in name}
            H = next(iter(weights.values())).shape[0]
            if self.joined:
                joined = weights["weight"]
                D = joined.shape[1] - H
                x_part, h_part = (slice(D), slice(D, None)) if self.joined == "xh" else (slice(H, None), slice(H))
                weights = {"weight_ih": joined[:, x_part], "weight_hh": joined[:, h_part]}
            own = {name: array.reshape(-1) if "bias" in name else array for name, array in own.items()}
            bias = own.get("bias_ih", own.get("bias", np.zeros(1)))
            blocks["weight_ih"].append(weights["weight_ih"])
            blocks["weight_hh"].append(weights["weight_hh"])
            blocks["bias_ih"].append(np.broadcast_to(bias, H))
            blocks["bias_hh"].append(own.get("bias_hh", np.zeros(H, bias.dtype)))
        return {name: np.concatenate(parts) for name, parts in blocks.items()}

    def from_torch(self, arrays: Mapping[str, Array], gates: tuple[str, ...]) -> dict[str, Array]:
        """Convert gradients from PyTorch's layout, with ``gates`` in PyTorch's order, to this one. Return copies.

        For weights it is the inverse of ``to_torch``, except for scalar biases, whose gradient is a sum.
        """
        H = len(arrays["bias_ih"]) // len(gates)
        by_gate: dict[str, dict[str, Array]] = {}
        for gate in self.gates.split():
            k = gates.index(gate)
            own = {name: array[k * H : (k + 1) * H] for name, array in arrays.items() if name != "weight_ch"}
            weights = {name: own[name] for name in ("weight_ih", "weight_hh")}
            if self.joined:
                order = ("weight_ih", "weight_hh") if self.joined == "xh" else ("weight_hh", "weight_ih")
                weights = {"weight": np.concatenate([own[name] for name in order], axis=1)}
            biases: dict[int | str, dict[str, Array]] = {
                0: {},
                1: {"bias": own["bias_ih"]},
                2: {"bias_ih": own["bias_ih"], "bias_hh": own["bias_hh"]},
                "scalar": {"bias": own["bias_ih"].sum(keepdims=True)},
            }
            parts = {name: array.T if self.columns else array for name, array in weights.items()}
            for name, array in biases[self.biases].items():
                parts[name] = array[:, None] if self.vectors == "columns" else array
            for name, array in parts.items():
                by_gate.setdefault(name, {})[gate] = array
        if "weight_ch" in arrays:
            seeing = _with_peephole(gates)
            by_gate["weight_ch"] = dict(zip(seeing, np.split(arrays["weight_ch"], len(seeing))))
            if self.vectors == "columns":
                by_gate["weight_ch"] = {gate: p[:, None] for gate, p in by_gate["weight_ch"].items()}
        return {
            self._name(name, own_gates): np.concatenate([own[gate] for gate in own_gates], axis=self._axis(name))
            for name, own in by_gate.items()
            for group in self.groups
            if (own_gates := [gate for gate in group if gate in own])
        }

    def _name(self, name: str, group: list[str]) -> str:
        """Name the array of a group of gates."""
        return name if self.stacked is True else f"{name}_{''.join(group)}"

    def _of_gate(self, arrays: Mapping[str, Array], gate: str) -> dict[str, Array]:
        """Return one gate's arrays, by name without the gate."""
        group = next(group for group in self.groups if gate in group)
        suffix = "" if self.stacked is True else f"_{''.join(group)}"
        own = {name.removesuffix(suffix): array for name, array in arrays.items() if name.endswith(suffix)}
        k = group.index(gate)
        return {name: np.split(array, len(group), axis=self._axis(name))[k] for name, array in own.items()}

    def _axis(self, name: str) -> int:
        """Return the axis along which the gates are stacked."""
        return 1 if self.columns and "weight" in name and not name.startswith("weight_ch") else 0

    def blocks(self, name: str, array: Array) -> dict[str, Array]:
        """Split a gradient in this layout by gate."""
        groups = [_with_peephole(g) for g in self.groups] if name.startswith("weight_ch") else self.groups
        group = next(g for g in groups if self.stacked is True or (g and name.endswith(f"_{''.join(g)}")))
        return dict(zip(group, np.split(array, len(group), axis=self._axis(name))))


def _with_peephole(gates: Sequence[str]) -> list[str]:
    """Return those of an LSTM's gates that may see the cell: all but the candidate."""
    return [gate for gate in gates if gate != "g"]
