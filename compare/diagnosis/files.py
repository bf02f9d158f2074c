"""Check derivations in files."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from compare.diagnosis.any_derivation import check_backward
from compare.diagnosis.cell_check import CellForm, check_cell
from compare.diagnosis.derivations import Pair
from compare.diagnosis.report import Report


def check_file(path: Path | str, reference: tuple[Path | str, str] | None = None, seed: int = 0) -> Report:
    """Check the derivation in a file, as ``python -m compare check`` does.

    The file defines ``forward(p, *inputs, probe)`` and ``backward(p, tape, *d_outputs, probe)``, and says what it
    derives: CELL, LAYOUT and OPTIONS for a cell; for any other reference INPUTS and, if needed, OUTPUTS, AXES,
    PARAMETERS and TOLERANCE. DTYPE gives its precision if that differs from the precision of what it returns.

    Args:
        path: the file.
        reference: file and name of the torch module or function to check it against; the file's CELL if None.
        seed: the seed of weights and arguments.

    Raises:
        ValueError: the file does not say what it derives, or returns something that cannot be compared. Exceptions
            raised by its code propagate.
    """
    path = Path(path)
    module = load(path)
    for function in ("forward", "backward"):
        if not callable(getattr(module, function, None)):
            raise ValueError(f"{path}: expected a function {function}, got none")
    dtype = getattr(module, "DTYPE", None)
    if reference is not None:
        return _check_against(module, path, Path(reference[0]), reference[1], dtype, seed)
    form = CellForm(
        getattr(module, "CELL", None), getattr(module, "LAYOUT", {}), getattr(module, "OPTIONS", {}), str(path)
    )
    pair = Pair(module.forward, module.backward, dict, str(path))
    return check_cell(pair, form, str(path), seed, dtype)


def load(path: Path) -> ModuleType:
    """Run a user's file.

    Raises:
        ValueError: there is no such file. Exceptions raised by the file propagate.
    """
    if path.is_dir():
        raise ValueError(f"FILE: expected a Python file, got {path}, which is a directory")
    if not path.is_file():
        raise ValueError(f"FILE: no such file: {path}")
    module = ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look up string annotations there
    # Not by import, which would reuse the compiled version of a file changed within the last second.
    exec(compile(path.read_bytes(), path, "exec", dont_inherit=True), vars(module))
    return module


def _check_against(file: ModuleType, path: Path, where: Path, name: str, dtype: str | None, seed: int) -> Report:
    """Check a file against a torch module or function in another."""
    inputs = getattr(file, "INPUTS", None)
    if not inputs or not (isinstance(inputs, dict | list) or callable(inputs)):
        raise ValueError(f"INPUTS: expected the shapes of the inputs by name in {path}, got {inputs!r}")
    reference: Any = getattr(load(where), name, None)
    if not callable(reference):
        raise ValueError(f"--reference: expected a torch module or function {name} in {where}, got {reference!r}")
    is_module = isinstance(reference, nn.Module) or (isinstance(reference, type) and issubclass(reference, nn.Module))
    return check_backward(
        file.forward,
        file.backward,
        reference,
        inputs,
        parameters=getattr(file, "PARAMETERS", {} if is_module else None),
        outputs=getattr(file, "OUTPUTS", None),
        axes=getattr(file, "AXES", ""),
        dtype=dtype,
        tolerance=getattr(file, "TOLERANCE", None),
        seed=seed,
        name=str(path),
    )
