import pytest
import torch
from torch.nn import functional

from torch_impl import LOSSES

generator = torch.Generator().manual_seed(0)
Z = torch.randn(4, 3, 2, dtype=torch.float64, generator=generator) * 3
Y = torch.rand(Z.shape, dtype=torch.float64, generator=generator)
REFERENCES = {
    "bce": functional.binary_cross_entropy_with_logits,
    "mse": lambda z, y: functional.mse_loss(torch.sigmoid(z), y),
}


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_torchs(name):
    z, reference = Z.clone().requires_grad_(), Z.clone().requires_grad_()
    ours, theirs = LOSSES[name](z, Y), REFERENCES[name](reference, Y)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    torch.testing.assert_close(
        *torch.autograd.grad(ours, z), *torch.autograd.grad(theirs, reference), rtol=1e-12, atol=0
    )


def test_cross_entropy_keeps_its_digits_at_both_ends():
    z = torch.tensor([1e4, -1e4, 30.0, -30.0], requires_grad=True)
    y = torch.tensor([1.0, 0.0, 1.0, 0.0])
    (gradient,) = torch.autograd.grad(LOSSES["bce"](z, y), z)
    small = torch.tensor(30.0).neg().exp() / 4
    torch.testing.assert_close(gradient, torch.stack([0 * small, 0 * small, -small, small]), rtol=1e-6, atol=0)
