import numpy as np
import pytest
from oracles import complex_step, relative_error

from manual.losses import LOSSES, binary_cross_entropy, d_binary_cross_entropy, d_mean_squared_error, mean_squared_error

torch = pytest.importorskip("torch")
functional = torch.nn.functional

rng = np.random.default_rng(0)
Z = rng.normal(0, 3, (4, 3, 2))
Y = rng.uniform(0, 1, Z.shape)  # soft targets, so that both terms count everywhere


def textbook_cross_entropy(z):
    p = 1 / (1 + np.exp(-z))
    return -np.mean(Y * np.log(p) + (1 - Y) * np.log(1 - p))


def textbook_squared_error(z):
    return np.mean((1 / (1 + np.exp(-z)) - Y) ** 2)


def test_equation_e1():
    assert abs(binary_cross_entropy(Z, Y) - textbook_cross_entropy(Z)) < 1e-15


def test_equation_e2():
    assert relative_error(d_binary_cross_entropy(Z, Y), complex_step(textbook_cross_entropy, Z)) < 1e-14


def test_equation_e3():
    assert abs(mean_squared_error(Z, Y) - textbook_squared_error(Z)) < 1e-15


def test_equation_e4():
    assert relative_error(d_mean_squared_error(Z, Y), complex_step(textbook_squared_error, Z)) < 1e-14


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_exact_at_both_ends(dtype):
    """The gradient keeps all its digits where σ(z) - y would have lost them."""
    z = np.array([1e4, -1e4, 1e4, -1e4, 30, -30], dtype).reshape(6, 1, 1)
    y = np.array([1, 0, 0, 1, 1, 0], dtype).reshape(6, 1, 1)
    assert binary_cross_entropy(z, y) == pytest.approx(2e4 / 6)
    small = np.exp(-30.0) / (1 + np.exp(-30.0))
    assert d_binary_cross_entropy(z, y).ravel() * 6 == pytest.approx([0, 0, 1, -1, -small, small], rel=1e-6)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-15)])
def test_the_values_are_torchs(dtype, tolerance):
    z, y = torch.from_numpy(Z.astype(dtype)), torch.from_numpy(Y.astype(dtype))
    theirs = functional.binary_cross_entropy_with_logits(z, y), functional.mse_loss(torch.sigmoid(z), y)
    for (loss, _), reference in zip(LOSSES.values(), theirs, strict=True):
        assert abs(loss(z.numpy(), y.numpy()) - reference.numpy()) < tolerance


@pytest.mark.parametrize("function", [function for pair in LOSSES.values() for function in pair])
def test_targets_are_not_broadcast(function):
    with pytest.raises(ValueError, match=r"y: expected shape \(the logits' shape\) = "):
        function(Z, Y[:, :, :1])
    with pytest.raises(TypeError, match="y: expected dtype float64, got float32"):
        function(Z, Y.astype(np.float32))
