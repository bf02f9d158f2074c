"""A derivation in the MATLAB files of a folder: a right one is accepted, and of a wrong one the line is named."""

import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from edits import edited
from extras import needs_octave
from tiers import first

from compare.cells.check import check_file
from compare.checker.process import check_within
from compare.commands.check import draw

PROGRAMS = Path(__file__).parent / "programs"
pytestmark = [needs_octave, pytest.mark.usefixtures("tried_until_found")]


@pytest.fixture
def changed(tmp_path):
    """A program of the folder with something in it replaced."""

    def made(program, file, *changes):
        folder = tmp_path / program
        shutil.copytree(PROGRAMS / program, folder, dirs_exist_ok=True)
        (folder / file).write_text(edited((folder / file).read_text(), *changes))
        return folder

    return made


def line(folder, file, text):
    """The number of the line of a file that has this text."""
    return next(k for k, one in enumerate((folder / file).read_text().splitlines(), 1) if text in one)


@pytest.mark.slow
def test_a_right_lstm_is_accepted():
    report = check_file(PROGRAMS / "lstm", cell="lstm")
    assert report.agrees, report
    assert len(report.as_run) > 15 and len(report.sizes) == 5 and not report.left_out


#: File, what is replaced, by what, and the equation that is wrong.
WRONG = [
    ("backward.m", "(1 - tanh(s.c) .^ 2)", "(1 - s.c .^ 2)", "(L9) d_c"),
    ("backward.m", "d_c_prev + d_h .*", "d_h .*", "(L9) d_c"),
    ("backward.m", "d_output(:, :, t) + d_h_prev", "d_output(:, :, t)", "(L8) d_h"),
    ("backward.m", "sum(d_z, 2)", "sum(sum(d_z))", "(L19) bias"),
    ("backward.m", "gradients.weight_ih + d_z", "d_z", "(L17) weight_ih"),
    ("forward.m", "o .* tanh(c)", "o .* c", "(L7) h"),
    ("forward.m", "f .* c_prev + i .* g", "f .* c_prev + g", "(L6) c"),
]


@pytest.mark.slow
@pytest.mark.parametrize("file, old, new, name", first(1, WRONG))
def test_of_a_wrong_lstm_the_equation_is_named(changed, file, old, new, name):
    folder = changed("lstm", file, (old, new))
    report = check_file(folder, cell="lstm", fast=True)
    assert report.outcome == "disagree"
    assert report.titles == [name]
    probed = [fault for fault in report.faults if fault.recorded]
    for fault in probed:
        assert (fault.file, fault.line) == (str(folder / file), line(folder, file, new))
        assert new in fault.code


@pytest.mark.slow
def test_an_error_of_a_file_is_named_with_its_line(changed):
    folder = changed("lstm", "backward.m", ("sum(d_z, 2)", "sum(d_z, 2)'"), ("p.weight_ih' *", "p.weight_ih *"))
    with pytest.raises(
        ValueError, match=rf"backward\.m:{line(folder, 'backward.m', 'p.weight_ih *')}: .*nonconformant"
    ):
        check_file(folder, cell="lstm")


@pytest.mark.slow
def test_an_error_that_the_reference_cures_is_a_finding(changed):
    folder = changed("lstm", "backward.m", ("d_output(:, :, t) + d_h_prev", "[d_output(:, :, t); d_h_prev]"))
    report = check_file(folder, cell="lstm")
    assert [(fault.name, fault.problem) for fault in report.faults] == [("d_h", "shape (10, 3), expected (5, 3)")]
    assert any("Without the reference fed back, the code raises" in note for note in report.notes)


def _is_gone(pid):
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.exhaustive
def test_a_file_that_never_ends_is_ended_with_its_octave(changed, tmp_path):
    pid = tmp_path / "pid"
    said = f"f = fopen('{pid}', 'w'); fprintf(f, '%d', getpid()); fclose(f); while true, end"
    folder = changed("lstm", "forward.m", ("h_n = h;", f"h_n = h; {said}"))
    with pytest.raises(ValueError, match=r"expected a result within 15 s \(--timeout\), got none"):
        check_within(partial(check_file, cell="lstm"), partial(draw, folder.name), 15, 8, folder)
    for _ in range(50):  # until the kernel has ended what was killed
        if _is_gone(int(pid.read_text())):
            return
        time.sleep(0.1)
    raise AssertionError("Octave goes on")


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout, words",
    [
        ("struct('gates', 'i f g')", "gates: expected 'i f g o' in any order, got 'i f g'"),
        ("struct('gate', 'i f g o')", "LAYOUT: .*gate"),
        ("struct('vectors', 'diagonals')", "vectors: expected 'rows', 'columns' or 'flat', got 'diagonals'"),
    ],
)
def test_a_wrong_layout_is_named(changed, layout, words):
    folder = changed("lstm", "layout.m", ("struct('gates', 'i f g o', 'biases', 1)", layout))
    with pytest.raises(ValueError, match=words):
        check_file(folder, cell="lstm")


def test_a_folder_says_what_it_needs(tmp_path):
    with pytest.raises(ValueError, match=r"CELL: expected one of lstm, .*a folder --cell"):
        check_file(PROGRAMS / "lstm")
    (tmp_path / "forward.m").touch()
    with pytest.raises(ValueError, match=r"expected a Python file, or a folder with backward.m in it; got"):
        check_file(tmp_path, cell="lstm")


REFERENCE = """
import torch
INPUTS = [{"x": (T, n), "label": lambda rng: rng.integers(0, 3)} for T, n in ((4, 3), (1, 5))]
PARAMETERS = {"w": lambda rng: rng.normal(size=4), "deep": {"scale": 1.5}}
OUTPUTS = ("y", "total")

def reference(p, x, label):
    y = p["deep"]["scale"] * torch.outer(p["w"], x[0]) + float(label)
    return y, y.sum()
"""


@pytest.mark.slow
def test_vectors_are_columns_and_numbers_one_by_one_whatever_the_reference_has(tmp_path):
    (tmp_path / "reference.py").write_text(REFERENCE)
    (tmp_path / "forward.m").write_text(
        """function [y, total, tape] = forward(p, x, label)
        assert(isequal(size(p.w), [4, 1]) && isscalar(p.deep.scale) && isscalar(label));
        y = p.deep.scale * p.w * x(1, :) + label;
        total = sum(y(:));
        tape = {x, y - label};
        end"""
    )
    right = """function [d_x, d_label, g] = backward(p, tape, d_y, d_total)
        d_y = d_y + d_total;
        d_x = zeros(size(tape{1}));
        d_x(1, :) = p.deep.scale * p.w' * d_y;
        d_label = [];
        g.w = p.deep.scale * d_y * tape{1}(1, :)';
        g.deep.scale = sum(sum(d_y .* tape{2})) / p.deep.scale;
        end"""
    where = (tmp_path / "reference.py", "reference")
    (tmp_path / "backward.m").write_text(right)
    report = check_file(tmp_path, where)
    assert report.agrees and {one.label for one in report.as_run} == {"y", "total", "d_x", "w", "deep.scale"}
    (tmp_path / "backward.m").write_text(right.replace("tape{1}(1, :)';", "tape{1}(1, :)'; g.w = g.w';"))
    report = check_file(tmp_path, where)
    assert report.titles == ["w"] and report.faults[0].problem == "shape (1, 4), expected (4,)"
    (tmp_path / "backward.m").write_text(right.replace("d_x(1, :) =", "d_x = []; unused ="))
    assert check_file(tmp_path, where).left_out == ("d_x",)


@pytest.mark.slow
def test_code_in_single_precision_is_judged_by_its_own(changed):
    folder = changed("lstm", "forward.m", ("h = h_0;", "h = single(h_0);"))
    report = check_file(folder, cell="lstm")
    assert report.dtype == "float32" or report.less_accurate or report.notes
    assert np.isfinite(report.tolerance)
