"""What no draw exercises is said: lines, sides of branches, indices that repeat, values that hide something."""

import numpy as np
import pytest
import torch
from torch.nn import functional

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


def clipped_backward(tape, d):
    x, bound = tape
    return d * (np.fabs(x) < bound)


#: Functions that are x below a bound, and what is said where no x is beyond.
BRANCHES = {
    "where": lambda x, bound: np.where(x < bound, x, bound),
    "minimum": lambda x, bound: np.minimum(x, bound),
    "maximum": lambda x, bound: -np.maximum(-x, -bound),
    "clip": lambda x, bound: np.clip(x, -bound, bound),
    "absolute": lambda x, bound: x + 0 * np.abs(x - bound),
    "sign": lambda x, bound: x + 0 * np.sign(x - bound),
    "store": stored,
    "factor": lambda x, bound: x * (x < bound) + bound * (x >= bound),
    "element": lambda x, bound: np.array([v if v < bound else bound for v in x.ravel()]).reshape(x.shape),
}
SAID = {"store": "where", "factor": "a comparison", "element": "a comparison"}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_side_that_no_draw_takes_in_the_code_is_said_with_its_line(name):
    branch, beyond = BRANCHES[name], clipped_backward.__code__.co_firstlineno + 2
    line = branch.__code__.co_firstlineno + (2 if name == "store" else 0)
    said = f"one side of {SAID.get(name, name)} in line {line} of test_exercised.py"
    others = "one side of hardtanh in the reference", f"one side of a comparison in line {beyond} of test_exercised.py"

    def check(bound):
        return check_backward(
            lambda x: (branch(x, bound), (x, bound)), clipped_backward, lambda x: functional.hardtanh(x, -bound, bound),
            {"x": np.linspace(-3, 3, 12).reshape(4, 3)},
        )  # fmt: skip

    assert check(100.0).agrees and {*check(100.0).not_exercised} == {said, *others}
    assert not {said, *others} & {*check(1.1).not_exercised}


@pytest.mark.parametrize(
    "name, reference",
    {
        "relu": functional.relu,
        "leaky_relu": functional.leaky_relu,
        "celu": lambda x: functional.celu(x * 1, inplace=True),
        "elu": functional.elu,
        "clamp": lambda x: x.clamp(min=0),
        "clamp_max": lambda x: x.clamp_max(9),
        "threshold": lambda x: functional.threshold(x, 0.1, 0.0),
        "fmax": lambda x: torch.fmax(x, torch.zeros(())),
        "masked_fill": lambda x: x.masked_fill(x < 0, 0),
        "a mask": lambda x: x * (x > 0),
        "hardtanh": lambda x: functional.hardtanh(x, 0, 99),
        "softshrink": lambda x: functional.softshrink(x, 0.1) + 0.1,
    }.items(),
)
def test_a_side_that_no_draw_takes_in_the_reference_is_said(name, reference):
    def forward(x):
        assert (x > 0).all()
        return x, x

    report = check_backward(forward, lambda x, d: d, reference, {"x": np.linspace(1, 3, 12)})
    assert report.agrees and report.not_exercised == [f"one side of {name} in the reference"]


@pytest.mark.parametrize("low, high", [(-1, 9), (-9, 1)])
def test_each_bound_of_a_clip_is_a_branch(low, high):
    report = check_backward(
        lambda x: (np.clip(x, low, high), x), lambda x, d: d * ((x > low) & (x < high)),
        lambda x: functional.hardtanh(x, low, high), {"x": np.linspace(-3, 3, 12)},
    )  # fmt: skip
    said = [one.partition(" in ")[0].removeprefix("one side of ") for one in report.not_exercised]
    assert report.agrees and said == ["hardtanh", "clip"]  # and of its line no comparison


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
