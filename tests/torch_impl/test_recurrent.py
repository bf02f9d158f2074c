import pytest
import torch

from torch_impl import LSTM


@pytest.fixture
def x():
    return torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))


def test_it_starts_as_nn_lstm_does():
    for parameter in LSTM(2, 5).parameters():
        assert 0 < parameter.abs().max() <= 5**-0.5


def test_the_adjoint_of_a_recorded_value_is_autograds(x):
    """The adjoint of h is what comes in from above plus what the next step hands back through its h_prev."""
    lstm, seen = LSTM(2, 5), {}

    def record(name, t, value):
        value.retain_grad()
        seen[name, t] = value
        return value

    output, _ = lstm(x, tuple(torch.rand(1, 3, 5, requires_grad=True) for _ in range(2)), probe=record)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * weights).sum().backward()
    names = ["h_prev", "c_prev", "z_i", "i", "z_f", "f", "z_g", "g", "z_o", "o", "c", "h"]
    assert list(seen) == [(f"{name}_l0", t) for t in range(4) for name in names]
    for t in range(3):
        expected = weights[t] + seen["h_prev_l0", t + 1].grad
        torch.testing.assert_close(seen["h_l0", t].grad, expected)


def test_the_computation_goes_on_with_what_a_probe_returns(x):
    def replace(name, t, value):
        return torch.full_like(value, 0.25) if (name, t) == ("h_l0", 3) else value

    output, (h_n, _) = LSTM(2, 5)(x, probe=replace)
    assert torch.equal(output[3], torch.full((3, 5), 0.25))
    assert torch.equal(h_n[0], output[3])


@pytest.mark.parametrize(
    "input, hx, error, message",
    [
        (
            torch.ones(4, 3, 7),
            None,
            ValueError,
            r"input: expected shape \(T, B, D\) = \(any, any, 2\), got \(4, 3, 7\)",
        ),
        (torch.ones(0, 3, 2), None, ValueError, "input: expected at least one time step and one row"),
        ([[1.0]], None, TypeError, r"input: expected a tensor of shape \(T, B, D\), got list"),
        (torch.ones(4, 3, 2).double(), None, TypeError, "input: expected dtype torch.float32, got torch.float64"),
        (torch.ones(4, 3, 2), (torch.ones(1, 3, 5),), ValueError, r"hx: expected \(h_0, c_0\), got 1 tensors"),
        (
            torch.ones(4, 3, 2),
            (torch.ones(1, 3, 5), torch.ones(1, 2, 5)),
            ValueError,
            r"c_0: expected shape \(layers \* directions, B, H\) = \(1, 3, 5\), got \(1, 2, 5\)",
        ),
    ],
)
def test_a_wrong_argument_is_named(input, hx, error, message):
    with pytest.raises(error, match=message):
        LSTM(2, 5)(input, hx)
