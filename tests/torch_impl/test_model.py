import pytest
import torch

from torch_impl import LSTM, Model


@pytest.mark.parametrize("layer", [LSTM, torch.nn.LSTM])
def test_logits_are_the_readout_of_the_recurrent_output(layer):
    model = Model(layer(2, 5), torch.nn.Linear(5, 1))
    x = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    logits, (h_n, _) = model(x)
    assert logits.shape == (4, 3, 1)
    torch.testing.assert_close(logits[-1], model.readout(h_n[0]))
    assert [name for name, _ in model.named_parameters()][-2:] == ["readout.weight", "readout.bias"]
