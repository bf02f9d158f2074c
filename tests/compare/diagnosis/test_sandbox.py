"""A user's file in a process of its own: whatever it does, the user sees their own lines and none of ours."""

import pytest
from derived import write

from compare.diagnosis.sandbox import check_within

pytestmark = pytest.mark.slow


def message(path, seconds=60):
    with pytest.raises(ValueError) as error:
        check_within(seconds, path)
    return str(error.value)


def test_a_right_file_comes_back_as_found(tmp_path):
    checked = check_within(60, write(tmp_path / "mine.py", "rnn"))
    assert checked.agrees
    assert checked.subject == str(tmp_path / "mine.py")


def test_an_error_in_the_file_is_shown_from_the_file_on(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "slope(d_h, h)"))
    path.write_text(path.read_text() + "\n\ndef slope(d, h):\n    return d[:, :2] * (1 - h * h)\n")
    text = message(path)
    assert text.startswith("Traceback (most recent call last):")
    assert text.count('File "') == 2
    assert text.count(str(path)) == 2
    assert "return d[:, :2] * (1 - h * h)" in text
    assert text.splitlines()[-1].startswith("ValueError: operands could not be broadcast together")


def test_where_the_code_stops_at_a_wrong_shape_the_reference_fed_back_shows_which(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "(d_h * (1 - h * h)).T"))
    report = check_within(60, path)
    (fault,) = report.faults
    assert (fault.name, fault.problem, fault.hint) == ("d_z_h", "shape (5, 3), expected (3, 5)", "transposed")
    assert "d_z_h" in path.read_text().splitlines()[fault.line - 1]
    assert "As it is, the code raises ValueError: " in str(report)


def test_a_wrong_number_of_values_is_one_line(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ("return d_x, d_h_prev, gradients", "return d_x, gradients"))
    assert message(path).endswith("backward: expected d_x, d_h_0 and the gradients, got 2 values")


def test_a_file_that_is_no_python(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def forward(:\n")
    text = message(path)
    assert text.splitlines()[0].strip() == f'File "{path}", line 1'
    assert text.splitlines()[-1] == "SyntaxError: invalid syntax"


def test_a_file_that_never_ends(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ("    d_h_prev = d_h_n\n", "    while True:\n        pass\n"))
    assert message(path, seconds=4) == f"{path}: expected an end within 4 s (--timeout), got none"


def test_a_file_that_ends_the_process(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import os\n\nos._exit(3)\n")
    assert message(path) == f"{path}: expected a result, but its process ended without one"


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.py"
    assert message(path) == f"FILE: no such file: {path}"
