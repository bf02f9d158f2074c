"""The recurrent operators of ONNX: the form and the weights of one, and networks as models of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compare.cells.layout import Arrays
from compare.converter import checksum
from compare.frameworks.case import LayerCase
from compare.frameworks.layouts import FORMS, LAYOUTS
from compare.frameworks.network import Network
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

#: The oldest version of the operators that a current runtime and OpenVINO both take.
OPSET = 17

#: The entry of the metadata with the checksum of the initializers.
CHECKSUM = "sha256"


def read_layer(node: onnx.NodeProto, inputs: Mapping[str, Array | None]) -> tuple[str, list[Arrays], bool]:
    """Return an operator's form, directions' weights, and whether it runs backwards; a ValueError if it is another."""
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


def as_model(network: Network) -> onnx.ModelProto:
    """Return an ONNX model of a network.

    With a readout it takes ``x`` (T, B, D) and returns ``logits`` (T, B, O), or ``output`` if the readout has an
    activation, from an initial state of zeros. Without, it takes the initial state as well, (layers * directions, B, H)
    each, and returns ``output`` and the final state. B comes before T if the network is batch-first.
    """
    operator, attributes = OPERATORS[network.form]
    K, L = len(network.layers[0]), len(network.layers)
    D, H = network.layers[0][0]["weight_ih"].shape[1], network.layers[0][0]["weight_hh"].shape[1]
    dtype = helper.np_dtype_to_tensor_dtype(network.layers[0][0]["weight_hh"].dtype)
    states = [] if network.readout else FORMS[network.form].cell.states
    constants = {"by_row": np.array([0, 0, K * H])} | ({"by_layer": np.full(L, K)} if states else {})
    nodes = [
        helper.make_node("Split", [f"{s}_0", "by_layer"], [f"{s}_0_l{k}" for k in range(L)], axis=0) for s in states
    ]
    if "activations" in attributes:
        attributes = {"activations": attributes["activations"] * K}
    x = "x"
    if network.batch_first:
        nodes.append(helper.make_node("Transpose", [x], ["by_step"], perm=[1, 0, 2]))
        x = "by_step"
    for k, directions in enumerate(network.layers):
        weights = [LAYOUTS["onnx"][network.form].weights(arrays) for arrays in directions]
        constants |= {f"{name}_l{k}": np.stack([w[name] for w in weights]) for name in "WR"}
        constants[f"B_l{k}"] = np.stack([w["B"].ravel() for w in weights])  # (directions, 2 G H)
        peepholes = "P" in weights[0]
        if peepholes:
            constants[f"P_l{k}"] = np.stack([w["P"] for w in weights])
        lengths_and_states = ["", *(f"{s}_0_l{k}" for s in states)] if states else [""] * 3 if peepholes else []
        final = [f"{s}_n_l{k}" for s in states or ("h" if network.final and k == L - 1 else "")]
        nodes += [
            helper.make_node(
                operator,
                [x, *(f"{name}_l{k}" for name in "WRB"), *lengths_and_states, *([f"P_l{k}"] if peepholes else [])],
                [f"y_l{k}", *final],
                name=f"recurrent_l{k}",
                hidden_size=H,
                direction="bidirectional" if K == 2 else "forward",
                **attributes,
            ),
            helper.make_node("Transpose", [f"y_l{k}"], [f"rows_l{k}"], perm=[0, 2, 1, 3]),  # (T, B, directions, H)
            helper.make_node("Reshape", [f"rows_l{k}", "by_row"], [f"output_l{k}"]),  # (T, B, directions * H)
        ]
        x = f"output_l{k}"
    nodes += [helper.make_node("Concat", [f"{s}_n_l{k}" for k in range(L)], [f"{s}_n"], axis=0) for s in states]
    results = {f"{s}_n": [L * K, "B", H] for s in states}
    ends, width, result = _ends(network, x, L), K * H, "output"
    if network.readout:
        constants |= {"readout_weight": network.readout["weight"].T.copy(), "readout_bias": network.readout["bias"]}
        width, result = len(network.readout["bias"]), "logits" if network.activation == "linear" else "output"
    if network.final:
        constants["joined"] = np.array([0, K * H])
    ends[-1].output[0] = result
    order = ["B", "T"] if network.batch_first else ["T", "B"]
    arguments = {"x": [*order, D]} | {f"{s}_0": [L * K, "B", H] for s in states}
    results = {result: [*(["B"] if network.final else order), width]} | results
    graph = helper.make_graph(
        nodes + ends,
        "recurrent",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in arguments.items()],
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in results.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _ends(network: Network, x: str, layers: int) -> list[onnx.NodeProto]:
    """Return what follows the recurrent layers, whose output is ``x`` (T, B, directions * H)."""
    nodes = []
    if network.final:
        nodes.append(helper.make_node("Transpose", [f"h_n_l{layers - 1}"], ["by_batch"], perm=[1, 0, 2]))
        nodes.append(helper.make_node("Reshape", ["by_batch", "joined"], ["final"]))  # (B, directions * H)
        x = "final"
    if network.readout:
        nodes.append(helper.make_node("MatMul", [x, "readout_weight"], ["product"]))
        nodes.append(helper.make_node("Add", ["product", "readout_bias"], ["sum"]))
        x = "sum"
    if network.activation != "linear":
        nodes.append(helper.make_node(network.activation.capitalize(), [x], ["activated"]))
        x = "activated"
    if network.batch_first and not network.final:
        nodes.append(helper.make_node("Transpose", [x], ["as_given"], perm=[1, 0, 2]))
    return nodes or [helper.make_node("Identity", [x], [""])]


def write(path: Path, framework: str, network: Network) -> None:
    """Write a network as an ONNX model."""
    model = as_model(network)
    helper.set_model_props(model, {CHECKSUM: checksum(initializers(model))})
    path.write_bytes(model.SerializeToString())


def initializers(model: onnx.ModelProto) -> Arrays:
    """Return the constants that a model names as such."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def layer_model(case: LayerCase, weights: list[Arrays]) -> onnx.ModelProto:
    """Return a model of a case, given the weights of each direction in ONNX's layout."""
    layout = LAYOUTS["onnx"][case.form]
    return as_model(Network(case.form, [[layout.parameters(arrays) for arrays in weights]], {}))
