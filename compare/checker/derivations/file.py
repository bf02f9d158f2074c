"""A user's file that holds a derivation or its reference."""

import sys
from pathlib import Path
from types import ModuleType


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
