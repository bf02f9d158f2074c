"""The hand-derived layer against both opponents: every output and every gradient, all arguments random."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import relative_error

import manual
import torch_impl

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
SHAPES = [(4, 3, 2, 5), (1, 3, 2, 5), (7, 1, 3, 2), (9, 4, 6, 1), (100, 2, 3, 8)]  # T, B, D, H


def both_sides(opponent, shape, dtype, seed=0):
    """What each side makes of the same weights and arguments, by name."""
    T, B, D, H = shape
    rng = np.random.default_rng(seed)

    def normal(*size):
        return rng.normal(size=size).astype(dtype)

    ours = manual.LSTM(D, H, dtype=dtype, rng=rng)
    theirs = opponent(D, H, dtype=getattr(torch, dtype))
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.parameters.items()})
    x, state = normal(T, B, D), (normal(1, B, H), normal(1, B, H))
    d_output, d_state = normal(T, B, H), (normal(1, B, H), normal(1, B, H))

    output, (h_n, c_n), tape = ours.forward(x, state)
    d_x, (d_h_0, d_c_0), gradients = ours.backward(tape, d_output, d_state)
    mine = dict(output=output, h_n=h_n, c_n=c_n, d_x=d_x, d_h_0=d_h_0, d_c_0=d_c_0) | gradients

    tensors = SimpleNamespace(x=torch.tensor(x, requires_grad=True))
    tensors.h_0, tensors.c_0 = (torch.tensor(s, requires_grad=True) for s in state)
    output, (h_n, c_n) = theirs(tensors.x, (tensors.h_0, tensors.c_0))
    torch.autograd.backward([output, h_n, c_n], [torch.tensor(d) for d in (d_output, *d_state)])
    reference = dict(output=output, h_n=h_n, c_n=c_n) | {f"d_{name}": t.grad for name, t in vars(tensors).items()}
    reference |= {name: parameter.grad for name, parameter in theirs.named_parameters()}
    return mine, {name: tensor.detach().numpy() for name, tensor in reference.items()}


@pytest.mark.parametrize("opponent", [torch_impl.LSTM, torch.nn.LSTM], ids=["written out", "nn.LSTM"])
@pytest.mark.parametrize("shape, dtype", list(product(SHAPES, TOLERANCE)))
def test_everything_agrees(opponent, shape, dtype):
    mine, reference = both_sides(opponent, shape, dtype)
    assert mine.keys() == reference.keys()
    for name, array in reference.items():
        assert mine[name].dtype == array.dtype
        assert relative_error(mine[name], array) < TOLERANCE[dtype], name
