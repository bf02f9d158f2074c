import numpy as np
import pytest
import torch

from compare.published.kernels import attention


@pytest.mark.slow
def test_it_is_the_attention_of_torch():
    rng = np.random.default_rng(0)
    mask = attention.INPUTS[0]["mask"]
    q, k, v = (torch.tensor(rng.normal(size=attention.INPUTS[0][name]), requires_grad=True) for name in ("q", "k", "v"))
    y, tape = attention.forward(*(tensor.detach().numpy() for tensor in (q, k, v)), mask)
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, torch.tensor(mask))
    d_y = rng.normal(size=y.shape)
    assert np.allclose(y, theirs.detach().numpy(), rtol=1e-12)
    for ours, expected in zip(attention.backward(tape, d_y), torch.autograd.grad(theirs, (q, k, v), torch.tensor(d_y))):
        assert np.allclose(ours, expected.numpy(), rtol=1e-10, atol=1e-13)
