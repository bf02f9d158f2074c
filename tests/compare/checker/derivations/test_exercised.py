"""What no draw exercises is said: lines, sides of branches, indices that repeat, values that hide something."""

import numpy as np
import pytest
import torch

from compare import check_backward


def forward_rows(x, rows):
    if len(x) > 100:
        y = x[rows]
        return y, (x, rows)
    if x.ndim > 2:
        raise ValueError("expected a matrix")
    return x[rows], (x, rows)


def backward_rows(tape, d_y):
    x, rows = tape
    d_x = np.zeros_like(x)
    np.add.at(d_x, rows, d_y)
    return d_x


def test_what_no_draw_exercised_is_said():
    """A line, one side of a branch, an index that occurs twice; but not an error that is never raised."""

    def check(rows, least):
        return check_backward(
            forward_rows, backward_rows, lambda x, rows: torch.where(x > least, x, 2 * x - x)[rows],
            {"x": (5, 3), "rows": np.array(rows)},
        )  # fmt: skip

    line = f"line {forward_rows.__code__.co_firstlineno + 2} of test_exercised.py"
    report = check([0, 1, 3], -100)
    assert report.agrees
    assert report.not_exercised == [line, "one side of where in the reference", "a number that occurs twice in rows"]
    assert report.as_json()["not_exercised"] == report.not_exercised
    assert f"Not exercised, so not checked: {line}; one side of where" in str(report)
    assert check([0, 3, 3], 0).not_exercised == [line]
    assert check_backward(lambda x: (x**2, x), lambda x, d: 2 * x * d, torch.square, {"x": (4, 3)}).not_exercised == []


def stored(x, bound):
    y = x.copy()
    y[x > bound] = bound
    return y


BRANCHES = {
    "where": lambda x, bound: np.where(x < bound, x, bound),
    "minimum": lambda x, bound: np.minimum(x, bound),
    "maximum": lambda x, bound: -np.maximum(-x, -bound),
    "clip": lambda x, bound: np.clip(x, -bound, bound),
    "absolute": lambda x, bound: x + 0 * np.abs(x - bound),
    "sign": lambda x, bound: x + 0 * np.sign(x - bound),
    "store": stored,
}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_side_that_no_draw_takes_in_the_code_is_said_with_its_line(name):
    """The reference has no branch that torch's graph shows."""
    branch = BRANCHES[name]
    line = branch.__code__.co_firstlineno + (2 if name == "store" else 0)
    said = f"one side of {name.replace('store', 'where')} in line {line} of test_exercised.py"

    def check(bound):
        return check_backward(
            lambda x: (branch(x, bound), x), lambda x, d: d * (np.fabs(x) < bound),
            lambda x: torch.nn.functional.hardtanh(x, -bound, bound), {"x": np.linspace(-3, 3, 12).reshape(4, 3)},
        )  # fmt: skip

    assert check(100.0).agrees and check(100.0).not_exercised == [said]
    assert said not in check(1.1).not_exercised


@pytest.mark.parametrize("low, high", [(-1, 9), (-9, 1)])
def test_each_bound_of_a_clip_is_a_branch(low, high):
    report = check_backward(
        lambda x: (np.clip(x, low, high), x), lambda x, d: d * ((x > low) & (x < high)),
        lambda x: torch.nn.functional.hardtanh(x, low, high), {"x": np.linspace(-3, 3, 12)},
    )  # fmt: skip
    (said,) = report.not_exercised
    assert report.agrees and said.startswith("one side of clip in line ")


@pytest.mark.parametrize(
    "gamma, said",
    [
        (np.ones(3), ["gamma: all values are 1"]),
        (1.0, ["gamma: all values are 1"]),
        (np.array(0.0), ["gamma: all values are 0"]),
        (np.array(0.7), []),
        (0.7, []),
        (lambda rng: rng.normal(size=3), []),
        (np.array([1.0, 2.0, 2.0]), []),
    ],
)
def test_a_value_that_would_hide_what_is_missing_is_said(gamma, said):
    def scaled(x, gamma):
        return x * gamma, (x, gamma)

    def scaled_backward(tape, d):
        x, gamma = tape
        return d * gamma, (d * x if np.ndim(gamma) else (d * x).sum())

    report = check_backward(scaled, scaled_backward, lambda x, gamma: x * gamma, {"x": (3,), "gamma": gamma})
    assert report.agrees and report.not_exercised == said
