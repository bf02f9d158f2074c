"""Keras models as networks, whole or in part, and what Keras itself makes of them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from compare.frameworks.files.containers import check_h5, check_size
from compare.frameworks.files.keras_graph import Graph, title_of
from compare.frameworks.files.keras_layer import KINDS, import_keras
from compare.frameworks.files.proof import Proof, Reading, compared
from compare.frameworks.files.stage import chained
from compare.frameworks.network import Network

#: The sizes of B and T at which a model is followed where it leaves them free.
SIZES = (3, 5), (7, 4)

#: How a network was found, the network, a model that computes the same, and what was left out.
Found = tuple[Graph, Network, Any, tuple[str, ...]]


def read(path: Path, part: str = "", prove: bool = True, large: bool = False) -> Reading:
    """Read a Keras model; the arguments are those of ``files.read``."""
    _check(path, large)
    try:
        model = import_keras().saving.load_model(path, compile=False)
    except (OSError, TypeError, ValueError) as error:
        if not path.is_file():
            raise
        raise ValueError(f"{path}: expected a Keras model: {' '.join(str(error).split())}") from None
    return as_network(model, str(path), part, prove)


def _check(path: Path, large: bool) -> None:
    """Make sure that a file reads no other file, and does not unpack to too much, before Keras unpacks it."""
    import h5py

    try:
        if path.suffix == ".h5":
            with h5py.File(path) as weights:
                check_h5(weights, large)
            return
        with zipfile.ZipFile(path) as archive:
            check_size(f"{path}: unpacked", sum(entry.file_size for entry in archive.infolist()), large)
            with archive.open("model.weights.h5") as member, h5py.File(io.BytesIO(member.read())) as weights:
                check_h5(weights, large)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ValueError(f"{path}: expected a Keras model: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def as_network(model: Any, source: str, part: str = "", prove: bool = False) -> Reading:
    """Return the network in a Keras model, or raise a ValueError; ``source`` is what errors call it."""
    functional = getattr(model, "_functional", None) or model
    if not hasattr(functional, "_nodes_by_depth"):
        raise ValueError(f"{source}: expected a Sequential or functional model, got a {type(model).__name__}")
    try:
        found = [_followed(functional, source, part, sizes) for sizes in SIZES]
    except ValueError as error:
        names = [title_of(layer).split()[1] for layer in model.layers if type(layer).__name__ in KINDS]
        if part or not names:
            raise
        raise ValueError(f"{error}; --part NAME reads layers alone, of {', '.join(names)}") from None
    graph, network, _, left_out = found[0]
    proof = Proof("left out, as asked")
    if prove:
        proof = max((_proof(*one[:3]) for one in found), key=lambda proof: proof.error or 0)
    used = [title_of(node.operation) for node, _, _ in graph.layers]
    twice = [name for name in dict.fromkeys(used) if used.count(name) > 1]
    assumed = tuple(
        f"{name} is used {used.count(name)} times: its weights are copied, no longer shared" for name in twice
    )
    return Reading(network, proof, assumed, left_out)


def _followed(model: Any, source: str, part: str, sizes: tuple[int, int]) -> Found:
    """Follow a model at one size."""
    graph = Graph(model, source, part, sizes)
    if not graph.layers:
        raise ValueError(f"{source}: expected a layer of LSTM, GRU or SimpleRNN, got none")
    if part:
        return _part(graph, model)
    names = [tensor.name for tensor in model.outputs]
    return graph, graph.chain.finish({name: graph.labels(t) for name, t in zip(names, model.outputs)}), model, ()


def _part(graph: Graph, model: Any) -> Found:
    """Return the network of the recurrent layers that are chained to the part, and a model of these alone."""
    named = [layer for layer in graph.layers if layer[0].operation.name == graph.part]
    if not named:
        names = ", ".join(node.operation.name for node, _, _ in graph.layers)
        raise ValueError(f"{graph.chain.source}: part: expected a recurrent layer, of {names}, got {graph.part!r}")
    chain = chained(graph.layers, named[0])
    first, last = chain[0][0].input_tensors[0], chain[-1][0].outputs[0]
    network = graph.chain.finish({"Y": graph.labels(last)})
    graph.feeds = [graph.chain.walked[0].labels]
    before_it, inside = _ancestors(graph.nodes, [first]), _ancestors(graph.nodes, [last])
    left_out = [f"before: {title_of(node.operation)}" for node in before_it]
    left_out += [f"after or beside: {title_of(node.operation)}" for node in graph.nodes if node not in inside]
    return graph, network, import_keras().Model(first, last), tuple(left_out)


def _ancestors(nodes: list[Any], tensors: list[Any]) -> list[Any]:
    """Return the nodes that symbolic tensors depend on, in their order."""
    wanted, found = {id(tensor) for tensor in tensors}, []
    for node in reversed(nodes):
        if wanted & {id(tensor) for tensor in node.outputs}:
            found.append(node)
            wanted |= {id(tensor) for tensor in node.input_tensors}
    return found[::-1]


def _proof(graph: Graph, network: Network, model: Any) -> Proof:
    """Run Keras and ``manual`` on the same random numbers."""
    keras = import_keras()
    values = np.random.default_rng(0).normal(size=len(graph.chain.renamed)).astype(network.dtype)
    feeds = [values[labels] for labels in graph.feeds]
    theirs = model(feeds if len(feeds) > 1 else feeds[0], training=False)
    theirs = theirs if isinstance(theirs, (list, tuple)) else [theirs]
    ours = graph.chain.expected(network, values)
    plain = [keras.ops.convert_to_numpy(tensor) for tensor in theirs]
    return compared(graph.chain.source, f"Keras on {keras.backend.backend()}", ours, dict(zip(ours, plain)))
