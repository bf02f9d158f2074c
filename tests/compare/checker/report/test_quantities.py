"""Compared quantities as data: rows, columns, units, rounded to the digits that are shown."""

import json

import numpy as np
import pytest
from derived import write

from compare.cells import CELLS, Form
from compare.cells.check import check_file
from compare.checker.compare import Compared
from compare.checker.notation import Notation
from compare.checker.report.quantities import DIGITS, SHOWN, displayed, quantity

T, B, H = 4, 3, 5


def compared(actual, right=None, steps=(), rows_axis=None, name="c", gate="", kind="value") -> Compared:
    right = [array.copy() for array in actual] if right is None else right
    errors = np.array([0.0 if a.shape == r.shape and np.array_equal(a, r) else 0.5 for a, r in zip(actual, right)])
    ones = np.ones(len(actual))
    return Compared(name, gate, kind, steps, actual, right, "", rows_axis, errors, 1e-12 * ones, ones, (*ones,))


@pytest.fixture
def values():
    return [*np.random.default_rng(5).normal(size=(T, B, H))]


def test_rows_then_columns_then_units(values):
    data = quantity(compared(values, steps=tuple(range(T)), rows_axis=0), Form(CELLS["lstm"]))
    assert (data["equation"], data["steps"], data["backward"]) == ("L6", [0, 1, 2, 3], False)
    assert np.shape(data["actual"]) == (B, T, H)
    assert data["actual"][2][1][4] == float(f"{values[1][2, 4]:.{DIGITS}g}")
    assert "right" not in data and "difference" not in data


def test_rows_may_be_the_last_axis(values):
    data = quantity(compared([v.T for v in values], steps=tuple(range(T)), rows_axis=1), Form(CELLS["lstm"]))
    assert (
        data["actual"] == quantity(compared(values, steps=tuple(range(T)), rows_axis=0), Form(CELLS["lstm"]))["actual"]
    )


def test_without_rows_there_is_one_for_all(values):
    data = quantity(compared(values, steps=tuple(range(T))), Notation())
    assert np.shape(data["actual"]) == (1, T, B * H)


def test_a_matrix_a_vector_and_a_number_have_columns_without_steps():
    for shape, grid in (((3, 4), (1, 3, 4)), ((3,), (1, 3, 1)), ((), (1, 1, 1)), ((3, 4, 2), (1, 3, 8))):
        data = quantity(compared([np.full(shape, 0.25)], kind="gradient"), Notation())
        assert np.shape(data["actual"]) == grid
        assert data["steps"] == [] and data["backward"]


def test_what_disagrees_has_the_reference_and_the_difference(values):
    right = [v.copy() for v in values]
    right[1][2, 4] -= 0.125
    data = quantity(compared(values, right, tuple(range(T)), 0), Form(CELLS["lstm"]))
    assert data["right"][2][1][4] == float(f"{values[1][2, 4] - 0.125:.{DIGITS}g}")
    assert np.argwhere(data["difference"]).tolist() == [[2, 1, 4]]
    assert data["difference"][2][1][4] == pytest.approx(0.125, abs=0.006)


def test_other_shapes_and_no_numbers_have_no_grid():
    data = quantity(compared([np.ones((2, 3))], [np.zeros((3, 2))]), Notation())
    assert np.shape(data["actual"]) == (1, 2, 3)
    assert "right" not in data
    assert quantity(compared([np.array(["a"])], [np.zeros(1)]), Notation())["actual"] == []
    assert quantity(compared([np.ones(2), np.ones(3)], steps=(0, 1)), Notation())["actual"] == []
    assert quantity(compared([np.ones((0, 3))]), Notation())["actual"] == []


def test_what_is_not_finite_is_text_and_everything_is_json():
    one = compared([np.array([[np.nan, np.inf, -np.inf, 1.0]])], [np.zeros((1, 4))], rows_axis=0)
    data = quantity(one, Notation())
    assert data["actual"] == [[["nan", "inf", "-inf", 1.0]]]
    json.dumps(data, allow_nan=False)


def test_large_arrays_are_cut():
    data = quantity(compared([np.ones((50, 70))], kind="gradient"), Notation())
    assert np.shape(data["actual"]) == (1, SHOWN, SHOWN)


@pytest.mark.slow
def test_a_report_has_both_runs_the_text_and_the_lines_of_the_file(tmp_path):
    report = check_file(write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h")))
    shown = json.loads(json.dumps(displayed(report), allow_nan=False))
    assert shown["text"] == str(report) and shown["verdict"] in shown["text"]
    as_run, fed_back = ({one["label"]: one for one in shown[run]} for run in ("as_run", "fed_back"))
    assert as_run.keys() == fed_back.keys() == {one.label for one in report.as_run}
    assert not as_run["d_x"]["agrees"] and fed_back["d_x"]["agrees"]
    assert as_run["d_z_h"]["code"] == 'd_z_h = probe("d_z_h", t, d_h)'
    assert as_run["d_z_h"]["file"].endswith("mine.py") and as_run["d_z_h"]["line"] > 1
    assert as_run["d_x"]["code"] == ""
