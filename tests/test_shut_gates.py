"""Where gates are shut or saturated, the layers are as close to the truth as torch's.

The truth is the same layer in long double. Errors are relative to the tensor's largest element.
"""

import numpy as np
import pytest
import torch
from numpy.typing import DTypeLike

import manual
from manual.arrays import as_state, state_parts

T, B, D, H = 6, 4, 3, 5
BIASES, SCALES = (0, -5, -10, -20, -35, -50), (1, 10, 100, 1e3, 1e4)


class Problem:
    """Weights and arguments of a dtype, with a bias on every gate and inputs of a scale.

    Those of float32 would not do for float64, in which their products are exact.
    """

    def __init__(self, cell: str, dtype: str, bias: float, scale: float, seed: int):
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> np.ndarray:
            return rng.normal(size=shape).astype(dtype)

        self.cell = cell
        self.parameters = getattr(manual, cell)(D, H, dtype=dtype, rng=rng).parameters
        self.parameters["bias_ih_l0"] += bias
        states = 2 if cell == "LSTM" else 1
        self.x, self.d_output = (scale * draw(T, B, D)).astype(dtype), draw(T, B, H)
        self.state, self.d_state = ([draw(1, B, H) for _ in range(states)] for _ in range(2))

    def by_hand(self, dtype: DTypeLike) -> dict[str, np.ndarray]:
        layer = getattr(manual, self.cell)(D, H, dtype=dtype)
        for name, array in layer.parameters.items():
            array[...] = self.parameters[name]
        x, d_output = self.x.astype(dtype), self.d_output.astype(dtype)
        state, d_state = (as_state(s.astype(dtype) for s in states) for states in (self.state, self.d_state))
        output, last, tape = layer.forward(x, state)
        d_x, d_first, gradients = layer.backward(tape, d_output, d_state)
        states = dict(enumerate([*state_parts(last), *state_parts(d_first)]))
        return {"output": output, "d_x": d_x} | states | gradients

    def by_torch(self, dtype: str) -> dict[str, np.ndarray]:
        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array.astype(dtype), requires_grad=True)

        layer = getattr(torch.nn, self.cell)(D, H, dtype=getattr(torch, dtype))
        layer.load_state_dict({name: tensor(array) for name, array in self.parameters.items()})
        x, *state = map(tensor, (self.x, *self.state))
        output, last = layer(x, as_state(state))
        outputs = [output, *state_parts(last)]
        d_x, *rest = torch.autograd.grad(
            outputs, [x, *state, *layer.parameters()], list(map(tensor, (self.d_output, *self.d_state)))
        )
        states = dict(enumerate([*outputs[1:], *rest[: len(state)]]))
        gradients = dict(zip(self.parameters, rest[len(state) :], strict=True))
        tensors = {"output": output, "d_x": d_x} | states | gradients
        return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def ratio(cell: str, dtype: str, bias: float, scale: float, seeds: int) -> float:
    """The error of ``manual`` over that of ``torch.nn``: the geometric mean over tensors and seeds.

    A single ratio says little: a tensor's error is mostly that of its largest element. Errors below an ulp count as 1.
    """
    logs = []
    for seed in range(seeds):
        problem = Problem(cell, dtype, bias, scale, seed)
        truth, ours, theirs = problem.by_hand(np.longdouble), problem.by_hand(dtype), problem.by_torch(dtype)
        for name, right in truth.items():
            ulp = np.abs(right).max() * np.finfo(dtype).eps
            errors = [max(np.abs(array[name] - right).max() / ulp, 1) if ulp else 1 for array in (ours, theirs)]
            logs.append(np.log(errors[0] / errors[1]))
    return float(np.exp(np.mean(logs)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_shut_gates_are_as_precise_as_torch_s(cell, dtype):
    assert ratio(cell, dtype, bias=-20, scale=1, seeds=5) < 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_errors_are_at_most_twice_torch_s(cell, dtype):
    """Where tanh is ±1 but for an ulp or two, its derivative is as wrong as tanh itself, and NumPy's is off by up to an
    ulp in float32, torch's by half of one. With a bias of -10, that is most of what an RNN in float32 computes."""
    limit = 3 if (cell, dtype) == ("RNN", "float32") else 2
    ratios = {(bias, scale): ratio(cell, dtype, bias, scale, seeds=8) for bias in BIASES for scale in SCALES}
    assert {case: found for case, found in ratios.items() if found > limit} == {}
