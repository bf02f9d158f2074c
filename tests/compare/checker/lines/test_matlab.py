"""Of unmodified MATLAB files the wrong line is named, and the right one given in MATLAB's syntax."""

import shutil
from pathlib import Path

import pytest
from extras import needs_octave
from tiers import first

from compare import check_file
from compare.checker.lines.fix import fixed
from compare.cli import main

RNN = Path(__file__).parents[1] / "derivations" / "octave" / "programs" / "rnn"
pytestmark = [needs_octave, pytest.mark.slow]


@pytest.fixture
def edited(tmp_path):
    """The RNN with something in its backward pass replaced."""

    def made(*changes):
        folder = shutil.copytree(RNN, tmp_path / "rnn", dirs_exist_ok=True)
        text = (folder / "backward.m").read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / "backward.m").write_text(text)
        return folder

    return made


def check(folder):
    return check_file(folder, (folder / "reference.py", "reference"))


def report_line(folder, number):
    return (folder / "backward.m").read_text().splitlines()[number - 1].partition(";")[0].strip()


def test_right_files_are_accepted():
    assert check(RNN).agrees


#: What is wrong, in the place of what, and the repair if it is not that.
WRONG = [
    ("s = 1 - h.^2", "s = 1 - h", ""),
    ("d_h = p.U'*d_a", "d_h = p.U*d_a", ""),
    ("d.b = d.b + d_a", "d.b = d_a", "d.b = d.b + d_a"),
    ("d_a*s.h_prev'", "d_a*s.h'", ""),
    ("(d_hs(:, t) + d_h).*slope", "d_hs(:, t).*slope", ""),
    ("p.W'*d_a", "-p.W'*d_a", ""),
    ("d_x(:, t)", "d_x(:, T + 1 - t)", None),
]


@pytest.mark.parametrize("right, wrong, repair", first(1, WRONG))
def test_the_line_and_its_repair_are_given(edited, right, wrong, repair):
    folder = edited((right, wrong))
    report = check(folder)
    if repair is None:  # no small edit
        assert report.outcome == "disagree" and not any(fault.repair for fault in report.faults)
        return
    (fault,) = report.faults
    lines = (RNN / "backward.m").read_text().splitlines()
    number = next(k for k, line in enumerate(lines, 1) if right in line)
    assert number in [one.line for one in (fault, *fault.alternatives)]
    assert fault.file == str(folder / "backward.m") and fault.code == report_line(folder, fault.line)
    content, changed = fixed(folder / "backward.m", report.as_json()["faults"])
    assert changed == [fault.line]
    (folder / "backward.m").write_bytes(content)
    assert check(folder).agrees
    assert not repair or fault.repair == repair


@pytest.mark.exhaustive
def test_fix_writes_a_copy_of_the_folder_and_in_place_into_it(edited, tmp_path, capsys):
    folder = edited(("d_h = p.U'*d_a", "d_h = p.U*d_a"))
    arguments = ["check", str(folder), "--reference", f"{folder / 'reference.py'}:reference", "--out", str(tmp_path)]
    assert main([*arguments, "--fix"]) == 1
    assert f"Fixed in {tmp_path / 'rnn_fixed' / 'backward.m'}: line 15" in capsys.readouterr().out
    for name in ("forward.m", "backward.m"):
        assert (tmp_path / "rnn_fixed" / name).read_text() == (RNN / name).read_text()
    assert main([*arguments, "--fix", "--in-place"]) == 1
    assert (folder / "backward.m").read_text() == (RNN / "backward.m").read_text()
    assert main([*arguments, "--fix"]) == 0
    assert "Nothing to fix" in capsys.readouterr().out
