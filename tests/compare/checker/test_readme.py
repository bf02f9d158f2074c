"""The documentation of the library is complete: whatever can be written or read stands in it."""

from pathlib import Path

import pytest
from derived import write

from compare import check_file, checker
from compare.cells import CELLS
from compare.cells.layout import FILE_KEYS

README = (Path(checker.__file__).parent / "README.md").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A check that finds something, with everything else that there may be to find put beside it."""
    report = check_file(write(tmp_path_factory.mktemp("mine") / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h")))
    report.changed, report.unused, report.consequences = {"c": (3,)}, ["d_h"], ["d_x"]
    report.misplaced, report.written = report.faults, ("x",)
    return report


@pytest.mark.slow
def test_every_key_of_the_report_as_json(report):
    found = report.as_json()
    assert len(found) > 15
    assert [key for key in found if f"`{key}`" not in README] == []
    assert [key for key in found["faults"][0] if f"`{key}`" not in README] == []


@pytest.mark.slow
def test_every_kind_of_finding(report):
    assert len(report.kinds) == 6
    assert [kind for kind in report.kinds if f"| `{kind}` |" not in README] == []


def test_every_key_of_a_layout():
    assert [key for key in FILE_KEYS if f"| `{key}` |" not in README] == []


@pytest.mark.parametrize("cell", CELLS)
def test_every_option_of_a_cell_and_its_values(cell):
    for option, known in CELLS[cell].options.items():
        if option == "proj_size":  # which no file has
            continue
        (line,) = (line for line in README.splitlines() if f"| `{option}` |" in line)
        written = [str(value) if isinstance(value, bool) else f'"{value}"' for value in known.values]
        assert [value for value in written if f"`{value}`" not in line] == []


@pytest.mark.parametrize(
    "name", ["CELL", "LAYOUT", "OPTIONS", "INPUTS", "OUTPUTS", "AXES", "PARAMETERS", "DTYPE", "TOLERANCE"]
)
def test_every_name_that_a_file_may_have(name):
    assert f"`{name}`" in README
