import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

from manual.activations import ACTIVATIONS
from manual.compiled.activations import activate, differentiate

EDGES = [-np.inf, -1000.0, -100.0, -40.0, -0.7, -1e-20, -0.0, 0.0, 1e-20, 0.4, 40.0, 100.0, 1000.0, np.inf, np.nan]


def activated(name, z):
    out = np.empty_like(z)
    activate(list(ACTIVATIONS).index(name), z, out)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_activations_are_right_to_two_units_in_the_last_place(name, dtype):
    scales = [1e-30, 1e-9, 1e-3, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 87.0, *([700.0] if dtype == np.float64 else [])]
    z = np.concatenate([np.random.default_rng(0).uniform(-scale, scale, 4000) for scale in scales]).astype(dtype)
    exact = z.astype(np.longdouble)
    expected = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    actual = activated(name, z)
    assert actual.dtype == dtype
    assert (np.abs(actual - expected) / np.abs(expected)).max() < 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_the_text(name, dtype):
    of_arrays, derivative_of_arrays = ACTIVATIONS[name]
    z = np.array(EDGES, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = of_arrays(z)
        expected_derivative = derivative_of_arrays(expected)
    close = {"rtol": 4 * np.finfo(dtype).eps, "atol": np.finfo(dtype).tiny, "equal_nan": True}
    actual = activated(name, z)
    assert np.allclose(actual, expected, **close)
    number = ~np.isnan(expected)
    assert np.array_equal(np.signbit(actual[number]), np.signbit(expected[number]))
    differentiate(list(ACTIVATIONS).index(name), expected, actual)
    assert np.allclose(actual, expected_derivative, **close)
