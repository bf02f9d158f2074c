"""A line of a user's functions whose operands do not fit: a finding, as in a file."""

import numpy as np
import pytest

from compare import assert_backward, check_backward

W = {"W": (3, 5)}


def forward(p, x):
    return x @ p["W"], (x, p["W"])


def backward(p, tape, d_y):
    x, W = tape
    return d_y @ W, {"W": x.T @ d_y}


def test_operands_that_do_not_fit_are_a_finding_with_line_and_shapes():
    report = check_backward(forward, backward, lambda p, x: x @ p["W"], {"x": (4, 3)}, parameters=W)
    (found,) = report.misfits
    assert (found.file, found.line) == (__file__, backward.__code__.co_firstlineno + 2)
    assert found.words == "d_y @ W: the shapes do not fit: d_y is (4, 5), W is (3, 5)"
    assert report.kinds == ["misfit", "open"] and report.as_json()["misfits"][0]["problem"] == found.words
    assert found.words in str(report) and f"shapes do not fit: line {found.line}; 0 of 2 right" in str(report)
    with pytest.raises(AssertionError, match=r"^DISAGREE: forward: shapes do not fit"):
        assert_backward(forward, backward, lambda p, x: x @ p["W"], {"x": (4, 3)}, parameters=W)


def test_the_report_of_operands_that_do_not_fit_can_be_drawn(tmp_path):
    check_backward(forward, backward, lambda p, x: x @ p["W"], {"x": (4, 3)}, parameters=W).draw(tmp_path / "a.png")


def test_an_error_of_values_or_of_the_inputs_is_raised():
    def of_values(x, d):
        return d * np.linalg.cholesky(-np.eye(3))

    def unfit(rng):
        return {"x": rng.normal(size=3) + rng.normal(size=4)}

    with pytest.raises(np.linalg.LinAlgError):
        check_backward(lambda x: (x, x), of_values, lambda x: x + 0, {"x": (3, 3)})
    with pytest.raises(ValueError, match="broadcast"):
        check_backward(lambda x: (x, x), lambda x, d: d, lambda x: x + 0, [{"x": (3, 3)}, unfit])
