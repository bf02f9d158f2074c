"""Networks from one framework's files to another's, and into ``manual``."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import manual
from compare.files import replacing
from compare.frameworks.files import arrays
from compare.frameworks.files.proof import Reading, Writing
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network
from manual.recurrent import Recurrent

#: How names of files end: those of any framework's arrays, and those of one framework alone, by the framework.
ARRAYS = (".safetensors", ".npz")
MODELS = {
    "keras": (".keras", ".h5", ".weights.h5"),
    "linen": (".msgpack",),
    "onnx": (".onnx",),
    "torch": (".pt", ".pth"),
}

#: Those that are read, and not written: what torch writes is a pickle, and Keras has given .h5 up.
ONLY_READ = (*MODELS["torch"], ".h5")


def read(
    path: Path,
    framework: str,
    part: str = "",
    only: str = "",
    form: str = "",
    large: bool = False,
    prove: bool = True,
) -> Reading:
    """Read the network in a file.

    Args:
        path: the file; how its name ends says what kind it is.
        framework: whose layout it has, a key of ``LAYOUTS``.
        part: of a model, the name of a recurrent layer, to read its layers alone.
        only: of named arrays, the prefix of those to read.
        form: what named arrays do not say, as in ``arrays.read``.
        large: whether the file may unpack to more than 4 GiB.
        prove: whether to run it and ``manual``, where the framework is installed.

    Raises:
        ValueError: no such file, one that is damaged, a kind that the framework does not have, a network that
            ``manual`` does not have, or one that its framework computes otherwise.
    """
    check_ending("file", path, framework)
    if not path.is_file():
        raise ValueError(f"file: no such file: {path}")
    is_model = _is_model(path)
    if part and not is_model:
        raise ValueError(f"part: expected a model, .onnx, .keras or .h5, which has named layers, got {path}")
    for name, chosen in (("only", only), ("form", form)):
        if chosen and is_model:
            raise ValueError(f"{name}: expected named arrays, got the model {path}, which says itself what it is")
    try:
        if is_model:
            reader = import_module(f"compare.frameworks.files.{framework}_read")
            reading: Reading = reader.read(path, part, prove, large)
        else:
            reading = arrays.read(path, framework, only, form, large, prove)
        reading.network.model()  # which says what does not fit
    except (ValueError, OSError, ImportError):
        raise
    except Exception as error:  # a damaged file makes others' parsers raise anything
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: expected a file of {framework} as its name says: {words}") from None
    return reading


def write(path: Path, framework: str, network: Network, prove: bool = True) -> Writing:
    """Write a network to a file, replaced once it was read back as the same; a ValueError if it cannot hold it."""
    check_ending("out", path, framework)
    if path.name.endswith(ONLY_READ) and not path.name.endswith(".weights.h5"):
        raise ValueError(f"out: expected a kind of file that is not only read, as {', '.join(ONLY_READ)}, got {path}")
    if network.form not in LAYOUTS[framework]:
        raise ValueError(f"to: {framework} has {'; '.join(LAYOUTS[framework])}, but the network is {network.form}")
    is_model = _is_model(path)
    is_own = is_model or path.name.endswith(".weights.h5")
    writer = import_module(f"compare.frameworks.files.{framework}_layer") if is_own else arrays
    unsaid = [] if is_model else arrays.unsaid(network, framework)
    with replacing(path) as temporary:
        writer.write(temporary, framework, network)
        form = ", ".join([*unsaid, *(["readout"] if network.readout else [])])
        again = read(temporary, framework, form="" if is_model else form, large=True, prove=prove)
        _check_same(path, network, again.network)
    return Writing(again.proof, tuple(unsaid))


def load(path: Path, **options: Any) -> manual.Model | Recurrent:
    """Return a ``manual`` model with the recurrent layers and the readout of a model, or a layer if it has no readout.

    It has the same outputs from the same x, in the same layout. Where the model hands out the final state alone and has
    no readout, that is the last layer's h_n.

    Args:
        path: an ONNX model or a Keras model.
        options: ``part``, ``large`` and ``prove``, as of ``read``.

    Raises:
        ValueError: no such file, one that is neither, a layer that ``manual`` does not have, or outputs that differ.
    """
    if not _is_model(path):
        raise ValueError(f"path: expected a name that ends in .onnx, .keras or .h5, got {path}")
    framework = "onnx" if path.suffix == ".onnx" else "keras"
    return read(path, framework, **options).network.model()


def check_ending(argument: str, path: Path, framework: str) -> None:
    """Raise a ValueError unless a framework has files whose names end like this."""
    endings = (*MODELS.get(framework, ()), *ARRAYS)
    if not path.name.endswith(endings):
        raise ValueError(f"{argument}: expected a name that ends in {' or '.join(endings)} for {framework}, got {path}")


def _is_model(path: Path) -> bool:
    """Return whether a file is a model, whose edges can be followed, and not a file of arrays."""
    return path.name.endswith((".onnx", ".keras", ".h5")) and not path.name.endswith(".weights.h5")


def _check_same(path: Path, network: Network, again: Network) -> None:
    """Compare the outputs of a network with those of what was read back of it."""
    first = network.layers[0][0]
    x = np.random.default_rng(0).normal(size=(3, 4, first["weight_ih"].shape[1])).astype(first["weight_ih"].dtype)
    expected, got = (replace(one, batch_first=False).model().forward(x)[0] for one in (network, again))
    if expected.shape != got.shape or not np.abs(got - expected).max() <= 1e-6 * np.abs(expected).max():
        raise ValueError(f"{path}: expected to read back {network.title}, got {again.title}")
