"""Copy weights between the two sides and to files, bit for bit and never aliased.

Both sides name and shape their parameters as PyTorch does, so nothing has to be permuted. The converter makes sure
that nothing is dropped, added, broadcast or rounded.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from torch import nn

from compare.files import replacing
from manual.arrays import Array

#: What separates the layout from the checksum of the arrays.
CHECKSUM = "; sha256 "


class HasParameters(Protocol):
    """A model or layer of the manual side."""

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays by PyTorch's names."""


def to_torch(manual_model: HasParameters, module: nn.Module) -> None:
    """Copy the parameters of ``manual_model`` into ``module``.

    Raises:
        ValueError: a name that one side lacks, or a shape or dtype that differs; then nothing is copied.
    """
    target = {name: parameter.detach().cpu().numpy() for name, parameter in module.named_parameters()}
    _copy(manual_model.parameters, target)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.device.type != "cpu":  # else target shares its memory
                parameter.copy_(torch.from_numpy(target[name]))


def to_manual(module: nn.Module, manual_model: HasParameters) -> None:
    """Copy the parameters of ``module`` into ``manual_model``.

    Raises:
        ValueError: a name that one side lacks, or a shape or dtype that differs; then nothing is copied.
    """
    source = {name: parameter.detach().cpu().numpy() for name, parameter in module.named_parameters()}
    _copy(source, manual_model.parameters)


def save(path: Path, manual_model: HasParameters, gates: tuple[str, ...]) -> None:
    """Write the parameters to a safetensors file, replaced as a whole, whose metadata names the order of the gates."""
    write_arrays(path, manual_model.parameters, _layout(gates))


def load(path: Path, manual_model: HasParameters, gates: tuple[str, ...]) -> None:
    """Copy the parameters from a file written by ``save`` into ``manual_model``.

    Raises:
        ValueError: the file is a directory or no safetensors file, or has another layout or gate order, or arrays that
            are not finite or not those of its checksum; or a name, shape or dtype is not the model's. Then nothing is
            copied.
        FileNotFoundError: there is no such file.
    """
    arrays, layout = read_arrays(path)
    if layout != _layout(gates):
        raise ValueError(f"{path}: expected layout {_layout(gates)!r}, got {layout!r}")
    _copy(arrays, manual_model.parameters)


def write_arrays(path: Path, arrays: Mapping[str, Array], layout: str) -> None:
    """Write arrays to a safetensors file, replaced as a whole, whose metadata has their layout and their checksum."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(to_bytes(contiguous, {"layout": f"{layout}{CHECKSUM}{checksum(contiguous)}"}))


def read_arrays(path: Path, finite: bool = True) -> tuple[dict[str, Array], str]:
    """Return the arrays in a safetensors file and their layout, which is empty if its metadata does not name one.

    Args:
        path: the file.
        finite: whether to refuse arrays with NaN or infinity.

    Raises:
        ValueError: the file is a directory or no safetensors file, or has arrays that are not finite or not those of
            its checksum.
        FileNotFoundError: there is no such file.
    """
    if path.is_dir():
        raise ValueError(f"{path}: expected a safetensors file, but it is a directory")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, TypeError) as error:  # TypeError: a dtype that NumPy lacks
        raise ValueError(f"{path}: expected a safetensors file of NumPy dtypes: {error}") from None
    layout, separator, expected = metadata.get("layout", "").partition(CHECKSUM)
    if separator:
        verify(path, arrays, expected)
    for name, array in arrays.items():
        if finite and not np.isfinite(array).all():
            raise ValueError(f"{path}: expected finite numbers, got others in {name}")
    return arrays, layout


def _layout(gates: tuple[str, ...]) -> str:
    """Name the layout in a single entry. Of several, safetensors would write the entries in any order."""
    return f"torch: {' '.join(gates)}"


def verify(path: Path, arrays: Mapping[str, Array], expected: str) -> None:
    """Raise a ValueError unless the arrays in a file have this checksum."""
    if checksum(arrays) != expected:
        raise ValueError(f"{path}: expected arrays with the checksum {expected[:12]}…, got {checksum(arrays)[:12]}…")


def checksum(arrays: Mapping[str, Array]) -> str:
    """Return the SHA-256 of the arrays' names, dtypes, shapes and bytes."""
    digest = sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _copy(source: dict[str, Array], target: dict[str, Array]) -> None:
    if source.keys() != target.keys():
        missing, unknown = sorted(target.keys() - source.keys()), sorted(source.keys() - target.keys())
        raise ValueError(f"parameters: expected {sorted(target)}; missing: {missing}; unknown: {unknown}")
    for name, array in target.items():
        if source[name].shape != array.shape:
            raise ValueError(f"{name}: expected shape {array.shape}, got {source[name].shape}")
        if source[name].dtype != array.dtype:
            raise ValueError(f"{name}: expected dtype {array.dtype}, got {source[name].dtype}")
    for name, array in target.items():
        np.copyto(array, source[name])
