"""The reference's values that hints are computed from, by the names of the probes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compare.checker.derivations.problem import Arrays
from compare.checker.recorder import Record
from manual.arrays import Array


@dataclass(frozen=True)
class Witness:
    """What hints are computed from.

    Args:
        cell: a key of ``INTERMEDIATES`` in ``mistakes.py``; for any other, only the mistakes of any quantity are tried.
        gates: the blocks of rows of the weights, in PyTorch's order.
        record: the reference's values.
        parameters: in PyTorch's layout.
        gradients: the reference's, in the derivation's layout.
        express: converts gradients from PyTorch's layout to the derivation's.
        blocks: splits a gradient by gate.
        x: the input of the first layer.
        d_state: the incoming gradients of the final state, by the names of the states, (layers * directions, B, H).
        lengths: the number of steps in each row, if they differ.
    """

    cell: str
    gates: tuple[str, ...]
    record: Record
    parameters: Arrays
    gradients: Arrays
    express: Callable[[Arrays], Arrays]
    blocks: Callable[[str, Array], Arrays]
    x: Array
    d_state: Arrays
    lengths: Sequence[int] | None = None


class Values:
    """The reference's values in the layer and direction that a name belongs to, by the names of the probes.

    Args:
        witness: the source of the values.
        name: any name that ends in the layer and direction.
    """

    def __init__(self, witness: Witness, name: str):
        found = re.search(r"_l\d+(_reverse)?$", name)
        self.witness, self.suffix = witness, found[0] if found else ""
        self.bare = name.removesuffix(self.suffix)
        self.reverse = self.suffix.endswith("_reverse")
        self.T = 1 + max(t for _, t in witness.record if t is not None)

    def __getitem__(self, name: str) -> Array:
        return np.stack([self.witness.record[name + self.suffix, t] for t in range(self.T)])

    def __getattr__(self, name: str) -> Array:
        return self[name]

    def names(self) -> list[str]:
        """Return all names but the given one, names of the same kind first."""
        names = dict.fromkeys(n.removesuffix(self.suffix) for n, _ in self.witness.record if n.endswith(self.suffix))
        return sorted(
            (n for n in names if n != self.bare), key=lambda n: n.startswith("d_") != self.bare.startswith("d_")
        )

    @property
    def x(self) -> Array:
        """The input of the layer, known for the first layer only."""
        if self.suffix not in ("", "_l0", "_l0_reverse"):
            raise KeyError("x")
        return self.witness.x

    def parameter(self, name: str, gate: str) -> Array:
        """Return one gate's rows of a parameter; the candidate has no peephole."""
        gates = [own for own in self.witness.gates if own != "g" or name != "weight_ch"]
        return np.split(self.witness.parameters[name + self.suffix], len(gates))[gates.index(gate)]

    def peephole(self, gate: str) -> Array:
        """Return the peephole weights of one gate, (H,)."""
        return self.parameter("weight_ch", gate)

    def earlier(self, array: Array) -> Array:
        """Return at each step the value of the step that runs before it; the first step keeps its own."""
        return np.concatenate([array[1:], array[-1:]] if self.reverse else [array[:1], array[:-1]])

    def later(self, array: Array) -> Array:
        """Return at each step the value of the step that runs after it; the last step keeps its own."""
        return np.concatenate([array[:1], array[:-1]] if self.reverse else [array[1:], array[-1:]])

    def carried_back(self, state: str) -> Array:
        """Return the gradient that each step receives from the next one; known only for rows of equal length."""
        if self.witness.lengths is not None:
            raise KeyError(state)
        suffixes = sorted({n[len("h_prev") :] for n, _ in self.witness.record if n.startswith("h_prev")})
        last = self.witness.d_state[state][suffixes.index(self.suffix)][None]
        carried = self[f"d_{state}_prev"]
        return np.concatenate([last, carried[:-1]] if self.reverse else [carried[1:], last])
