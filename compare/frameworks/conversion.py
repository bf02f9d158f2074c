"""Networks from one framework's files to another's, and into ``manual``."""

from importlib import import_module
from pathlib import Path

import manual
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network
from manual.recurrent import Recurrent

#: How names of files end: those of any framework's arrays, and those of one framework alone, by the framework.
ARRAYS = (".safetensors", ".npz")
MODELS = {"keras": (".keras", ".weights.h5"), "linen": (".msgpack",), "onnx": (".onnx",)}


def read(path: Path, framework: str) -> Network:
    """Return the network in a file.

    Args:
        path: the file; how its name ends says what kind it is.
        framework: whose layout it has, a key of ``LAYOUTS``.

    Raises:
        ValueError: no such file, one that is damaged, a kind that the framework does not have, or a network that
            ``manual`` does not have.
    """
    check_ending("file", path, framework)
    if not path.is_file():
        raise ValueError(f"file: no such file: {path}")
    is_model = path.name.endswith((".onnx", ".keras"))
    reader = import_module(f"compare.frameworks.{f'{framework}_files' if is_model else 'weight_files'}")
    try:
        network: Network = reader.read(path) if is_model else reader.read(path, framework)
        network.model()  # which says what does not fit
    except (ValueError, OSError, ImportError):
        raise
    except Exception as error:  # a damaged file makes others' parsers raise anything
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: expected a file of {framework} as its name says: {words}") from None
    return network


def write(path: Path, framework: str, network: Network) -> None:
    """Write a network to a file, which is replaced as a whole.

    Args:
        path: the file; how its name ends says what kind it is to be.
        framework: whose layout it is to have, a key of ``LAYOUTS``.
        network: what to write.

    Raises:
        ValueError: a kind of file that the framework does not have, or a network that it cannot hold.
    """
    check_ending("out", path, framework)
    if network.form not in LAYOUTS[framework]:
        raise ValueError(f"to: {framework} has {'; '.join(LAYOUTS[framework])}, but the network is {network.form}")
    if path.name.endswith((".onnx", ".keras", ".weights.h5")):
        import_module(f"compare.frameworks.{framework}_files").write(path, network)
        return
    from compare.frameworks import weight_files

    weight_files.write(path, framework, network)


def load(path: Path) -> manual.Model | Recurrent:
    """Return a ``manual`` model with the recurrent layers and the readout of a model, or a layer if it has no readout.

    Args:
        path: an ONNX model or a Keras model.

    Raises:
        ValueError: no such file, one that is neither, or a layer that ``manual`` does not have.
    """
    framework = path.suffix.removeprefix(".")
    if framework not in ("onnx", "keras"):
        raise ValueError(f"path: expected a name that ends in .onnx or .keras, got {path}")
    return read(path, framework).model()


def check_ending(argument: str, path: Path, framework: str) -> None:
    """Make sure that a framework has files whose names end like this.

    Raises:
        ValueError: it has not.
    """
    endings = (*MODELS.get(framework, ()), *ARRAYS)
    if not path.name.endswith(endings):
        raise ValueError(f"{argument}: expected a name that ends in {' or '.join(endings)} for {framework}, got {path}")
