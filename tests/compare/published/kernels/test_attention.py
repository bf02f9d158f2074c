import numpy as np
import pytest
import torch

from compare import check_backward
from compare.published.kernels import attention

CHANGES = {
    "S1": (" / np.sqrt(D)", " / D", "s"),
    "S2": ("e.sum(axis=2", "e.sum(axis=1", "p"),
    "S3": ("p @ v", "p @ v * 2", "y"),
    "S4": ("p.swapaxes(1, 2) @ d_y", "p.swapaxes(1, 2) @ y", "d_v"),
    "S5": ("d_y @", "y @", "d_p"),
    "S6": ("d_y * y", "d_y", "d_s"),
    "S7": ("d_p - delta", "d_p", "d_s"),
    "S8": ("np.sqrt(D)", "D", "d_q"),
    "S9": (" @ q", " @ q[:, ::-1]", "d_k"),
}


@pytest.mark.slow
@pytest.mark.parametrize("equation", CHANGES)
def test_a_change_of_an_equation_is_named(equation, changed):
    old, new, name = CHANGES[equation]
    report = changed("attention", equation, old, new)
    assert [fault.name for fault in report.faults] == [name], report


@pytest.mark.slow
def test_it_agrees_with_autograd_at_all_sizes():
    report = check_backward(
        attention.forward, attention.backward, attention.autograd, attention.INPUTS, axes=attention.AXES
    )
    assert report.agrees, report
    assert len(report.as_run) == 9


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
