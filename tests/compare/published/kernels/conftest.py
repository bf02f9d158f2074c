from collections.abc import Callable
from pathlib import Path

import pytest
from edits import edited

from compare import check_file
from compare.checker.report.report import Report
from compare.published import kernels

FOLDER = Path(kernels.__file__).parent


@pytest.fixture
def changed(tmp_path, tried_until_found) -> Callable[[str, str, str, str], Report]:
    """Check a kernel with a change in the line of an equation."""

    def check(kernel: str, equation: str, old: str, new: str) -> Report:
        lines = (FOLDER / f"{kernel}.py").read_text().splitlines()
        (k,) = (k for k, line in enumerate(lines) if f"# ({equation})" in line)
        lines[k] = edited(lines[k], (old, new))
        path = tmp_path / f"{kernel}.py"
        path.write_text("\n".join(lines))
        return check_file(path, (path, "autograd"))

    return check
