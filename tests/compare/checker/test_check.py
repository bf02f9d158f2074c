"""The arguments of the library's checks, and gradients that were not derived."""

import numpy as np
import pytest
import torch

from compare import assert_function, check_backward, check_function

X = np.random.default_rng(0).normal(size=(4, 3))
W, V = torch.from_numpy(X[:2]), torch.from_numpy(X[2:])


def forward(x):
    y = np.tanh(x)
    return y, y


def backward(y, d_y):
    return (d_y * (1 - y**2),)


def check(**changed):
    arguments = {"forward": forward, "backward": backward, "reference": torch.tanh, "inputs": {"x": X}}
    return check_backward(**arguments | changed)


class Product(torch.autograd.Function):
    """w * v, reshaped; the gradient of v is left out."""

    @staticmethod
    def forward(ctx, w, v, shape):
        assert isinstance(shape, tuple)
        ctx.save_for_backward(w, v)
        return (w * v).reshape(shape)

    @staticmethod
    def backward(ctx, d):
        w, v = ctx.saved_tensors
        return d.reshape(w.shape) * v, None, None


def product(w, v, shape):
    return (w * v).reshape(shape)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("forward", 3, "expected a function, got 3"),
        ("backward", None, "expected a function, got None"),
        ("backward", lambda d_y: d_y, "expected a function of 2 arguments; too many positional arguments"),
        ("reference", "tanh", "expected a function, got 'tanh'"),
        ("inputs", X, "expected a dict by name, .* got a ndarray"),
        ("inputs", (X,), "expected a dict by name, .* got a tuple of a ndarray"),
        ("inputs", [], "expected a dict by name, .* got a list of nothing"),
        ("inputs", lambda rng: X, "expected a function that returns a dict by name, it returns a ndarray"),
        ("inputs", {"inputs": (0, 3)}, r"expected sizes of at least 1, got \(0, 3\)"),
        ("inputs", {"inputs": X + 1j}, "expected real numbers, got complex128"),
        ("inputs", {"inputs": W}, "expected an array, got a tensor"),
        ("reference", lambda x: torch.dropout(x, 0.5, True), "output: the same arguments give different results"),
        ("reference", lambda x: torch.tanh(x).detach(), "expected output to depend on an argument, got a constant"),
        ("reference", lambda x: {"y": "x"}, "y: expected a tensor of real numbers, got str"),
        ("reference", torch.fft.fft, "output: expected a tensor of real numbers, got torch.complex128"),
        ("parameters", [X], "expected a dict by name, or a function that returns one, got"),
        ("outputs", "y", "expected a tuple of names, got 'y'"),
        ("outputs", ("y", "z"), "expected 1 name, got"),
        ("axes", ("T",), "expected a string such as 'T B', got"),
        ("seed", -1, "expected at least 0, got -1"),
        ("seed", "1", "expected a whole number, got '1'"),
        ("dtype", "int", "expected one of float64, float32, float16, bfloat16, got 'int'"),
        ("tolerance", -1.0, "expected a number above 0, got -1"),
        ("tolerance", np.nan, "expected a number above 0, got nan"),
        ("tolerance", np.inf, "expected a number above 0, got inf"),
        ("k", 0, "expected a number above 0, got 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_its_name(name, value, words):
    assert check().agrees
    with pytest.raises(ValueError, match=f"^{name}: {words}"):
        check(**{name: value})


def test_a_function_takes_tensors():
    with pytest.raises(ValueError, match=r"^w: expected a tensor, got a ndarray of float64"):
        check_function(Product, product, X, V, (6,))
    with pytest.raises(ValueError, match=r"^w: expected a dense tensor, got torch.sparse_coo"):
        check_function(Product, product, W.to_sparse(), V, (6,))
    with pytest.raises(ValueError, match=r"^inputs: expected a tensor of floating-point numbers, got none"):
        check_function(Product, product, 2, 3, (6,))


@pytest.mark.parametrize("returned", [None, (None,)])
def test_no_gradient_is_no_agreement(returned):
    report = check(backward=lambda y, d_y: returned)
    assert not report.agrees
    assert report.kinds == ["nothing compared"]
    assert report.outcome == report.as_json()["verdict"] == "undecided"
    assert "UNDECIDED: forward: no gradient was compared" in str(report)


def test_whole_numbers_alone_are_no_agreement():
    assert check(inputs={"x": np.arange(5)}).kinds == ["nothing compared"]


def test_a_gradient_that_no_tensor_requires_may_be_left_out():
    report = check_function(Product, product, W, V, (3, 2))
    assert report.agrees
    assert report.left_out == ("d_v",)
    assert_function(Product, product, W.clone().requires_grad_(), V, (3, 2))


def test_a_gradient_that_is_required_and_left_out_is_wrong():
    report = check_function(Product, product, W.clone().requires_grad_(), V.clone().requires_grad_(), (3, 2))
    assert [fault.name for fault in report.faults] == ["d_v"]
    assert report.faults[0].worst.actual == 0


def test_parameters_before_the_inputs_may_be_empty():
    """A pass that is written with a ``p``, as in a starter, where there are no parameters."""

    def forward(p, x, w):
        assert p == {}
        return x * w, (x, w)

    def backward(p, tape, d_y):
        x, w = tape
        return d_y * w, d_y * x

    inputs = {"x": (4, 3), "w": (4, 3)}
    assert check_backward(forward, backward, lambda x, w: x * w, inputs).agrees
    assert check_backward(forward, lambda *given: (*backward(*given), {}), lambda x, w: x * w, inputs).agrees
    wrong = check_backward(forward, lambda p, tape, d_y: backward(p, tape[::-1], d_y), lambda x, w: x * w, inputs)
    assert {fault.name for fault in wrong.faults} == {"d_x", "d_w"}


@pytest.mark.parametrize("factor", [1, 2])
def test_an_array_may_have_negative_strides(factor):
    report = check(
        forward=lambda x, n: (x * n, n), backward=lambda n, d: (factor * d * n, None),
        reference=lambda x, n: x * n, inputs={"x": X[::-1], "n": np.arange(3)[::-1]}, fast=True,
    )  # fmt: skip
    assert report.agrees is (factor == 1)
