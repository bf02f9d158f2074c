"""The right values that hints are drawn from, by the names of the probes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compare.diagnosis.comparing import Blocks
from compare.diagnosis.derivations import Arrays
from compare.diagnosis.probes import Record
from manual.arrays import Array


@dataclass(frozen=True)
class Witness:
    """What the hints are drawn from.

    Args:
        cell: a key of ``INTERMEDIATES`` in ``mistakes.py``; for another, what can go wrong with any value is tried.
        gates: the blocks of rows of the weights, in PyTorch's order.
        record: the right values.
        parameters: in PyTorch's layout.
        gradients: the right ones, in the layout of the faults.
        express: from gradients in PyTorch's layout to that of the faults.
        blocks: cuts them up by gate.
        x: what the first layer reads.
        d_state: the incoming gradients of the final state, by the names of the states, (layers * directions, B, H).
        lengths: of the rows, where they differ.
    """

    cell: str
    gates: tuple[str, ...]
    record: Record
    parameters: Arrays
    gradients: Arrays
    express: Callable[[Arrays], Arrays]
    blocks: Blocks
    x: Array
    d_state: Arrays
    lengths: Sequence[int] | None = None


class Values:
    """The right values of the layer and direction that a name belongs to, by the names of the probes.

    Args:
        witness: where they come from.
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
        """All names but the one given, those of the same kind as it first."""
        names = dict.fromkeys(n.removesuffix(self.suffix) for n, _ in self.witness.record if n.endswith(self.suffix))
        return sorted(
            (n for n in names if n != self.bare), key=lambda n: n.startswith("d_") != self.bare.startswith("d_")
        )

    @property
    def x(self) -> Array:
        """What the layer reads, known of the first layer only."""
        if self.suffix not in ("", "_l0", "_l0_reverse"):
            raise KeyError("x")
        return self.witness.x

    def parameter(self, name: str, gate: str) -> Array:
        """A gate's block of rows of a parameter."""
        blocks = np.split(self.witness.parameters[name + self.suffix], len(self.witness.gates))
        return blocks[self.witness.gates.index(gate)]

    def earlier(self, array: Array) -> Array:
        """Each step's value moved to the step that runs next; the first step keeps its own."""
        return np.concatenate([array[1:], array[-1:]] if self.reverse else [array[:1], array[:-1]])

    def later(self, array: Array) -> Array:
        """Each step's value moved to the step that ran before; the last step keeps its own."""
        return np.concatenate([array[:1], array[:-1]] if self.reverse else [array[1:], array[-1:]])

    def handed_back(self, state: str) -> Array:
        """What each step is handed back of its state by the step after; known for rows of one length only."""
        if self.witness.lengths is not None:
            raise KeyError(state)
        suffixes = sorted({n[len("h_prev") :] for n, _ in self.witness.record if n.startswith("h_prev")})
        last = self.witness.d_state[state][suffixes.index(self.suffix)][None]
        handed = self[f"d_{state}_prev"]
        return np.concatenate([last, handed[:-1]] if self.reverse else [handed[1:], last])
