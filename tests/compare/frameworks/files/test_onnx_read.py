"""ONNX models of operators one by one, as Keras, tf2onnx and others write them: read and proved, or refused by name."""

import numpy as np
import pytest
from networks import network_of

from compare.frameworks.layouts import LAYOUTS

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402 - it is there from here on

from compare.frameworks.files.onnx_layer import as_model  # noqa: E402
from compare.frameworks.files.onnx_read import as_network  # noqa: E402

T, B, D, H, O = 6, 2, 3, 5, 4


def lstm_model(nodes, constants, x="x", y="y", source=None, shape=("T", "B", D), opset=17):
    """A model from ``x`` to ``y`` of an LSTM and of what follows it; or of other operators, with the LSTM's weights."""
    network = source or network_of("lstm", layers=1, readout=False, dtype="float32")
    arrays = {f"{n}_l0": a for n, a in zip("WRB", _onnx_weights(network))} | constants
    layer = helper.make_node("LSTM", [x, "W_l0", "R_l0", "B_l0"], ["Y", "Y_h", "Y_c"], name="lstm", hidden_size=H)
    if not any("LSTM" in (node.op_type, *(a.name for a in node.attribute)) for node in nodes):
        nodes = [layer, *nodes] if x == "x" else nodes
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(y, onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _onnx_weights(network):
    weights = LAYOUTS["onnx"]["lstm"].weights(network.layers[0][0])
    return weights["W"][None], weights["R"][None], weights["B"].reshape(1, -1)


rng = np.random.default_rng(0)
W, b = rng.normal(size=(H, O)).astype(np.float32), rng.normal(size=O).astype(np.float32)
node = helper.make_node
SQUEEZED = [node("Squeeze", ["Y", "one"], ["h"])]  # (T, B, H)

#: How exporters write a readout: its operators from h (T, B, H) to y, each with inputs and output, and its constants.
READOUTS = {
    "matmul, add": ([("MatMul", "h W p"), ("Add", "p b y")], {}),
    "tf2onnx: reshaped between": (
        [
            *(("MatMul", "h W p"), ("Reshape", "p rows q"), ("Add", "b q s"), ("Shape", "h all")),
            *(("Slice", "all zero two TB"), ("Concat", "TB O shape", {"axis": 0}), ("Reshape", "s shape y")),
        ],
        {"rows": [-1, O], "zero": [0], "two": [2], "O": [O]},
    ),
    "gemm": (
        [
            *(("Reshape", "h rows r"), ("Gemm", "r Wt b2 g", {"transB": 1, "alpha": 0.5, "beta": 0.5})),
            ("Reshape", "g TBO y"),
        ],
        {"rows": [-1, H], "TBO": [T, B, O], "Wt": 2 * W.T, "b2": 2 * b[None]},
    ),
    "gemm the other way round": (
        [
            *(("Reshape", "h rows r"), ("Gemm", "W r column g", {"transA": 1, "transB": 1})),
            *(("Transpose", "g t"), ("Reshape", "t TBO y")),
        ],
        {"rows": [-1, H], "TBO": [T, B, O], "column": b[:, None]},
    ),
    "weights first": (
        [
            *(("Transpose", "h t", {"perm": [0, 2, 1]}), ("MatMul", "Wt t p"), ("Add", "p column q")),
            ("Transpose", "q y", {"perm": [0, 2, 1]}),
        ],
        {"Wt": W.T, "column": b[:, None]},
    ),
    "sub": ([("MatMul", "h W p"), ("Sub", "p minus y")], {"minus": -b[None, None]}),
    "from a constant": ([("MatMul", "h minus p"), ("Sub", "b p y")], {"minus": -W}),
    "two biases": ([("MatMul", "h W p"), ("Add", "p half q"), ("Add", "half q y")], {"half": b / 2}),
    "cast": ([("Cast", "h d", {"to": 1}), ("MatMul", "d W p"), ("Add", "p b y")], {}),
}


def made(written):
    """Operators of a table."""
    nodes = []
    for kind, names, *attributes in written:
        *inputs, output = names.split()
        nodes.append(node(kind, inputs, [output], **(attributes[0] if attributes else {})))
    return SQUEEZED + nodes


@pytest.mark.parametrize("name", READOUTS)
def test_a_readout_is_read_however_it_is_written(name):
    runtime = pytest.importorskip("onnxruntime")
    nodes, constants = READOUTS[name]
    constants = {n: np.asarray(a) for n, a in constants.items()} | {"W": W, "b": b, "one": np.array([1])}
    model = lstm_model(made(nodes), constants, shape=(T, B, D))
    reading = as_network(model, "m", prove=True)
    assert reading.proof.error < 1e-5
    assert reading.network.readout["weight"] == pytest.approx(W.T) and reading.network.readout["bias"] == pytest.approx(
        b
    )
    x = rng.normal(size=(T, B, D)).astype(np.float32)
    (theirs,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert np.abs(reading.network.model().forward(x)[0] - theirs).max() < 1e-6


def test_a_bias_that_differs_by_step_is_none():
    constants = {"one": np.array([1]), "W": W, "b": rng.normal(size=(T, 1, O)).astype(np.float32)}
    nodes = made(READOUTS["matmul, add"][0])
    with pytest.raises(ValueError, match="Add y: expected one bias for each logit, got one that differs by step"):
        as_network(lstm_model(nodes, constants, shape=(T, B, D)), "m")


def test_weights_that_operators_make_of_constants_are_folded():
    network = network_of("lstm", layers=1, readout=False, dtype="float32")
    weight, _, bias = _onnx_weights(network)
    scaled = np.clip(np.round(weight[0] / 0.02), -127, 127).astype(np.int8)
    nodes = [
        node("DequantizeLinear", ["w8", "scale"], ["w"]),
        node("Unsqueeze", ["w", "zero"], ["W_own"]),
        node("Identity", ["R_l0"], ["R_own"]),
        node("Cast", ["wide"], ["narrow"], to=1),
        node("Mul", ["narrow", "half"], ["B_in"]),
        node("Concat", ["B_in", "B_h"], ["B_own"], axis=1),
        node("LSTM", ["x", "W_own", "R_own", "B_own"], ["Y"], name="lstm", hidden_size=H),
        node("Squeeze", ["Y", "one"], ["y"]),
    ]
    half = bias.shape[1] // 2
    constants = {"w8": scaled, "scale": np.float32(0.02), "zero": np.array([0]), "one": np.array([1])}
    constants |= {"wide": 2 * bias[:, :half].astype(np.float64), "half": np.float32(0.5), "B_h": bias[:, half:]}
    folded = as_network(lstm_model(nodes, constants), "m", prove=True).network
    assert np.abs(folded.layers[0][0]["weight_ih"] - network.layers[0][0]["weight_ih"]).max() < 0.011
    for name in ("weight_hh", "bias_ih", "bias_hh"):
        assert folded.layers[0][0][name] == pytest.approx(network.layers[0][0][name], abs=1e-7)


#: What stands where an initial state or the lengths may, and the words of the error; none if it changes nothing.
GIVEN = {
    "initial_h, zeros": ({5: np.zeros((1, B, H))}, ""),
    "initial_h": ({5: np.full((1, B, H), 0.1)}, "LSTM lstm: initial_h: expected zeros or an input"),
    "initial_c": ({5: np.zeros((1, B, H)), 6: np.full((1, B, H), 0.1)}, "LSTM lstm: initial_c: expected zeros"),
    "all steps": ({4: np.full(B, T)}, ""),
    "lengths": ({4: np.array([T, 2])}, r"LSTM lstm: sequence_lens: expected all 6 steps, got the constant \[6, 2\]"),
}


@pytest.mark.parametrize("name", GIVEN)
def test_constant_states_and_lengths_are_zero_and_whole_or_refused(name):
    places, words = GIVEN[name]
    inputs = ["x", "W_l0", "R_l0", "B_l0", *(f"g{k}" if k in places else "" for k in (4, 5, 6))]
    nodes = [node("LSTM", inputs, ["Y"], name="lstm", hidden_size=H), node("Squeeze", ["Y", "one"], ["y"])]
    given = {f"g{k}": a.astype(np.int32 if k == 4 else np.float32) for k, a in places.items()}
    model = lstm_model(nodes, given | {"one": np.array([1])}, shape=(T, B, D))
    if words:
        with pytest.raises(ValueError, match=words):
            as_network(model, "m")
    else:
        assert as_network(model, "m", prove=True).network.title == "lstm, 1 layer from 3 to 5"


@pytest.mark.parametrize("kind", ["If", "Loop"])
def test_a_recurrent_operator_inside_another_is_found_and_said(kind):
    inner = [
        node("LSTM", ["x", "W_l0", "R_l0", "B_l0"], ["Y"], name="inner", hidden_size=H),
        node("Squeeze", ["Y", "one"], ["v"]),
    ]
    value = helper.make_tensor_value_info("v", onnx.TensorProto.FLOAT, None)
    flag = helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    if kind == "If":
        branch = helper.make_graph(inner, "branch", [], [value])
        outer = node("If", ["flag"], ["y"], name="outer", then_branch=branch, else_branch=branch)
    else:
        counted = [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []), flag]
        body = helper.make_graph(
            [*inner, node("Identity", ["flag"], ["on"])],
            "body",
            counted,
            [helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []), value],
        )
        outer = node("Loop", ["three", "flag"], ["y"], name="outer", body=body)
    model = lstm_model([outer], {"one": np.array([1]), "three": np.array(3)}, x="")
    model.graph.input.append(flag)
    with pytest.raises(ValueError, match=f"{kind} outer: expected recurrent operators outside .* got LSTM inner"):
        as_network(model, "m")
    part = as_network(model, "m", "inner", prove=True)
    assert part.network.title == "lstm, 1 layer from 3 to 5" and part.proof.error < 1e-5
    assert part.left_out[0] == "after or beside: Squeeze v" and part.left_out[-1] == f"after or beside: {kind} outer"
    if kind == "If":  # a constant decides
        model.graph.input.pop()
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
        assert as_network(model, "m", prove=True).network.title == "lstm, 1 layer from 3 to 5"


ATTRIBUTES = {
    "direction": ("reverse", "got backwards alone"),
    "activations": (["Relu", "Tanh", "Tanh"], r"expected the activations \['Sigmoid', 'Tanh', 'Tanh'\], got \['Relu'"),
    "clip": (3.0, "expected no attribute that manual lacks, got {'clip': 3.0}"),
    "layout": (1, "expected no attribute that manual lacks, got {'layout': 1}"),
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_operator_that_manual_lacks_is_refused(attribute):
    value, words = ATTRIBUTES[attribute]
    model = as_model(network_of("lstm", layers=1))
    (layer,) = [one for one in model.graph.node if one.op_type == "LSTM"]
    kept = [a for a in layer.attribute if a.name != attribute]
    del layer.attribute[:]
    layer.attribute.extend([*kept, helper.make_attribute(attribute, value)])
    with pytest.raises(ValueError, match=words):
        as_network(model, "model")


def test_weights_of_other_shapes_are_refused():
    model = as_model(network_of("lstm", layers=1))
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "B_l0"]
    bias.CopyFrom(numpy_helper.from_array(np.zeros((1, H)), "B_l0"))
    with pytest.raises(ValueError, match=r"LSTM recurrent_l0: B: expected shape \(1, 40\), got \(1, 5\)"):
        as_network(model, "model")


def test_a_recurrent_operator_of_another_domain_is_named():
    nodes = [helper.make_node("DynamicQuantizeLSTM", ["x", "W_l0"], ["y"], domain="com.microsoft", hidden_size=H)]
    model = lstm_model(nodes, {}, x="")
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ValueError, match=r"operator of ONNX, got com\.microsoft\.DynamicQuantizeLSTM"):
        as_network(model, "m")
