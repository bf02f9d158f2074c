"""Weights from one side to the other and to files: copied, never aliased, and bit for bit.

Both sides name and shape their parameters as PyTorch does, so nothing is permuted on the way; what has to be made
sure of is that nothing is dropped, invented, broadcast or rounded.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import nn

from compare.files import replacing
from manual.arrays import Array

#: The only layout of weight files there is: PyTorch's names, gates stacked along the rows, two biases.
LAYOUT = "torch"


class HasParameters(Protocol):
    """A model of the manual side, or a layer of it."""

    @property
    def parameters(self) -> dict[str, Array]:
        """Arrays by PyTorch's names."""


def to_torch(manual_model: HasParameters, module: nn.Module) -> None:
    """Copy the parameters of ``manual_model`` into ``module``.

    Raises:
        ValueError: a name that one side lacks, or a shape or dtype that differs; then nothing is copied.
    """
    target = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    _copy(manual_model.parameters, target)


def to_manual(module: nn.Module, manual_model: HasParameters) -> None:
    """Copy the parameters of ``module`` into ``manual_model``.

    Raises:
        ValueError: a name that one side lacks, or a shape or dtype that differs; then nothing is copied.
    """
    source = {name: parameter.detach().cpu().numpy() for name, parameter in module.named_parameters()}
    _copy(source, manual_model.parameters)


def save(path: Path, manual_model: HasParameters, gates: tuple[str, ...]) -> None:
    """Write the parameters to a safetensors file whose metadata says how they are laid out.

    Args:
        path: the file; it is replaced as a whole.
        manual_model: where the parameters come from.
        gates: the blocks of rows of the recurrent weights, in their order.
    """
    with replacing(path) as beside:
        metadata = {"layout": LAYOUT, "gates": " ".join(gates)}
        save_file({n: np.ascontiguousarray(a) for n, a in manual_model.parameters.items()}, beside, metadata)


def load(path: Path, manual_model: HasParameters, gates: tuple[str, ...]) -> None:
    """Copy the parameters in a file that ``save`` wrote into ``manual_model``.

    Raises:
        ValueError: the file is no safetensors file or has another layout or gate order; a name, shape or dtype is not
            the model's. Then nothing is copied.
        FileNotFoundError: there is no such file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file: {error}") from None
    if metadata.get("layout") != LAYOUT:
        raise ValueError(f"{path}: expected layout {LAYOUT!r}, got {metadata.get('layout')!r}")
    if metadata.get("gates") != " ".join(gates):
        raise ValueError(f"{path}: expected gates {' '.join(gates)!r}, got {metadata.get('gates')!r}")
    _copy(arrays, manual_model.parameters)


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
