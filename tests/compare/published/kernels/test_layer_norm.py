import numpy as np
import torch

from compare.published.kernels import layer_norm


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
