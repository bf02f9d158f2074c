"""A user's file that holds a derivation or its reference."""

import ast
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compare.checker.derivations.open import Span


def file_and_name(reference: str) -> tuple[Path, str]:
    """Return the file and the name in it that ``FILE:NAME`` says, or raise a ValueError."""
    file, _, name = reference.rpartition(":")
    if not (file and name):
        raise ValueError(f"reference: expected FILE:NAME, got {reference}")
    return Path(file), name


def load(path: Path, *aside: "Span") -> ModuleType:
    """Run a user's file, in which what is written as ``...`` or is ``aside`` is not derived; a ValueError if none."""
    from compare.checker.derivations.open import NAME, OPEN, Opening  # the process that waits needs no NumPy

    if path.is_dir():
        raise ValueError(f"FILE: expected a Python file, got {path}, which is a directory")
    if not path.is_file():
        raise ValueError(f"FILE: no such file: {path}")
    module = ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look up string annotations there
    # Not by import, which would reuse the compiled version of a file changed within the last second.
    vars(module)[NAME] = OPEN
    tree = Opening(*aside).visit(ast.parse(path.read_bytes(), path))
    exec(compile(tree, path, "exec", dont_inherit=True), vars(module))
    return module
