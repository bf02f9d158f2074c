"""ONNX models as networks, whole or in part, and what ONNX Runtime makes of them."""

import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from compare.converter import verify
from compare.frameworks.files.onnx_graph import RECURRENT, Graph, inside, needed, title_of
from compare.frameworks.files.onnx_layer import CHECKSUM, initializers
from compare.frameworks.files.proof import Proof, Reading, compared
from compare.frameworks.files.stage import Marked, chained
from compare.frameworks.network import Network

#: The sizes at which a model is followed where it leaves them free. No constant of the model can pass for both.
SIZES = (5, 3), (4, 7)

#: How a network was found, the network, a model that computes the same, and what was left out.
Found = tuple[Graph, Network, onnx.ModelProto, tuple[str, ...]]


def read(path: Path, part: str = "", prove: bool = True, large: bool = False) -> Reading:
    """Read an ONNX model, which is not packed; the arguments are those of ``files.read``."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, DecodeError) as error:
        raise ValueError(f"{path}: expected an ONNX model: {str(error).splitlines()[0]}") from None
    for entry in model.metadata_props:
        if entry.key == CHECKSUM:
            verify(path, initializers(model), entry.value)
    return as_network(model, str(path), part, prove)


def as_network(model: onnx.ModelProto, source: str, part: str = "", prove: bool = False) -> Reading:
    """Return the network in a model, or raise a ValueError; ``source`` is what errors call it."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    try:
        found = [_followed(model, source, part, sizes) for sizes in SIZES]
    except ValueError as error:
        nodes = [one for node in model.graph.node for one in (node, *inside(node))]
        names = ", ".join(node.name or node.output[0] for node in nodes if node.op_type in RECURRENT)
        if not names:
            alike = dict.fromkeys(f"{n.domain}.{n.op_type}" for n in nodes if re.search("LSTM|GRU|RNN", n.op_type))
            got = ", ".join(alike) or "none"
            raise ValueError(f"{source}: expected an LSTM, GRU or RNN operator of ONNX, got {got}") from None
        if part:
            raise
        raise ValueError(f"{error}; --part NAME reads layers alone, of {names}") from None
    _, network, _, left_out = found[0]
    if network.title != found[1][1].title:
        raise ValueError(f"{source}: expected one network at all T and B, got {network.title} and {found[1][1].title}")
    if not prove:
        proof = Proof("left out, as asked")
    elif not find_spec("onnxruntime"):
        proof = Proof("left out: ONNX Runtime is not installed")
    else:
        proof = max((_proof(*one[:3]) for one in found), key=lambda proof: proof.error or 0)
    return Reading(network, proof, left_out=left_out)


def _followed(model: onnx.ModelProto, source: str, part: str, sizes: tuple[int, int]) -> Found:
    """Follow a model; where it leaves the sizes of a state free, as one whose batch is the second axis or the first."""
    try:
        graph = Graph(model, source, part, sizes)
        return _part(graph) if part else (graph, _whole(graph), model, ())
    except ValueError:
        with suppress(ValueError):
            graph = Graph(model, source, part, sizes, batch_axis=0)
            if len(graph.feeds) > 1 and not part:
                return graph, _whole(graph), model, ()
        raise


def _whole(graph: Graph) -> Network:
    """Return the network that the whole model is."""
    if not graph.layers:
        raise ValueError(
            f"{graph.chain.source}: expected an LSTM, GRU or RNN operator, got none that an output depends on"
        )
    return graph.chain.finish({value.name: graph.labels(value.name) for value in graph.model.graph.output})


def _part(graph: Graph) -> Found:
    """Return the network of the recurrent layers that are chained to the part, and a model of these alone."""
    named = [layer for layer in graph.layers if graph.part in (layer[0].name, title_of(layer[0]), *layer[0].output)]
    if not named:
        names = ", ".join(node.name or node.output[0] for node, _, _ in graph.layers) or "none"
        raise ValueError(f"{graph.chain.source}: part: expected a recurrent operator, of {names}, got {graph.part!r}")
    chain = chained(graph.layers, named[-1])  # two branches of an If may have the same names
    (first, _, _), (last, _, outputs) = chain[0], chain[-1]
    network = graph.chain.finish({"Y": outputs})
    T, B, width = outputs.shape
    K = len(network.layers[0])
    graph.chain.outputs = {"Y": outputs.reshape(T, B, K, width // K).transpose(0, 2, 1, 3)}
    graph.feeds = {"X": graph.chain.walked[0].labels}
    moving = [node for node in graph.nodes if any(isinstance(graph.values.get(name), Marked) for name in node.output)]
    before_it = [node for node in needed(graph.nodes, [first.input[0]]) if node in moving]
    within = needed(graph.nodes, [name for name in last.output if name])
    rest = [node for node in moving if node not in before_it and node not in within]
    given = [name for node, _, _ in chain for name in node.input[4:7] if isinstance(graph.values.get(name), Marked)]
    left_out = [f"before: {title_of(node)}" for node in before_it] + [
        f"after or beside: {title_of(node)}" for node in rest
    ]
    left_out += [f"a state or lengths that the caller gives: {name}" for name in dict.fromkeys(given) if name]
    return graph, network, _cut(graph, [node for node, _, _ in chain]), tuple(left_out)


def _cut(graph: Graph, chain: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Return a model of a chain of recurrent operators alone, from X to Y, from an initial state of zeros."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.nodes]
    layers = [next(copy for node, copy in zip(graph.nodes, copies) if node is layer) for layer in chain]
    for node in layers:
        for place in range(4, min(7, len(node.input))):
            node.input[place] = ""
    layers[0].input[0], layers[-1].output[0] = "X", "Y"
    marked = {name for name, value in graph.values.items() if isinstance(value, Marked)} | {"Y"}
    kept = [node for node in needed(copies, ["Y"]) if marked & set(node.output)]
    taken = {name for node in kept for name in node.input} - marked - {"", "X"}
    whole = helper.make_graph(
        kept,
        "part",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None] * 3)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.asarray(graph.values[name]), name) for name in sorted(taken)],
    )
    return helper.make_model(whole, opset_imports=graph.opsets, ir_version=graph.model.ir_version)


def _proof(graph: Graph, network: Network, model: onnx.ModelProto) -> Proof:
    """Run ONNX Runtime and ``manual`` on the same random numbers, in single precision, as the first does."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    values = np.random.default_rng(0).normal(size=len(graph.chain.renamed)).astype(np.float32)
    feeds = {name: values[labels] for name, labels in graph.feeds.items()}
    try:
        session = onnxruntime.InferenceSession(_in_single_precision(model).SerializeToString(), options)
        taken = {argument.name for argument in session.get_inputs()}
        theirs = session.run(list(graph.chain.outputs), {name: feeds[name] for name in taken})
    except Exception as error:
        return Proof(f"left out: ONNX Runtime cannot run it: {' '.join(str(error).split())}")
    ours = graph.chain.expected(network.astype(np.float32), values)
    return compared(graph.chain.source, "ONNX Runtime", ours, dict(zip(graph.chain.outputs, theirs)))


def _in_single_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with float in the place of double and of float16."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    others = (TensorProto.DOUBLE, TensorProto.FLOAT16)

    def cast(tensor: TensorProto) -> None:
        if tensor.data_type in others:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))

    for tensor in single.graph.initializer:
        cast(tensor)
    for node in single.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                cast(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in others:
                attribute.i = TensorProto.FLOAT
    del single.graph.value_info[:]
    for value in [*single.graph.input, *single.graph.output]:
        if value.type.tensor_type.elem_type in others:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return single
