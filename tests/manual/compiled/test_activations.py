import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

from manual.activations import ACTIVATIONS
from manual.compiled.activations import activate, derivative, expm1

Z = np.array([-np.inf, -1000.0, -40.0, -0.7, -1e-20, -0.0, 0.0, 1e-20, 0.4, 40.0, 1000.0, np.inf, np.nan])


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e-3, 0.3, 1.0, 30.0, 700.0])
def test_the_exponential_is_right_to_two_units_in_the_last_place(scale):
    x = np.random.default_rng(0).uniform(-scale, scale, 1000)
    expected = np.expm1(x.astype(np.longdouble))
    error = np.abs([expm1(number) for number in x] - expected) / np.abs(expected)
    assert error.max() < 2 * np.finfo(float).eps


def test_the_exponential_keeps_its_meaning_at_the_ends():
    assert expm1(-np.inf) == expm1(-750.0) == -1
    assert np.isfinite(expm1(709.7))
    assert expm1(np.inf) == expm1(709.8) == np.inf
    assert np.isnan(expm1(np.nan))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_the_text(name):
    of_arrays, derivative_of_arrays = ACTIVATIONS[name]
    kind, expected = list(ACTIVATIONS).index(name), of_arrays(Z)
    actual = Z.copy()
    activate(kind, actual)
    assert np.allclose(actual, expected, rtol=1e-15, atol=0, equal_nan=True)
    assert np.array_equal(np.signbit(actual), np.signbit(expected))
    with np.errstate(invalid="ignore"):
        expected_derivative = derivative_of_arrays(expected)
    actual = np.array([derivative(kind, a) for a in expected])
    assert np.allclose(actual, expected_derivative, rtol=1e-15, atol=0, equal_nan=True)
