"""Where gates are shut or saturated, the layers are as close to the truth as torch's.

The truth is the same layer in long double. Errors are relative to the tensor's largest element.
"""

from copy import copy

import numpy as np
import pytest
import torch
from test_against_torch import Trial

import manual

BIASES, SCALES = (0, -5, -10, -20, -35, -50), (1, 10, 100, 1e3, 1e4)


def in_long_double(trial: Trial) -> dict[str, np.ndarray]:
    """What the layer computes with the same numbers in long double. Those of float32 would not do for float64."""
    wide = copy(trial)
    wide.layer = trial.build(manual, dtype=np.longdouble)
    for name, array in wide.layer.parameters.items():
        array[...] = trial.layer.parameters[name]
    wide.x, wide.d_output = trial.x.astype(np.longdouble), trial.d_output.astype(np.longdouble)
    wide.state, wide.d_state = ([s.astype(np.longdouble) for s in states] for states in (trial.state, trial.d_state))
    return wide.by_hand()


def ratio(cell: str, dtype: str, bias: float, scale: float, seeds: int) -> float:
    """The error of ``manual`` over that of ``torch.nn``: the geometric mean over tensors and seeds.

    There is a bias on every gate, and the inputs have a scale. A single ratio says little: a tensor's error is mostly
    that of its largest element. Errors below an ulp count as 1.
    """
    logs = []
    for seed in range(seeds):
        trial = Trial(cell, shape=(6, 4, 3, 5), dtype=dtype, seed=seed)
        trial.layer.parameters["bias_ih_l0"] += bias
        trial.x *= scale
        ours, theirs = trial.by_hand(), trial.by_autograd(torch.nn)
        for name, right in in_long_double(trial).items():
            ulp = np.abs(right).max() * np.finfo(dtype).eps
            errors = [max(np.abs(array[name] - right).max() / ulp, 1) if ulp else 1 for array in (ours, theirs)]
            logs.append(np.log(errors[0] / errors[1]))
    return float(np.exp(np.mean(logs)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_shut_gates_are_as_precise_as_torch_s(cell, dtype):
    assert ratio(cell, dtype, bias=-20, scale=1, seeds=5) < 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn tanh"])
def test_errors_are_at_most_twice_torch_s(cell, dtype):
    """Where tanh is ±1 but for an ulp or two, its derivative is as wrong as tanh itself, and NumPy's is off by up to an
    ulp in float32, torch's by half of one. With a bias of -10, that is most of what an RNN in float32 computes."""
    limit = 3 if (cell, dtype) == ("rnn tanh", "float32") else 2
    ratios = {(bias, scale): ratio(cell, dtype, bias, scale, seeds=16) for bias in BIASES for scale in SCALES}
    assert {case: found for case, found in ratios.items() if found > limit} == {}
