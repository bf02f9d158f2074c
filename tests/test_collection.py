"""The tests are found in whatever way pytest is started."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests/compare/test_library.py"  # its conftest.py imports `compare`, and its folder is named so, too


@pytest.mark.exhaustive
@pytest.mark.parametrize("folder", [ROOT, SMALL.parent, Path("/")], ids=["checkout", "folder of tests", "other"])
def test_without_the_working_folder_in_the_search_path(folder):
    """As the script ``pytest`` does it, which editors start; ``python -m pytest`` has the folder there."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", SMALL],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
