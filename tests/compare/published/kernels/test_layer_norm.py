import numpy as np
import pytest
import torch

from compare import check_backward
from compare.published.kernels import layer_norm

CHANGES = {
    "N1": ("x.mean(axis=-1", "x.mean(axis=0", "mu"),
    "N2": ("x - mu", "x + mu", "u"),
    "N3": (" + epsilon", " + 0.1", "r"),
    "N4": ("u * r", "u", "x_hat"),
    "N5": (" + bias", "", "output"),
    "N6": ("weight * d_y", "d_y", "d_x_hat"),
    "N7": ("d_x_hat * u", "d_x_hat * x_hat", "d_r"),
    "N8": ("r**3", "r", "d_u"),
    "N9": ("-d_u", "d_u", "d_mu"),
    "N10": ("d_mu / D", "d_mu", "d_x"),
    "N11": ("d_y * x_hat", "d_y * u", "d_weight"),
    "N12": ("axis=rows", "axis=rows[:-1]", "d_bias"),
}


@pytest.mark.parametrize("equation", CHANGES)
@pytest.mark.slow
def test_a_change_of_an_equation_is_named(equation, changed):
    old, new, name = CHANGES[equation]
    report = changed("layer_norm", equation, old, new)
    assert [fault.name for fault in report.faults] == [name], report


def test_it_agrees_with_autograd_at_all_sizes():
    report = check_backward(
        layer_norm.forward, layer_norm.backward, layer_norm.autograd, layer_norm.INPUTS, axes=layer_norm.AXES
    )
    assert report.agrees, report
    assert len(report.as_run) == 12


def test_it_is_the_layer_norm_of_torch():
    rng = np.random.default_rng(0)
    x, weight, bias = (torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in [(4, 3, 5), (5,), (5,)])
    y, tape = layer_norm.forward(*(tensor.detach().numpy() for tensor in (x, weight, bias)))
    theirs = torch.nn.functional.layer_norm(x, (5,), weight, bias, layer_norm.EPSILON)
    d_y = rng.normal(size=y.shape)
    assert np.allclose(y, theirs.detach().numpy(), rtol=1e-12)
    for ours, expected in zip(
        layer_norm.backward(tape, d_y), torch.autograd.grad(theirs, (x, weight, bias), torch.tensor(d_y))
    ):
        assert np.allclose(ours, expected.numpy(), rtol=1e-10, atol=1e-13)
