"""Worker processes that are asked and answer in lines of text."""

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO


def start(
    module: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({}), errors: IO[str] | None = None
) -> subprocess.Popen[str]:
    """Start a module in a process of its own.

    It looks for modules where this process does, so no file in the working folder takes the place of a library.

    Args:
        module: its name.
        arguments: its command line.
        environment: what is set in its environment, besides that of this process.
        errors: where its standard error goes; where that of this process does if None.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
