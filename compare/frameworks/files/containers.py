"""Files of named arrays as dictionaries. None of them is trusted: nothing is run, and nothing but the file is read."""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from compare.cells.layout import Arrays
from compare.converter import checksum, read_arrays, verify, write_arrays

#: Bytes that a file may unpack to unless it is said to be large.
LIMIT = 4 << 30

#: Where a checksum stands: in a Flax file as a collection of its own, in one of Keras as an attribute. ZIP files, which
#: ``.npz`` and ``.keras`` are, have their own checksums.
COLLECTION, ATTRIBUTE = "checksum/sha256", "sha256"

#: What Keras numbers in a file of weights, by the layer that its path names.
NUMBERED = {"cell": ("kernel", "recurrent_kernel", "bias"), "dense": ("kernel", "bias")}


def read(path: Path, large: bool = False) -> tuple[Arrays, str]:
    """Return the arrays in a file, and what it says of their layout: nothing, if it is no safetensors file.

    Raises:
        ValueError: the file is damaged or of another kind, has arrays that are not those of its checksum, reads other
            files, or unpacks to more than it says or than the limit.
    """
    kind = next(kind for kind in (*READERS, ".safetensors") if path.name.endswith(kind))
    if kind == ".safetensors":
        return read_arrays(path)
    try:
        return READERS[kind](path, large), ""
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{path}: expected a file of arrays as its name says: {words}") from None


def write(path: Path, arrays: Arrays, title: str) -> None:
    """Write arrays to a file, as its name says; a safetensors file names their layout."""
    next(writer for kind, writer in WRITERS.items() if path.name.endswith(kind))(path, arrays, title)


def check_size(what: str, size: int, large: bool) -> None:
    """Raise a ValueError if something unpacks to more than the limit, unless it is said to be large."""
    if size > LIMIT and not large:
        raise ValueError(f"{what}: expected at most {LIMIT >> 30} GiB without --large, got {size / 2**30:.1f} GiB")


def _read_npz(path: Path, large: bool) -> Arrays:
    arrays: Arrays = {}
    with zipfile.ZipFile(path) as archive:
        check_size("unpacked", sum(entry.file_size for entry in archive.infolist()), large)
        for entry in archive.infolist():
            with archive.open(entry) as member:
                arrays[entry.filename.removesuffix(".npy")] = _read_npy(entry, member)
    return arrays


def _read_npy(entry: zipfile.ZipInfo, member: IO[bytes]) -> Any:
    """Return an entry of an npz file, whose header says how large it is before it is unpacked."""
    version = np.lib.format.read_magic(member)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(member)
    if dtype.hasobject:
        raise ValueError(f"{entry.filename}: expected numbers, got Python objects")
    expected, got = int(np.prod(shape, dtype=object)) * dtype.itemsize, entry.file_size - member.tell()
    if expected != got:
        raise ValueError(f"{entry.filename}: expected {expected} bytes, as its header says, got {got}")
    array = np.frombuffer(bytearray(member.read()), dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_msgpack(path: Path, large: bool) -> Arrays:
    from flax.serialization import msgpack_restore
    from flax.traverse_util import flatten_dict

    flat = flatten_dict(msgpack_restore(path.read_bytes()), sep="/")
    arrays: Arrays = {name: array for name, array in flat.items() if isinstance(array, np.ndarray)}
    expected = arrays.pop(COLLECTION, None)
    if expected is not None:
        verify(path, arrays, expected.tobytes().hex())
    return arrays


def _read_h5(path: Path, large: bool) -> Arrays:
    """Return weights that Keras has numbered, under the names of its layouts."""
    import h5py

    with h5py.File(path) as file:
        items = check_h5(file, large)
        arrays: Arrays = {}
        for name, item in items.items():
            *places, variables, number = name.split("/")
            kinds = [kind for kind in NUMBERED if re.search(rf"(^|_){kind}(_\d+)?$", places[-1] if places else "")]
            names = NUMBERED[kinds[0]] if kinds and variables == "vars" else ()
            named = names[int(number)] if number.isdigit() and int(number) < len(names) else f"{variables}/{number}"
            if places and "seed_generator" not in places[-1]:
                arrays["/".join([*places, named])] = np.asarray(item)
        expected = file.attrs.get(ATTRIBUTE)
    if expected is not None:
        verify(path, arrays, expected)
    return arrays


def check_h5(file: Any, large: bool = False) -> dict[str, Any]:
    """Return the unread datasets of an HDF5 file by name; a ValueError if one is too large, elsewhere or no numbers."""
    found = dict(_datasets(file, set()))
    for name, item in found.items():
        if item.external or item.is_virtual:
            raise ValueError(f"{name}: expected data in the file itself, got data in other files")
        if item.dtype.kind not in "fiub" or item.shape is None:
            raise ValueError(f"{name}: expected an array of numbers, got {item.dtype}")
    check_size("unpacked", sum(item.nbytes for item in found.values()), large)
    return found


def _datasets(group: Any, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of a group, each once."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{group.name}/{name}: expected data in the file itself, got a link")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _datasets(item, seen)
        elif isinstance(item, h5py.Dataset):
            yield item.name.removeprefix("/"), item


def _read_torch(path: Path, large: bool) -> Arrays:
    """Return the tensors of a file of torch's, whose pickle may hold nothing but tensors and plain values."""
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                raise ValueError("expected a state_dict, got a TorchScript program; save its state_dict() instead")
            check_size("unpacked", sum(entry.file_size for entry in archive.infolist()), large)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        words = str(error).partition("\n")[0].partition(". ")[0]
        raise ValueError(f"expected a state_dict that torch.load(weights_only=True) takes: {words}") from None
    return dict(_tensors(loaded, ""))


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the tensors in nested dictionaries as arrays, by name."""
    import torch

    if isinstance(value, torch.Tensor):
        tensor = value.detach()
        yield name, (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key))


def _write_npz(path: Path, arrays: Arrays, title: str) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type] # NumPy 2.0 takes allow_pickle for an array


def _write_msgpack(path: Path, arrays: Arrays, title: str) -> None:
    from flax.serialization import msgpack_serialize
    from flax.traverse_util import unflatten_dict

    summed = arrays | {COLLECTION: np.frombuffer(bytes.fromhex(checksum(arrays)), np.uint8)}
    path.write_bytes(msgpack_serialize(unflatten_dict(summed, sep="/")))


#: By the end of a file's name; safetensors, which may name their layout, are read by the converter.
READERS: dict[str, Callable[[Path, bool], Arrays]] = {
    ".npz": _read_npz,
    ".msgpack": _read_msgpack,
    ".weights.h5": _read_h5,
    ".pt": _read_torch,
    ".pth": _read_torch,
}
WRITERS: dict[str, Callable[[Path, Arrays, str], None]] = {
    ".npz": _write_npz,
    ".safetensors": write_arrays,
    ".msgpack": _write_msgpack,
}
