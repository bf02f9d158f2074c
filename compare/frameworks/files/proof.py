"""What a reader makes of a file, and whether the file's own framework computes the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks import adapters
from compare.frameworks.case import LayerCase
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network
from compare.frameworks.registry import FRAMEWORKS
from manual.arrays import Array

#: How far outputs may differ, relative to the largest: that of single precision, in which most frameworks compute.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Proof:
    """What came out of running both."""

    words: str  #: who computed the same, or why nobody did
    error: float | None = None  #: the largest difference relative to the largest output, if both were run


@dataclass(frozen=True)
class Reading:
    """A network, and what has to be said of how it was read."""

    network: Network
    proof: Proof  #: whether the file's own framework computes the same
    assumed: tuple[str, ...] = ()  #: what the file does not say and the reader took for granted, a phrase each
    left_out: tuple[str, ...] = ()  #: what the file has besides, a phrase each


@dataclass(frozen=True)
class Writing:
    """What has to be said of a file that was written."""

    proof: Proof  #: whether its framework computes the same
    unsaid: tuple[str, ...] = ()  #: what the file does not say, and ``--form`` has to when it is read


def compared(source: str, framework: str, ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Proof:
    """Return the proof that ``manual`` and a framework have the same outputs; a ValueError says where they differ."""
    worst = 0.0
    for name, expected in theirs.items():
        expected, got = np.asarray(expected), ours[name]
        if got.shape != expected.shape:
            raise ValueError(f"{source}: {name}: expected shape {expected.shape}, as {framework}, got {got.shape}")
        scale = np.abs(expected).max(initial=np.finfo(np.float32).tiny)
        error = float(np.abs(got - expected).max(initial=0) / scale)
        if not error <= TOLERANCE:
            raise ValueError(f"{source}: {name}: expected the outputs of {framework}, got others: off by {error:.1e}")
        worst = max(worst, error)
    return Proof(f"{framework} computes the same", worst)


#: The sizes of the input that both are run on.
T, B = 5, 3


def proof_of(source: str, framework: str, network: Network, layers: list[list[Arrays]]) -> Proof:
    """Run a framework's own layers, each on the outputs of the one before, and those of a network.

    ``layers`` are the arrays of each direction of each layer, as the framework, a key of ``LAYOUTS``, lays them out.
    """
    candidates = [one for one in FRAMEWORKS.values() if one.layout == framework]
    installed = [one for one in candidates if not one.missing]
    if framework == "keras" and installed:
        from compare.frameworks.files.keras_layer import import_keras

        backend = import_keras().backend.backend()
        installed = [one for one in installed if one.engine == backend]
    if not installed:
        return Proof(f"left out: {candidates[0].title} is not installed")
    chosen = installed[0]
    if len(layers[0]) not in chosen.directions:
        return Proof(f"left out: {chosen.title} has no layer of both directions")
    single = network.astype(np.float32)
    x = np.random.default_rng(0).normal(size=(T, B, single.layers[0][0]["weight_ih"].shape[1])).astype(np.float32)
    theirs = x
    for directions, own in zip(single.layers, layers):
        sizes = {"h": directions[0]["weight_hh"].shape[1]}
        H = sizes["c"] = directions[0].get("weight_hr", directions[0]["weight_hh"]).shape[1]
        case = LayerCase(network.form, len(own), T, B, theirs.shape[2], H, "float32")
        weights = [
            {name: array.astype(np.float32) for name, array in _with_biases(framework, network.form, arrays).items()}
            for arrays in own
        ]
        leaves, call = getattr(adapters, chosen.adapter)(case, weights, **chosen.options)
        state = [np.zeros((len(own), B, sizes[name]), np.float32) for name in case.states]
        output, *_ = call(leaves, *(_tensor(chosen.engine, array) for array in (theirs, *state)))
        theirs = np.asarray(output.detach() if hasattr(output, "detach") else output)
    ours = replace(single, readout={}, batch_first=False).model().forward(x, training=False)[0]
    return compared(source, chosen.title, {"output": ours}, {"output": theirs})


def _with_biases(framework: str, form: str, arrays: Arrays) -> Arrays:
    """Return the arrays of a layer with zeros for the biases, if the file has none: the framework's layer has some."""
    layout = LAYOUTS[framework][form]
    if set(layout.arrays) <= set(arrays):
        return arrays
    weights = {name: array for name, array in arrays.items() if name != "weight_hr"}
    return layout.weights(replace(layout, biases=0).parameters(weights)) | arrays


def _tensor(engine: str, array: Any) -> Any:
    """Return an array as a tensor of the framework's own, where it takes no arrays."""
    if engine == "torch":
        return import_module("torch").from_numpy(np.ascontiguousarray(array))
    if engine == "paddle":
        return import_module("paddle").to_tensor(array)
    return import_module("mlx.core").array(array) if engine == "mlx" else array
