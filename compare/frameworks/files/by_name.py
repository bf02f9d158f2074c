"""Networks in files of named arrays: npz, safetensors, Flax's msgpack, and weights.h5 of Keras.

Such a file says of a network nothing but the names and shapes of its arrays. Those that end as the names in a
framework's layout do are the weights of a layer in one direction, what stands before them tells the layers apart, and
what remains is a readout.
"""

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np

from compare.cells.layout import Arrays, Layout
from compare.converter import checksum, read_arrays, verify, write_arrays
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: How a file names the arrays of layer {k}, {array} being a name of the layout: in one direction, forwards and
#: backwards where there are both; and those of the readout, {k} being the number of layers. Flax's and MLX's names are
#: those of their own sequential models, so that these can load them.
_NUMBERED = ("l{k}/{array}", "l{k}/{array}", "l{k}_reverse/{array}", "readout/{array}")
_TORCH = ("recurrent.{array}_l{k}", "recurrent.{array}_l{k}", "recurrent.{array}_l{k}_reverse", "readout.{array}")
_FLAX = tuple(f"params/layers_{{k}}/{p}{{array}}" for p in ("cell/", "forward_rnn/cell/", "backward_rnn/cell/", ""))
_MLX = tuple(f"layers.{{k}}.{p}{{array}}" for p in ("", "forward.", "backward.", ""))
NAMES = dict.fromkeys(LAYOUTS, _NUMBERED) | {"torch": _TORCH, "paddle": _TORCH, "linen": _FLAX, "mlx": _MLX}

#: What each framework calls the weight and the bias of a linear layer, and whether its weight is (in, out).
LINEAR = dict.fromkeys(LAYOUTS, ("kernel", "bias", True)) | {
    "torch": ("weight", "bias", False),
    "paddle": ("weight", "bias", True),
    "mlx": ("weight", "bias", False),
    "equinox": ("weight", "bias", False),
    "haiku": ("w", "b", True),
}

#: Where a checksum stands: in a Flax file as a collection of its own, in one of Keras as an attribute. ZIP files, which
#: ``.npz`` and ``.keras`` are, have their own checksums.
COLLECTION, ATTRIBUTE = "checksum/sha256", "sha256"


def to_arrays(network: Network, framework: str) -> Arrays:
    """Return a network's arrays as a framework names and lays them out.

    Raises:
        ValueError: the framework cannot hold the network.
    """
    if network.form not in LAYOUTS[framework]:
        raise ValueError(f"{framework}: expected one of {'; '.join(LAYOUTS[framework])}, got {network.form}")
    layout = LAYOUTS[framework][network.form]
    one, forward, backward, readout = NAMES[framework]
    arrays: Arrays = {}
    for k, directions in enumerate(network.layers):
        for template, weights in zip([one] if len(directions) == 1 else [forward, backward], directions):
            arrays |= {template.format(array=n, k=k): array for n, array in layout.weights(weights).items()}
    if network.readout:
        weight, bias, columns = LINEAR[framework]
        own = {weight: network.readout["weight"].T.copy() if columns else network.readout["weight"]}
        own[bias] = network.readout["bias"]
        arrays |= {readout.format(array=name, k=len(network.layers)): array for name, array in own.items()}
    else:
        arrays = {name.removeprefix("recurrent."): array for name, array in arrays.items()}
    again = from_arrays(arrays, framework)
    if again.form != network.form:
        raise ValueError(f"{framework}: its weights alone do not tell {network.form} from {again.form}")
    return arrays


def from_arrays(arrays: Arrays, framework: str) -> Network:
    """Return the network whose arrays a framework names and lays out like this, in the first form that fits them.

    Raises:
        ValueError: none fits.
    """
    for form, layout in LAYOUTS[framework].items():
        network = _as_form(arrays, framework, form, layout)
        if network:
            return network
    names = " or ".join(", ".join(layout.arrays) for layout in LAYOUTS[framework].values())
    raise ValueError(f"{framework}: expected for each layer arrays named {names}, got {', '.join(arrays)}")


def read(path: Path, framework: str) -> Network:
    """Return the network in a file of named arrays.

    Raises:
        ValueError: the file is of another kind, says that it is another framework's, or does not fit its layout.
    """
    if _kind(path) == ".safetensors":
        arrays, layout = read_arrays(path)
    else:
        layout = ""
        try:
            arrays = READERS[_kind(path)](path)
        except (OSError, ValueError) as error:
            words = " ".join(str(error).split())
            raise ValueError(f"{path}: expected a file of arrays as its name says: {words}") from None
    network = from_arrays(arrays, framework)
    if layout and layout != _title(framework, network.form):
        raise ValueError(f"{path}: expected layout {_title(framework, network.form)!r}, got {layout!r}")
    return network


def write(path: Path, framework: str, network: Network) -> None:
    """Write a network as named arrays.

    Raises:
        ValueError: the framework cannot hold the network.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in to_arrays(network, framework).items()}
    WRITERS[_kind(path)](path, arrays, _title(framework, network.form))


def _as_form(arrays: Arrays, framework: str, form: str, layout: Layout) -> Network | None:
    """Return the network if all arrays are those of layers of a form and of at most one readout, else None."""
    rest, sweeps = dict(arrays), {}
    ending = r"_l\d+(?:_reverse)?" if framework in ("torch", "paddle") else ""
    for name in arrays:
        match = re.fullmatch(rf"((?:.*[./])?){re.escape(layout.arrays[0])}({ending})", name)
        own = {n: match[1] + n + match[2] for n in layout.arrays} if match else {}
        if match and all(full in rest for full in own.values()):
            try:
                parameters = layout.parameters({n: rest.pop(full) for n, full in own.items()})
            except (ValueError, IndexError):  # they have other shapes
                return None
            H, rows = parameters["weight_hh"].shape[-1], len(layout.order) * parameters["weight_hh"].shape[-1]
            shapes = [parameters[n].shape for n in ("weight_hh", "bias_ih", "bias_hh")]
            if shapes != [(rows, H), (rows,), (rows,)] or parameters["weight_ih"].shape[:-1] != (rows,):
                return None
            sweeps[match[1] + match[2]] = parameters
    weight, bias, columns = LINEAR[framework]
    readout = {re.split(r"[./]", name)[-1]: array for name, array in rest.items()}
    if not sweeps or (rest and (readout.keys() != {weight, bias} or len(rest) != 2)):
        return None
    if readout:
        readout = {"weight": (readout[weight].T if columns else readout[weight]).copy(), "bias": readout[bias].copy()}
    places = sorted(sweeps, key=lambda key: (_natural(_layer(key)), _layer(key) != key and "forward" not in key))
    layers = [[sweeps[key] for key in group] for _, group in groupby(places, _layer)]
    return Network(form, layers, readout)


def _layer(place: str) -> str:
    """Return what names a layer in both directions, from what names it in one of them."""
    return re.sub(r"(forward|backward)(_rnn|_layer)?|_reverse", "", place)


def _natural(text: str) -> list[str | int]:
    """Return a key that sorts numbers by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _title(framework: str, form: str) -> str:
    """Return what a file says of its layout, as ``compare.converter`` writes and reads it."""
    return f"{framework}: {LAYOUTS[framework][form].gates}"


def _kind(path: Path) -> str:
    return next(kind for kind in (*READERS, *WRITERS) if path.name.endswith(kind))


def _read_npz(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_msgpack(path: Path) -> Arrays:
    from flax.serialization import msgpack_restore
    from flax.traverse_util import flatten_dict

    arrays: Arrays = flatten_dict(msgpack_restore(path.read_bytes()), sep="/")
    expected = arrays.pop(COLLECTION, None)
    if expected is not None:
        verify(path, arrays, expected.tobytes().hex())
    return arrays


def read_h5(path: Path) -> Arrays:
    """Return weights that Keras has numbered, under the names of its layouts.

    Raises:
        ValueError: they are not those of their checksum.
    """
    import h5py

    arrays: Arrays = {}

    def visit(name: str, item: object) -> None:
        match = re.fullmatch(r"(.*/)vars/(\d+)", name)
        if match and not match[1].endswith("seed_generator/"):
            names = ("kernel", "recurrent_kernel", "bias") if match[1].endswith("cell/") else ("kernel", "bias")
            arrays[match[1] + names[int(match[2])]] = np.asarray(item)

    with h5py.File(path) as file:
        file.visititems(visit)
        expected = file.attrs.get(ATTRIBUTE)
    if expected is not None:
        verify(path, arrays, expected)
    return arrays


def _write_npz(path: Path, arrays: Arrays, title: str) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type] # NumPy 2.0 takes allow_pickle for an array


def _write_msgpack(path: Path, arrays: Arrays, title: str) -> None:
    from flax.serialization import msgpack_serialize
    from flax.traverse_util import unflatten_dict

    summed = arrays | {COLLECTION: np.frombuffer(bytes.fromhex(checksum(arrays)), np.uint8)}
    path.write_bytes(msgpack_serialize(unflatten_dict(summed, sep="/")))


#: By the end of a file's name; safetensors, which may name their layout, are read by the converter.
READERS: dict[str, Callable[[Path], Arrays]] = {
    ".npz": _read_npz,
    ".msgpack": _read_msgpack,
    ".weights.h5": read_h5,
}
WRITERS: dict[str, Callable[[Path, Arrays, str], None]] = {
    ".npz": _write_npz,
    ".safetensors": write_arrays,
    ".msgpack": _write_msgpack,
}
