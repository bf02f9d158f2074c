import numpy as np
import pytest
from oracles import complex_step, relative_error

from manual import Linear

torch = pytest.importorskip("torch")

T, B, H, O = 4, 3, 5, 2
rng = np.random.default_rng(0)
H_IN, D_Y = rng.normal(size=(T, B, H)), rng.normal(size=(T, B, O))


@pytest.fixture
def linear():
    return Linear(H, O, rng=np.random.default_rng(1))


def moved(linear, **parameters):
    """The loss with some parameters replaced, in complex arithmetic."""
    other = Linear(H, O, dtype=complex, rng=np.random.default_rng(1))
    other.parameters = {name: array.astype(complex) for name, array in (linear.parameters | parameters).items()}
    return lambda h: (other.forward(h.astype(complex))[0] * D_Y).sum()


def test_equation_y1(linear):
    y, _ = linear.forward(H_IN)
    expected = np.einsum("tbh,oh->tbo", H_IN, linear.parameters["weight"]) + linear.parameters["bias"]
    assert relative_error(y, expected) < 1e-15


def test_equation_y2(linear):
    d_h, _ = linear.backward(linear.forward(H_IN)[1], D_Y)
    assert relative_error(d_h, complex_step(moved(linear), H_IN)) < 1e-14


@pytest.mark.parametrize("number, name", [("Y3", "weight"), ("Y4", "bias")])
def test_weight_equation(number, name, linear):
    _, gradients = linear.backward(linear.forward(H_IN)[1], D_Y)
    expected = complex_step(lambda value: moved(linear, **{name: value})(H_IN), linear.parameters[name])
    assert relative_error(gradients[name], expected) < 1e-14


def test_it_starts_as_torch_does(linear):
    theirs = torch.nn.Linear(H, O).state_dict()
    assert {n: a.shape for n, a in linear.parameters.items()} == {n: tuple(t.shape) for n, t in theirs.items()}
    assert all(0 < np.abs(array).max() <= H**-0.5 for array in linear.parameters.values())


def test_without_a_generator_parameters_are_drawn_from_fresh_entropy():
    assert not np.array_equal(Linear(H, O).parameters["weight"], Linear(H, O).parameters["weight"])


def test_a_wrong_shape_is_named(linear):
    with pytest.raises(ValueError, match=r"h: expected shape \(T, B, H\) = \(any, any, 5\), got \(4, 3, 2\)"):
        linear.forward(D_Y)
    with pytest.raises(ValueError, match=r"d_y: expected shape \(T, B, O\) = \(4, 3, 2\), got \(4, 3, 5\)"):
        linear.backward(linear.forward(H_IN)[1], H_IN)


def test_the_tape_has_its_own_h_and_weight(linear):
    h = H_IN.copy()
    _, tape = linear.forward(h)
    expected = linear.backward(tape, D_Y)
    h += 1
    linear.parameters["weight"] += 1
    d_h, gradients = linear.backward(tape, D_Y)
    assert np.array_equal(d_h, expected[0])
    assert np.array_equal(gradients["weight"], expected[1]["weight"])


def test_another_s_tape_is_refused(linear):
    with pytest.raises(TypeError, match="tape: expected the tape of a forward pass, got ndarray"):
        linear.backward(H_IN, D_Y)
    tape = Linear(H, O + 1).forward(H_IN)[1]
    with pytest.raises(ValueError, match=r"tape.weight: expected shape \(O, H\) = \(2, 5\), got \(3, 5\)"):
        linear.backward(tape, D_Y)
    tape = Linear(H, O, dtype=np.float32).forward(H_IN.astype(np.float32))[1]
    with pytest.raises(TypeError, match=r"tape\.weight: expected dtype float64, got float32"):
        linear.backward(tape, D_Y)


def test_a_wrong_dtype_is_named(linear):
    with pytest.raises(TypeError, match="h: expected dtype float64, got float32"):
        linear.forward(H_IN.astype(np.float32))


def test_without_a_bias_it_is_a_product_with_the_same_gradients_but_the_bias_s(linear):
    bare = Linear(H, O, bias=False, rng=np.random.default_rng(1))
    assert list(bare.parameters) == ["weight"]
    np.testing.assert_array_equal(bare.parameters["weight"], linear.parameters["weight"])
    y, tape = bare.forward(H_IN)
    np.testing.assert_array_equal(y, H_IN @ bare.parameters["weight"].T)
    d_h, gradients = bare.backward(tape, D_Y)
    expected_d_h, expected = linear.backward(linear.forward(H_IN)[1], D_Y)
    assert list(gradients) == ["weight"]
    np.testing.assert_array_equal(d_h, expected_d_h)
    np.testing.assert_array_equal(gradients["weight"], expected["weight"])
