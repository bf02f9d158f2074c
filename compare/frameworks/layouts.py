"""How each framework holds the weights of a recurrent layer, as data, and the way from and to PyTorch's names.

``manual`` has PyTorch's layout: weight_ih (G H, D), weight_hh (G H, H), bias_ih and bias_hh (G H,), where G counts
the gates, each a block of H rows. Others order the gates differently, transpose, join both matrices, have an array for
each gate, add the two biases, or invert a gate. Reading them wrongly changes no shape and raises no error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from compare.cells import CELLS
from manual.arrays import Array

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Layout:
    """How a framework holds the weights of one layer in one direction.

    Args:
        gates: in the order of their blocks, as in ``"i f g o"``; ``-`` is a block that is never read.
        arrays: the framework's name of each array, by what it holds: ``weight_ih`` and ``weight_hh``, or one ``weight``
            that acts on [x, h]; ``bias_ih`` and ``bias_hh``, or ``biases``, which stacks these two, or their sum
            ``bias``, and then ``bias_n`` if the candidate of a GRU has its bias_hh apart; ``weight_ch`` if there are
            peepholes. A name with ``{gate}`` in it stands for one array a gate.
        columns: whether weights are (D, G H), as in ``x @ W``, and not (G H, D).
        negated: gates that are one minus PyTorch's, so that their pre-activations and weights have the opposite sign.
        added: what the framework adds to the bias of a gate whenever it runs.
        lacking: gates whose bias_hh the framework cannot hold, although it is not redundant.
    """

    gates: str
    arrays: Mapping[str, str]
    columns: bool = False
    negated: str = ""
    added: Mapping[str, float] = field(default_factory=dict)
    lacking: str = ""

    def weights(self, parameters: Mapping[str, Array]) -> Arrays:
        """Return ``parameters``, under PyTorch's names, as this layout has them. Copies; missing biases are zero.

        Where there is one bias, it is the sum of both, less what the framework adds.

        Raises:
            ValueError: a bias that the framework cannot hold is not zero.
        """
        own = {name: self._by_gate(name, array) for name, array in parameters.items()}
        for name in ("bias_ih", "bias_hh"):
            own.setdefault(name, {gate: np.zeros_like(block[:, 0]) for gate, block in own["weight_hh"].items()})
        for gate in self.lacking.split():
            if own["bias_hh"][gate].any():
                raise ValueError(f"bias_hh: expected zeros for gate {gate}, whose second bias this layout cannot hold")
        blocks = own | {
            "weight": {g: np.hstack([own["weight_ih"][g], own["weight_hh"][g]]) for g in self.order},
            "biases": {g: np.stack([own["bias_ih"][g], own["bias_hh"][g]]) for g in self.order},
            "bias": {g: self._sum(g, own["bias_ih"][g], own["bias_hh"][g]) for g in self.order},
            "bias_n": own["bias_hh"],
        }
        arrays: Arrays = {}
        for role, name in self.arrays.items():
            unread = np.zeros_like(next(iter(blocks[role].values())))
            parts = {gate: self._turned(role, gate, blocks[role].get(gate, unread)) for gate in self._gates(role)}
            if "{gate}" in name:
                arrays |= {name.format(gate=gate): np.array(part, order="C") for gate, part in parts.items()}
            else:
                arrays[name] = np.concatenate(list(parts.values()), axis=self._axis(role))
        return arrays

    def parameters(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return weights in this layout under PyTorch's names. Copies.

        A single bias becomes bias_ih, and what the framework adds to it bias_hh: mostly zeros. So ``weights`` gives the
        same arrays back, bit for bit.

        Raises:
            ValueError: the arrays are not those of this layout.
        """
        blocks = self._blocks(arrays)
        if "bias" in blocks:
            added = {gate: np.full_like(block, self.added.get(gate, 0.0)) for gate, block in blocks["bias"].items()}
            blocks["bias_hh"] = added | blocks.get("bias_n", {})
        return self._stacked(blocks)

    def gradients(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return gradients of this layout's arrays under PyTorch's names. Copies.

        The gradient of a sum of two biases is that of each. ``bias_hh`` is left out where the framework lacks some.

        Raises:
            ValueError: the arrays are not those of this layout.
        """
        blocks = self._blocks(arrays)
        if "bias" in blocks and not self.lacking:
            blocks["bias_hh"] = blocks["bias"] | blocks.get("bias_n", {})
        return self._stacked(blocks)

    @property
    def order(self) -> tuple[str, ...]:
        """The gates that are read, in PyTorch's order."""
        own = set(self.gates.split()) - {"-"}
        return next(tuple(g for g in cell.gates if g in own) for cell in CELLS.values() if own <= set(cell.gates))

    @property
    def names(self) -> list[str]:
        """The names of all arrays."""
        pairs = [(name, gate) for role, name in self.arrays.items() for gate in self._gates(role)]
        return list(dict.fromkeys(name.format(gate=gate) for name, gate in pairs))

    def _blocks(self, arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """Cut arrays up by what they hold and by gate, as PyTorch has them."""
        if set(arrays) != set(self.names):
            raise ValueError(f"weights: expected arrays {', '.join(self.names)}, got {', '.join(arrays)}")
        blocks = {}
        for role, name in self.arrays.items():
            gates = self._gates(role)
            if "{gate}" in name:
                parts = [arrays[name.format(gate=gate)] for gate in gates]
            else:
                parts = np.split(arrays[name], len(gates), axis=self._axis(role))
            blocks[role] = {gate: self._turned(role, gate, part) for gate, part in zip(gates, parts)}
        if "weight" in blocks:
            H = len(blocks["weight"][self.order[0]])
            blocks["weight_ih"] = {gate: block[:, :-H] for gate, block in blocks["weight"].items()}
            blocks["weight_hh"] = {gate: block[:, -H:] for gate, block in blocks["weight"].items()}
        if "biases" in blocks:
            blocks["bias_ih"] = {gate: block[0] for gate, block in blocks["biases"].items()}
            blocks["bias_hh"] = {gate: block[1] for gate, block in blocks["biases"].items()}
        if "bias" in blocks:
            blocks["bias_ih"] = blocks["bias"]
        return blocks

    def _stacked(self, blocks: Mapping[str, Mapping[str, Array]]) -> Arrays:
        """Stack the blocks of all gates in PyTorch's order."""
        names = [name for name in ("weight_ih", "weight_hh", "weight_ch", "bias_ih", "bias_hh") if name in blocks]
        order = {name: [gate for gate in self.order if gate in blocks[name]] for name in names}
        return {name: np.concatenate([blocks[name][gate] for gate in order[name]]) for name in names}

    def _by_gate(self, name: str, array: Array) -> dict[str, Array]:
        """Cut an array under PyTorch's name up by gate; the candidate has no peephole."""
        gates = [gate for gate in self.order if gate != "g" or name != "weight_ch"]
        return dict(zip(gates, np.split(array, len(gates))))

    def _sum(self, gate: str, bias_ih: Array, bias_hh: Array) -> Array:
        """Return the one bias of a gate: bias_ih to the bit wherever bias_hh is no more than the framework adds."""
        if "bias_n" in self.arrays and gate == "n":
            return bias_ih
        added = np.asarray(self.added.get(gate, 0.0), bias_ih.dtype)
        return np.where(bias_hh == added, bias_ih, bias_ih + bias_hh - added)

    def _turned(self, role: str, gate: str, block: Array) -> Array:
        """Turn a gate's block from PyTorch's orientation and sign to this layout's, or back."""
        block = -block if gate in self.negated.split() else block
        return block.T if self.columns and block.ndim == 2 and "weight" in role else block

    def _gates(self, role: str) -> list[str]:
        """Return the gates whose blocks an array holds, in their order."""
        gates = self.gates.split()
        return {"bias_n": ["n"], "weight_ch": [gate for gate in gates if gate != "g"]}.get(role, gates)

    def _axis(self, role: str) -> int:
        """Return the axis along which an array stacks the gates."""
        return 0 if "weight" in role and not self.columns else -1


_TORCH = {name: name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
_KERAS = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel"}
_ONE, _BOTH = {"bias": "bias"}, {"biases": "bias"}
_LINEN = {"weight_ih": "i{gate}/kernel", "weight_hh": "h{gate}/kernel"}
_NNX = {"weight_ih": "dense_i/kernel", "weight_hh": "dense_h/kernel"}
_HAIKU = {"weight_ih": "w_i", "weight_hh": "w_h", "bias": "b"}
_EQUINOX = {"weight_ih": "weight_ih", "weight_hh": "weight_hh", "bias": "bias"}
_MLX = {"weight_ih": "Wx", "weight_hh": "Wh", "bias": "b"}
_ONNX = {"weight_ih": "W", "weight_hh": "R", "biases": "B"}
_TENSORFLOW = {"weight": "w", "bias": "b"}
_PEEPHOLES = {"weight_ch": "wc{gate}"}

#: By framework and form. A form that is not here is one that the framework does not have.
LAYOUTS: dict[str, dict[str, Layout]] = {
    "torch": {
        "lstm": Layout("i f g o", _TORCH),
        "gru": Layout("r z n", _TORCH),
        "rnn": Layout("h", _TORCH),
        "rnn, relu": Layout("h", _TORCH),
    },
    "keras": {
        "lstm": Layout("i f g o", _KERAS | _ONE, columns=True),
        "gru": Layout("z r n", _KERAS | _BOTH, columns=True),
        "gru, reset before": Layout("z r n", _KERAS | _ONE, columns=True),
        "rnn": Layout("h", _KERAS | _ONE, columns=True),
        "rnn, relu": Layout("h", _KERAS | _ONE, columns=True),
    },
    "linen": {
        "lstm": Layout("i f g o", _LINEN | {"bias": "h{gate}/bias"}, columns=True),
        "gru": Layout("r z n", _LINEN | {"bias": "i{gate}/bias", "bias_n": "hn/bias"}, columns=True),
        "rnn": Layout("h", {"weight_ih": "i/kernel", "weight_hh": "h/kernel", "bias": "i/bias"}, columns=True),
        "rnn, relu": Layout("h", {"weight_ih": "i/kernel", "weight_hh": "h/kernel", "bias": "i/bias"}, columns=True),
    },
    "nnx": {
        "lstm": Layout("i f g o", _NNX | {"bias": "dense_h/bias"}, columns=True),
        "gru": Layout("r z n", _NNX | {"bias": "dense_i/bias"}, columns=True, lacking="n"),
        "rnn": Layout("h", _NNX | {"bias": "dense_i/bias"}, columns=True),
        "rnn, relu": Layout("h", _NNX | {"bias": "dense_i/bias"}, columns=True),
    },
    "haiku": {
        "lstm": Layout("i g f o", {"weight": "linear/w", "bias": "linear/b"}, columns=True, added={"f": 1.0}),
        "gru, reset before": Layout("z r n", _HAIKU, columns=True, negated="z"),
        "rnn, relu": Layout(
            "h",
            {
                "weight_ih": "linear/w",
                "weight_hh": "linear_1/w",
                "bias_ih": "linear/b",
                "bias_hh": "linear_1/b",
            },
            columns=True,
        ),
    },
    "equinox": {
        "lstm": Layout("i f g o", _EQUINOX),
        "gru": Layout("r z n", _EQUINOX | {"bias_n": "bias_n"}),
    },
    "onnx": {
        "lstm": Layout("i o f g", _ONNX),
        "lstm, peepholes": Layout("i o f g", _ONNX | {"weight_ch": "P"}),
        "lstm, coupled": Layout("i o - g", _ONNX),
        "lstm, peepholes, coupled": Layout("i o - g", _ONNX | {"weight_ch": "P"}),
        "gru": Layout("z r n", _ONNX),
        "gru, reset before": Layout("z r n", _ONNX),
        "rnn": Layout("h", _ONNX),
        "rnn, relu": Layout("h", _ONNX),
    },
    "mlx": {
        "lstm": Layout("i f g o", _MLX | {"bias": "bias"}),
        "gru": Layout("r z n", _MLX | {"bias_n": "bhn"}),
        "rnn": Layout("h", {"weight_ih": "Wxh", "weight_hh": "Whh", "bias": "bias"}),
        "rnn, relu": Layout("h", {"weight_ih": "Wxh", "weight_hh": "Whh", "bias": "bias"}),
    },
    "tensorflow-block-v1": {
        "lstm": Layout("i g f o", _TENSORFLOW, columns=True),
        "lstm, peepholes": Layout("i g f o", _TENSORFLOW | _PEEPHOLES, columns=True),
    },
    "tensorflow-block-v2": {
        "lstm": Layout("i f g o", _TENSORFLOW, columns=True),
        "lstm, peepholes": Layout("i f g o", _TENSORFLOW | _PEEPHOLES, columns=True),
    },
}
LAYOUTS["paddle"] = LAYOUTS["torch"]
