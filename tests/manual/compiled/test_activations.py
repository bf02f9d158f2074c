import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

from manual.activations import ACTIVATIONS
from manual.compiled.activations import activation, derivative

Z = np.array([-np.inf, -1000.0, -40.0, -0.7, -1e-20, -0.0, 0.0, 1e-20, 0.4, 40.0, 1000.0, np.inf, np.nan])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_of_one_number_is_that_of_arrays(name):
    of_arrays, derivative_of_arrays = ACTIVATIONS[name]
    kind, expected = list(ACTIVATIONS).index(name), of_arrays(Z)
    assert np.allclose([activation(kind, z) for z in Z], expected, rtol=1e-15, atol=0, equal_nan=True)
    with np.errstate(invalid="ignore"):
        expected_derivative = derivative_of_arrays(expected)
    actual = [derivative(kind, a) for a in expected]
    assert np.allclose(actual, expected_derivative, rtol=1e-15, atol=0, equal_nan=True)
