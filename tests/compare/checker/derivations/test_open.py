"""Places that hold ``...``: what is written around them is checked, and a file with one never agrees."""

import ast

import numpy as np
import pytest
from derived import FILLED, STARTERS
from tiers import rarely

from compare.cells.check import check_file
from compare.checker.derivations.open import MARK, OPEN, NotDerivedError, Opening, is_open

TITLES = "(L8) d_h, (L13) d_o, (L9) d_c, (L10) d_i, (L11) d_f, (L12) d_g, (L10) d_z_i, (L11) d_z_f, (L12) d_z_g, "
TITLES += "(L13) d_z_o, (L14) d_c_prev, (L15) d_h_prev, (L16) d_x, (L17) weight_ih, (L18) weight_hh, (L19) bias"


def starter(path, *filled, cell="lstm", **changes):
    """Write a starter with some places filled in, by number; returns the path."""
    text = (STARTERS / f"{cell}.py").read_text()
    for k in filled:
        text = text.replace(*FILLED[cell][k])
    for old, new in changes.items():
        place = FILLED[cell][int(old[1:])][0]
        assert place in text
        text = text.replace(place, place.replace("...", new))
    path.write_text(text)
    return path


@pytest.mark.parametrize("count", [0, 1, 7, 13, 15])
@pytest.mark.slow
def test_something_true_is_said_after_every_line(count, tmp_path):
    titles = tuple(TITLES.split(", "))
    report = check_file(starter(tmp_path / "mine.py", *range(count)), shown="")
    assert (report.outcome, report.progress.right, report.progress.open) == ("open", titles[:count], titles[count:])
    assert str(report.progress) == f"{count} of 16 right, {16 - count} to go; next: {titles[count]}"
    assert report.verdict().plain.startswith("OPEN: ")


@pytest.mark.parametrize(
    "k, line, title, hint",
    [
        (0, "d_output[t] - d_h_prev", "(R3) d_h", "it should be made of d_output, d_h_prev, d_h_n"),
        *rarely(
            (1, "-d_h * (1 - h * h)", "(R4) d_z_h", "looks like: -1 times the right value"),
            (4, "x.T @ d_z_h * 2", "(R7) weight_ih", "looks like: 2 times the right value"),
        ),
    ],
)
@pytest.mark.slow
def test_a_wrong_line_is_named_where_others_are_open_and_shown_when_it_is_asked_for(k, line, title, hint, tmp_path):
    report = check_file(starter(tmp_path / "mine.py", *range(0, k, 2), cell="rnn", **{f"_{k}": line}), shown="")
    right = len(range(0, k, 2))
    assert (report.outcome, report.titles, report.progress.wrong) == ("disagree", [title], (title,))
    assert (len(report.progress.right), len(report.progress.open)) == (right, 6 - right)
    assert f"{right} of 7 right, 1 wrong, {6 - right} to go; next: " in str(report)
    shown = {}
    for report.shown in ("", "hint", "solution"):
        text = str(report)
        shown[report.shown] = (line in text, hint in text, "\n    should be " in text)
    at_a_probe = k < 2
    assert shown[""] == (False, False, False)
    assert shown["hint"] == (at_a_probe, True, False)
    assert shown["solution"][::2] == (at_a_probe, True)


@pytest.mark.parametrize(
    "k, line, shapes",
    [
        (0, "d_output[t] @ x", "d_output[t] is (3, 5), x is (3, 4)"),
        (12, "h_prev", "d_x[t] is (3, 4), h_prev is (3, 5)"),
        (13, "x.T @ d_z[gate][:, 1:]", "gradients[f'weight_ih_{gate}'] is (4, 5), x.T @ d_z[gate][:, 1:] is (4, 4)"),
    ],
)
@pytest.mark.slow
def test_shapes_that_do_not_fit_are_a_finding_and_the_rest_is_checked(k, line, shapes, tmp_path):
    report = check_file(starter(tmp_path / "mine.py", *({0, 1} - {k}), **{f"_{k}": line}), shown="")
    (found,) = report.misfits
    assert found.words.endswith(f"the shapes do not fit: {shapes}")
    assert str(report.progress) == f"{1 + (k > 0)} of 16 right, 1 wrong, {14 - (k > 0)} to go"


def test_a_mistake_of_another_kind_is_raised(tmp_path):
    with pytest.raises(NameError, match="d_out"):
        check_file(starter(tmp_path / "mine.py", _0="d_out[t] + d_h_prev"))


@pytest.mark.parametrize(
    "old, new, right",
    [
        ("        d_x[t] = ...\n", "        return ...\n", 1),
        ("        d_x[t] = ...\n", "        ...\n", 1),
        ("return d_x, d_h_prev,", "return ..., ...,", 1),
        ("d_output[t] + d_h_prev", "d_output[t] + np.tanh(...).sum()", 0),
        ("d_output[t] + d_h_prev", "np.split(..., 2)[0]", 0),
        ("d_output[t] + d_h_prev", "d_output[t] if ... else 0", 0),
        ("f * c_prev + i * g", "...", 10),
        ("    h, c, output, tape = h_0", "    ...\n    h, c, output, tape = h_0", 0),
    ],
)
@pytest.mark.slow
def test_wherever_it_stands(old, new, right, tmp_path):
    path = starter(tmp_path / "mine.py", 0)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    report = check_file(path)
    assert (report.outcome, len(report.progress.right)) == ("open", right)


def test_an_open_value_absorbs_what_is_computed_from_it_in_single_precision_too():
    a = np.ones((2, 3))
    x = np.zeros((2, 3), np.float32)
    x[1] = OPEN
    one, other = np.divmod(OPEN, a)
    for value in (OPEN + a, a @ OPEN.T, np.stack([a, OPEN]), OPEN[..., 0].sum(axis=0), -x * 2, x.sum(), one, other):
        assert is_open(value)
    a += 0
    total = a
    total += OPEN
    assert is_open(total)
    assert is_open(a)  # under its other name
    assert not is_open(np.array([np.nan, np.inf]))
    assert is_open(np.array(MARK))
    with pytest.raises(NotDerivedError):
        bool(OPEN)


@pytest.mark.parametrize(
    "line", ["x[..., 0]", "x[1, ..., None]", "x is ...", "index = (..., 0)", "def inner(a=...): return a", "f'{x:...}'"]
)
def test_what_is_no_value_stays(line):
    tree = ast.parse(f"def f(x):\n    {line}\n")
    before = ast.dump(tree)
    assert ast.dump(Opening().visit(tree)) == before
