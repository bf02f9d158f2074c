"""Equal up to rounding, for each element."""

import numpy as np
import pytest
import torch
from functions import function_of

from compare import check_backward, check_function
from compare.checker.expected.digits import eps, fewest_digits
from compare.checker.expected.rounding import WIDER, Rule, Runs, judge, slope, worst_element

DOUBLE = Rule("float64", 2.0, 1e-12, 1.0)
HALF = Rule("float16", 2.0, 1e-12, 1.0)
RIGHT = np.array([0.5, -1.0, 0.25, 2.0, -0.75])


def perturbed(near, wide, own=None):
    """Return runs in which an element moves so far, one way and the other."""
    near, wide = np.array(near), np.array(wide)
    return Runs(own, [RIGHT + near, RIGHT - near], [RIGHT + wide])


def judged(off, runs, rule=DOUBLE):
    return judge([RIGHT + np.array(off)], [RIGHT], [runs], rule)


def test_the_noise_of_one_element_is_no_permission_for_another():
    noisy = np.array([1e-9, 0, 0, 0, 0])
    runs = perturbed(noisy, WIDER * noisy)
    assert judged([2e-8, 0, 0, 0, 0], runs).agrees
    assert not judged([9e-8, 0, 0, 0, 0], runs).agrees
    assert not judged([0, 2e-8, 0, 0, 0], runs).agrees
    found = judged([2e-8, 1e-11, 0, 0, 0], runs)
    assert worst_element(np.array([2e-8, 1e-11, 0, 0, 0]), found.allowed[0]) == (1,)
    assert found.errors == pytest.approx([1e-11 / 2])  # relative to the largest value, not to the limit


def test_on_a_branch_an_element_has_the_value_of_either_side_and_no_other():
    jump = np.array([0, 3.0, 0, 0, 0])
    runs = Runs(None, [RIGHT + jump, RIGHT], [RIGHT + jump])
    other_side = judged(jump, runs)
    assert other_side.agrees and other_side.aside == 1 and not other_side.unjudged
    assert judged(0 * jump, runs).aside == 0
    for off in (1.0, -1.0, 1.5, 3.1):
        assert not judged(off * jump / 3, runs).agrees
    assert not judged([1e-9, 3.0, 0, 0, 0], runs).agrees


def test_where_most_elements_lie_on_branches_the_others_are_judged_all_the_same():
    jump = np.array([1.0, 1.0, 1.0, 1.0, 0])
    runs = Runs(None, [RIGHT + jump, RIGHT - jump], [RIGHT + jump])
    assert not judged([0, 0, 0, 0, 1e-9], runs).agrees


def test_where_several_branches_meet_too_many_elements_are_not_judged():
    jump = np.array([1.0, 1.0, 0, 0, 0])
    runs = Runs(None, [RIGHT + jump, RIGHT + 2 * jump], [RIGHT + 4 * jump])
    assert judged([3.0, 3.0, 0, 0, 0], runs).unjudged
    assert not judged([3.0, 1.0, 0, 0, 0], runs).unjudged  # one in five
    assert not judged([9.0, 0, 0, 0, 0], runs).agrees


def test_an_array_that_rounding_moves_beyond_a_hundredth_is_not_judged_where_it_differs():
    noise = np.full(5, 1e-3)
    runs = perturbed(noise, WIDER * noise)
    assert judged([0.01] * 5, runs).unjudged
    assert not judged([0.0] * 5, runs).unjudged
    assert not judged([0.2] * 5, runs).agrees


def test_below_double_precision_an_error_of_half_the_digits_is_less_accurate_and_a_slope_is_wrong():
    rng = np.random.default_rng(3)
    right = rng.normal(size=400)
    own = right * (1 + eps("float16") * rng.uniform(-0.5, 0.5, 400))
    runs = [Runs(own, [own, own], [right + WIDER * (own - right)])]
    noisy = right + 0.02 * np.abs(right).max() * rng.uniform(-1, 1, 400)
    found = judge([noisy], [right], runs, HALF)
    assert found.agrees and found.less_accurate > 2
    assert not judge([1.01 * right], [right], runs, HALF).agrees
    assert judge([1.01 * right], [right], runs, HALF, proven=True).agrees
    assert slope([own], [right], [1.0], runs, eps("float16")) == 0.0
    assert slope([1.01 * own], [right], [1.0], runs, eps("float16")) == pytest.approx(0.01, rel=0.1)
    wide = right + 0.2 * np.abs(right).max() * (np.arange(400) == 7)
    assert not judge([wide], [right], runs, HALF, proven=True).agrees


def test_digits_tell_what_an_array_was_rounded_to():
    right = np.random.default_rng(0).normal(size=(3, 4))
    for dtype in ("float32", "float16"):
        assert fewest_digits([right.astype(dtype).astype(float)], [right], 1e-12) == dtype
    assert fewest_digits([right], [right], 1e-12) == ""
    assert fewest_digits([np.zeros((3, 4))], [right], 1e-12) == ""  # no sign of anything
    assert fewest_digits([right.astype("float32")], [right], 1e-5) == ""


# Right, but less accurate.


def sums(x):
    return np.tanh(x), np.tanh(x)


@pytest.mark.slow
def test_one_accumulator_over_ten_thousand_rows_is_less_accurate_and_not_wrong():
    def backward(y, d_y):
        d_b = np.zeros(3, np.float32)
        for row in d_y * (1 - y * y):
            d_b = d_b + row
        return d_y * (1 - y * y), d_b

    def check(times):
        return check_backward(
            lambda x, b: sums(x + b),
            lambda y, d_y: (backward(y, d_y)[0], np.float32(times) * backward(y, d_y)[1]),
            lambda x, b: torch.tanh(x + b),
            {"x": (10_000, 3), "b": np.zeros(3, np.float32)},
            dtype="float32",
        )

    report = check(1)
    assert report.agrees, str(report)
    assert [*report.less_accurate] == ["d_b"]
    assert "less accurate than autograd: d_b" in str(report)
    assert check(1.1).outcome == "disagree"


def cross_entropy(z):
    return torch.nn.functional.cross_entropy(z, torch.tensor([0]))


def naive(z):
    p = np.exp(z) / np.exp(z).sum()
    return -np.log(p)[0, 0], p


def naive_backward(p, d_y):
    return d_y * (p - np.array([[1.0, 0, 0]]))


@pytest.mark.slow
def test_the_logarithm_of_a_probability_near_one_is_less_accurate_and_not_wrong():
    report = check_backward(naive, naive_backward, cross_entropy, {"z": np.array([[12.0, 0, 0]])})
    assert report.agrees, str(report)
    assert [*report.less_accurate] == ["output"]
    worse = check_backward(lambda z: (naive(z)[0] + 1e-15, naive(z)[1]), naive_backward, cross_entropy, {"z": (1, 3)})
    assert worse.agrees
    shifted = check_backward(lambda z: (naive(z)[0] + 1e-9, naive(z)[1]), naive_backward, cross_entropy, {"z": (1, 3)})
    assert not shifted.agrees


@pytest.mark.slow
def test_a_formula_that_overflows_at_large_values_is_right_and_that_is_said():
    def forward(x):
        return np.log(1 + np.exp(40 * x)), x

    def backward(x, d_y):
        return d_y * 40 * np.exp(40 * x) / (1 + np.exp(40 * x))

    def check(backward):
        return check_backward(forward, backward, lambda x: torch.nn.functional.softplus(40 * x), {"x": (4, 3)})

    report = check(backward)
    assert report.agrees, str(report)
    assert "Overflows where values are ten times as large" in str(report)
    clipped = check(lambda x, d_y: np.where(np.abs(x) > 9, 0, backward(x, d_y)))
    assert clipped.outcome == "disagree"


@pytest.mark.slow
def test_each_gradient_is_judged_in_its_own_precision():
    def check(factor):
        return check_backward(
            lambda x, w: (x * w, (x, w)),
            lambda tape, d: (factor * d * tape[1], (d * tape[0]).astype(np.float16)),
            lambda x, w: x * w,
            {"x": (4, 3), "w": (4, 3)},
        )

    assert check(1).agrees, str(check(1))
    assert "Returned in float16, unlike the rest: d_w" in str(check(1))
    wrong = check(1 + 1e-9)
    assert [fault.name for fault in wrong.faults] == ["d_x"]


# Small beside others.

SMALL = np.array([[1.0, 2.0, 3.0], [-30.0, -35.0, -40.0]])


def softplus(x):
    return np.log(1 + np.exp(x)), x


def check_softplus(times, function=check_backward):
    """Check softplus with the derivative of the small ones multiplied."""

    def reference(x):
        return torch.nn.functional.softplus(x)

    if function is check_function:
        own = function_of(
            lambda x: torch.log(1 + torch.exp(x)),
            lambda x, d: d / (1 + torch.exp(-x)) * torch.where(x < -20, times, 1.0),
        )
        return check_function(own, reference, torch.from_numpy(SMALL))
    return check_backward(
        softplus, lambda x, d: d / (1 + np.exp(-x)) * np.where(x < -20, times, 1), reference, {"x": SMALL}
    )


@pytest.mark.slow
@pytest.mark.parametrize("function", [check_backward, check_function])
@pytest.mark.parametrize("times", [0.0, -1.0, 2.0])
def test_a_row_that_is_tiny_beside_another_hides_no_error(function, times):
    """The naive logarithm has no digit of the small ones, and is right: its own operations round them away."""
    right = check_softplus(1.0, function)
    assert right.agrees and not right.less_accurate, str(right)
    wrong = check_softplus(times, function)
    assert [fault.name for fault in wrong.faults] == ["d_x"]
    assert wrong.faults[0].worst.error == pytest.approx(abs(times - 1))  # relative to the element itself


def test_a_tolerance_that_is_asked_for_holds_for_small_elements_too():
    def check(tolerance):
        return check_backward(
            lambda x: (np.exp(x), np.exp(x)), lambda y, d: d * y * (y > 1e-10), torch.exp, {"x": SMALL},
            tolerance=tolerance,
        )  # fmt: skip

    assert not check(None).agrees and check(1e-9).agrees
