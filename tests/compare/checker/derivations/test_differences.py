"""References made of values alone: complex steps and differences."""

import numpy as np
import pytest
import torch
from functions import function_of

from compare import check_backward, check_function, complex_step, differences

H, D = 4, 3
A, B = torch.rand(2, H, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 1


def values(a, b):
    return {"y": np.exp(a * b) + np.sin(a), "z": [a / b]}


#: What is wrong: the gradient, and what is made of both.
FAULTS = [
    ("d_a", lambda d_a, d_b: (2 * d_a, d_b)),
    ("d_a", lambda d_a, d_b: (d_a + 1e-3, d_b)),
    ("d_a", lambda d_a, d_b: (d_a.flip(0), d_b)),
    ("d_b", lambda d_a, d_b: (d_a, -d_b)),
    ("d_b", lambda d_a, d_b: (d_a, torch.zeros_like(d_b))),
    ("d_b", lambda d_a, d_b: (d_a, d_b * (1 + 1e-5))),
]


def function(change=lambda *found: found):
    def backward(a, b, d_y, d_z):
        y = torch.exp(a * b)
        return change(d_y * (y * b + torch.cos(a)) + d_z / b, d_y * y * a - d_z * a / b**2)

    return function_of(lambda a, b: (torch.exp(a * b) + torch.sin(a), a / b), backward)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [complex_step, differences])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_right_one_is_accepted_and_each_wrong_one_is_named(reference, dtype):
    a, b = A.to(dtype), B.to(dtype)
    report = check_function(function(), reference(values), a, b)
    assert report.agrees, str(report)
    for name, change in FAULTS:
        assert [fault.name for fault in check_function(function(change), reference(values), a, b).faults] == [name]


@pytest.mark.slow
def test_what_each_is_good_to():
    nearly = function(lambda d_a, d_b: (d_a, d_b * (1 + 1e-9)))
    assert not check_function(nearly, complex_step(values), A, B).agrees
    report = check_function(nearly, differences(values), A, B)
    assert report.agrees, str(report)
    assert "gradients are differences of its values, good to 1e-06: a smaller mistake does not show" in str(report)
    right = check_function(function(), complex_step(values), A, B)
    assert "differences" not in str(right)
    wrong = {"y": lambda a, b: np.exp(a * b) + np.sin(a) + 1e-9, "z": lambda a, b: a / b}
    off = differences(lambda a, b: [wrong["y"](a, b), wrong["z"](a, b)])
    assert [fault.name for fault in check_function(function(), off, A, B).faults] == ["output 0"]  # values to 1e-12


def test_a_pair_in_numpy_with_parameters_and_indices():
    def forward(p, x, n):
        return p["w"] ** 2 * x[n], (x, n)

    def backward(p, tape, d_y):
        x, n = tape
        d_x = np.zeros_like(x)
        np.add.at(d_x, n, d_y * p["w"] ** 2)
        return d_x, None, {"w": (2 * d_y * p["w"] * x[n]).sum(0)}

    inputs = {"x": (H, D), "n": lambda rng: rng.integers(0, H, 5)}
    for reference in (complex_step, differences):
        report = check_backward(
            forward, backward, reference(lambda p, x, n: p["w"] ** 2 * x[n]), inputs, parameters={"w": (D,)}
        )
        assert report.agrees, str(report)


NOT_ANALYTIC = "expected an analytic function, its differences show that it is none"


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda a, b: np.abs(a) * b, NOT_ANALYTIC),
        (lambda a, b: np.conj(a) * b, NOT_ANALYTIC),
        (lambda a, b: np.arctan2(a, b), "the function takes no complex numbers: ufunc 'arctan2'"),
    ],
)
def test_a_function_that_has_no_complex_steps_is_refused(wrong, words):
    with pytest.raises(ValueError, match=f"^complex_step: {words}.*; use compare.differences"):
        check_function(function(), complex_step(wrong), A, B)
    with pytest.raises(ValueError, match=r"^reference: expected real arguments, got a tensor of torch.complex128"):
        check_function(function(), complex_step(values), A + 1j, B)
