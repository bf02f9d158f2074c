import numpy as np
import pytest
import torch

import manual
from compare.lockstep.trainers import objective


@pytest.mark.parametrize("scale", [1.0, 8.0])
@pytest.mark.parametrize("name", manual.LOSSES)
def test_both_sides_have_one_value_and_autograd_has_the_gradient(name, scale, rng):
    loss = objective(name).times(scale)
    z, y = rng.normal(size=(7, 3, 2)), rng.integers(0, 2, (7, 3, 2)).astype(float)
    tensor = torch.tensor(z, requires_grad=True)
    value = loss.torch_value(tensor, torch.from_numpy(y))
    value.backward()
    assert isinstance(loss.value(z, y), np.ndarray | np.floating)
    np.testing.assert_allclose(loss.value(z, y), value.item(), rtol=1e-14)
    np.testing.assert_allclose(loss.gradient(z, y), tensor.grad, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(loss.value(z, y), scale * objective(name).value(z, y), rtol=1e-14)


def test_an_unknown_loss_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="loss: expected one of bce, mse, got 'hinge'"):
        objective("hinge")
