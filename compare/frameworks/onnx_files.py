"""Networks as ONNX models, and ONNX models as networks."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from compare.cells.layout import Arrays
from compare.converter import checksum, verify
from compare.files import replacing
from compare.frameworks.case import Case
from compare.frameworks.forms import FORMS
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: The oldest version of the operators that a current runtime and OpenVINO both take.
OPSET = 17

#: The entry of the metadata with the checksum of the initializers.
CHECKSUM = "sha256"

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
}

#: The attributes that set forms apart, besides activations.
OPTIONS = {"LSTM": ("input_forget",), "GRU": ("linear_before_reset",), "RNN": ()}

#: What the standard lets an operator compute where no activations are given, for one direction.
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def as_model(network: Network) -> onnx.ModelProto:
    """Return an ONNX model of a network.

    With a readout it takes ``x`` (T, B, D) and returns ``logits`` (T, B, O), from an initial state of zeros. Without,
    it takes the initial state as well, (layers * directions, B, H) each, and returns ``output`` and the final state.
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
    for k, directions in enumerate(network.layers):
        weights = [LAYOUTS["onnx"][network.form].weights(arrays) for arrays in directions]
        constants |= {f"{name}_l{k}": np.stack([w[name] for w in weights]) for name in "WR"}
        constants[f"B_l{k}"] = np.stack([w["B"].ravel() for w in weights])  # (directions, 2 G H)
        peepholes = "P" in weights[0]
        if peepholes:
            constants[f"P_l{k}"] = np.stack([w["P"] for w in weights])
        lengths_and_states = ["", *(f"{s}_0_l{k}" for s in states)] if states else [""] * 3 if peepholes else []
        final = [f"{s}_n_l{k}" for s in states]
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
    if network.readout:
        constants |= {"readout_weight": network.readout["weight"].T.copy(), "readout_bias": network.readout["bias"]}
        nodes += [
            helper.make_node("MatMul", [x, "readout_weight"], ["product"]),
            helper.make_node("Add", ["product", "readout_bias"], ["logits"]),
        ]
        results = {"logits": ["T", "B", len(network.readout["bias"])]}
    else:
        nodes.append(helper.make_node("Identity", [x], ["output"]))
        results = {"output": ["T", "B", K * H]} | {f"{s}_n": [L * K, "B", H] for s in states}
    arguments = {"x": ["T", "B", D]} | {f"{s}_0": [L * K, "B", H] for s in states}
    graph = helper.make_graph(
        nodes,
        "recurrent",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in arguments.items()],
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in results.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def write(path: Path, network: Network) -> None:
    """Write a network as an ONNX model; the file is replaced as a whole."""
    model = as_model(network)
    helper.set_model_props(model, {CHECKSUM: checksum(_initializers(model))})
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def read(path: Path) -> Network:
    """Return the recurrent layers of an ONNX model, each of which reads the one before, and the readout after them.

    Raises:
        ValueError: the file is no ONNX model, or has arrays that are not those of its checksum; it has no recurrent
            layer; one that ``manual`` does not have.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, DecodeError) as error:
        raise ValueError(f"{path}: expected an ONNX model: {str(error).splitlines()[0]}") from None
    for entry in model.metadata_props:
        if entry.key == CHECKSUM:
            verify(path, _initializers(model), entry.value)
    return as_network(model, str(path))


def as_network(model: onnx.ModelProto, source: str) -> Network:
    """Return the network in a model; ``source`` is what errors call it.

    Raises:
        ValueError: as ``read``.
    """
    constants = _initializers(model)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    recurrent = [node for node in model.graph.node if node.op_type in ACTIVATIONS]
    if not recurrent:
        raise ValueError(f"{source}: expected an LSTM, GRU or RNN operator, got none")
    read = [_read_node(node, constants, f"{source}: {node.op_type} {node.name}") for node in recurrent]
    forms = list(dict.fromkeys(form for form, _ in read))
    if len(forms) > 1:
        raise ValueError(f"{source}: expected recurrent layers of one form, got {'; '.join(forms)}")
    return Network(forms[0], [weights for _, weights in read], _readout(model, recurrent[-1], constants))


def _initializers(model: onnx.ModelProto) -> Arrays:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _read_node(node: onnx.NodeProto, constants: Arrays, title: str) -> tuple[str, list[Arrays]]:
    """Return the form of an operator and its weights of each direction."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    direction = given.pop("direction", b"forward").decode()
    if direction == "reverse":
        raise ValueError(f"{title}: expected direction forward or bidirectional, got reverse alone")
    K = 2 if direction == "bidirectional" else 1
    usual = ACTIVATIONS[node.op_type] * K
    activations = [name.decode().capitalize() for name in given.pop("activations", [])] or usual
    own = {name: given.pop(name, 0) for name in OPTIONS[node.op_type]}
    if node.op_type == "RNN":
        own["activations"] = activations[:1]
        usual = activations[:1] * K
    inputs = dict(zip(("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"), node.input))
    layouts, has_peepholes = LAYOUTS["onnx"], bool(inputs.get("P"))
    fitting = [name for name, found in OPERATORS.items() if found == (node.op_type, own)]
    form = next((name for name in fitting if layouts[name].peepholes == has_peepholes), None)
    if form is None or activations != usual:
        raise ValueError(f"{title}: expected the activations {usual}, got {activations}")
    given.pop("hidden_size", None)
    unknown = {name: value for name, value in given.items() if value not in (0, [])}
    if unknown:
        raise ValueError(f"{title}: expected no attribute that manual lacks, got {unknown}")
    needed = [name for name in "WRBP" if name in "WR" or inputs.get(name)]
    if not all(inputs[name] in constants for name in needed):
        raise ValueError(f"{title}: expected {', '.join(needed)} to be constants of the model")
    arrays = {name: constants[inputs[name]] for name in needed}
    arrays.setdefault("B", np.zeros((K, 2 * arrays["W"].shape[1]), arrays["W"].dtype))
    own_arrays = [{name: a[k].reshape(2, -1) if name == "B" else a[k] for name, a in arrays.items()} for k in range(K)]
    return form, [layouts[form].parameters(own) for own in own_arrays]


def _readout(model: onnx.ModelProto, last: onnx.NodeProto, constants: Arrays) -> Arrays:
    """Return the weights of a product with a constant, and of a sum with one, after the last recurrent layer."""
    after = list(model.graph.node)[list(model.graph.node).index(last) + 1 :]
    for node in after:
        if node.op_type == "MatMul" and node.input[1] in constants:
            weight = constants[node.input[1]].T.copy()
            sums = [
                name
                for other in after
                if other.op_type == "Add" and node.output[0] in other.input
                for name in other.input
            ]
            bias = next((constants[name] for name in sums if name in constants), np.zeros(len(weight), weight.dtype))
            return {"weight": weight, "bias": bias.copy()}
    return {}


def layer_model(case: Case, weights: list[Arrays]) -> onnx.ModelProto:
    """Return a model of a case, given the weights of each direction in ONNX's layout."""
    layout = LAYOUTS["onnx"][case.form]
    return as_model(Network(case.form, [[layout.parameters(arrays) for arrays in weights]], {}))
