import numpy as np
import pytest
from oracles import complex_step, relative_error

from manual.activations import (
    ACTIVATIONS,
    relu,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    softmax,
    softmax_backward,
    tanh_derivative,
)

Z = np.random.default_rng(0).normal(0, 2, (3, 4))


def test_equation_a1():
    assert relative_error(sigmoid(Z), (1 + np.tanh(Z / 2)) / 2) < 1e-15


def test_sigmoid_keeps_its_relative_precision_where_it_is_small():
    z = np.linspace(-80, 0, 161)
    expected = 1 / (1 + np.exp(-z.astype(np.longdouble)))
    for dtype in (np.float32, np.float64):
        assert np.abs(sigmoid(z.astype(dtype)) / expected - 1).max() < 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("z", [-1e4, -800.0, -745.0, -700.0, -30.0, -0.0, 0.0, 30.0, 800.0, 1e4])
def test_complex_steps_through_sigmoid_overflow_nowhere(z):
    moved = sigmoid(np.array([z + 1e-20j]))
    assert moved.real == pytest.approx(sigmoid(np.array([z])), rel=1e-15, abs=1e-323)
    e = np.exp(-abs(z))
    assert moved.imag / 1e-20 == pytest.approx(e / (1 + e) ** 2, rel=1e-14, abs=1e-300)


def test_equation_a2():
    assert relative_error(sigmoid_derivative(sigmoid(Z)), complex_step(lambda z: sigmoid(z).sum(), Z)) < 1e-15


def test_equation_a3():
    assert relative_error(tanh_derivative(np.tanh(Z)), complex_step(lambda z: np.tanh(z).sum(), Z)) < 1e-15


def test_equation_a4():
    assert np.array_equal(relu(Z), np.maximum(Z, 0))


def test_equation_a5():
    assert np.array_equal(relu_derivative(relu(Z)), complex_step(lambda z: relu(z).sum(), Z))
    assert relu_derivative(np.array(0.0)) == 0


def test_equation_a6():
    assert relative_error(softmax(Z), np.exp(Z) / np.exp(Z).sum(axis=-1)[:, None]) < 1e-15
    assert np.array_equal(softmax(np.array([1e4, 0.0, -1e4])), [1, 0, 0])


def test_equation_a7():
    d_y = np.random.default_rng(1).normal(size=Z.shape)
    expected = complex_step(lambda z: (np.exp(z) / np.exp(z).sum(axis=-1)[:, None] * d_y).sum(), Z)
    assert relative_error(softmax_backward(softmax(Z), d_y), expected) < 1e-14


def test_sigmoid_saturates_without_a_warning():
    assert np.array_equal(sigmoid(np.array([-1e4, 1e4, -np.inf, np.inf])), [0, 1, 0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex128])
def test_dtypes_are_kept(dtype):
    z = Z.astype(dtype)
    assert sigmoid(z).dtype == sigmoid_derivative(z).dtype == tanh_derivative(z).dtype == dtype
    assert relu(z).dtype == relu_derivative(z).dtype == dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_result_goes_where_it_is_told_to_even_onto_an_argument(name):
    for function in ACTIVATIONS[name]:
        expected, place = function(Z), Z.copy()
        assert function(place, place) is place
        assert np.array_equal(place, expected)
