"""The recurrent operators of ONNX: which form of a cell one is, and its weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper

from compare.cells.layout import Arrays
from compare.frameworks.layouts import LAYOUTS
from manual.arrays import Array

#: The operator of each form, and what sets the form apart, besides the input P of peepholes.
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {"input_forget": 0}),
    "lstm, peepholes": ("LSTM", {"input_forget": 0}),
    "lstm, coupled": ("LSTM", {"input_forget": 1}),
    "lstm, peepholes, coupled": ("LSTM", {"input_forget": 1}),
    "gru": ("GRU", {"linear_before_reset": 1}),
    "gru, reset before": ("GRU", {"linear_before_reset": 0}),
    "rnn": ("RNN", {"activations": ["Tanh"]}),
    "rnn, relu": ("RNN", {"activations": ["Relu"]}),
    "rnn, sigmoid": ("RNN", {"activations": ["Sigmoid"]}),
}

#: The inputs of all of them, in their order.
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")

#: The attributes that set forms apart, besides activations.
OPTIONS = {"LSTM": ("input_forget",), "GRU": ("linear_before_reset",), "RNN": ()}

#: What the standard lets an operator compute where no activations are given, for one direction.
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def read_layer(node: onnx.NodeProto, inputs: Mapping[str, Array | None]) -> tuple[str, list[Arrays], bool]:
    """Return the form of an operator, the weights of each direction, and whether it runs backwards alone."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    direction = given.pop("direction", b"forward").decode()
    K = 2 if direction == "bidirectional" else 1
    usual = ACTIVATIONS[node.op_type] * K
    activations = [name.decode().capitalize() for name in given.pop("activations", [])] or usual
    own = {name: given.pop(name, 0) for name in OPTIONS[node.op_type]}
    if node.op_type == "RNN":
        own["activations"] = activations[:1]
        usual = activations[:1] * K
    has_peepholes = inputs.get("P") is not None
    fitting = [name for name, found in OPERATORS.items() if found == (node.op_type, own)]
    form = next((name for name in fitting if ("peepholes" in name) == has_peepholes), None)
    if form is None or activations != usual:
        raise ValueError(f"expected the activations {usual}, got {activations}")
    given.pop("hidden_size", None)
    unknown = {name: value for name, value in given.items() if value not in (0, [])}
    if unknown:
        raise ValueError(f"expected no attribute that manual lacks, got {unknown}")
    arrays: Arrays = {}
    for name in "WRBP":
        array = inputs.get(name)
        if array is not None:
            arrays[name] = array
        elif name in "WR":
            raise ValueError(f"expected {name} to be a constant of the model")
    return form, _by_direction(form, K, arrays), direction == "reverse"


def _by_direction(form: str, K: int, arrays: Arrays) -> list[Arrays]:
    """Return the weights of each direction from arrays of ONNX's shapes, as in (directions, 4 H, D)."""
    layout = LAYOUTS["onnx"][form]
    G, H = len(layout.gates.split()), arrays["R"].shape[-1]
    arrays.setdefault("B", np.zeros((K, 2 * G * H), arrays["W"].dtype))
    shapes = {"R": (K, G * H, H), "B": (K, 2 * G * H), "P": (K, 3 * H), "W": (K, G * H, arrays["W"].shape[-1])}
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise ValueError(f"{name}: expected shape {shapes[name]}, got {array.shape}")
    return [
        layout.parameters({name: a[k].reshape(2, -1) if name == "B" else a[k] for name, a in arrays.items()})
        for k in range(K)
    ]
