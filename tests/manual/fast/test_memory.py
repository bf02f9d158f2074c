from dataclasses import replace

import numpy as np
import pytest
from oracles import Experiment, relative_error

from manual.fast.gru import GRUMemory
from manual.fast.lstm import FastLSTM, LSTMMemory
from manual.lstm import LSTMKernel


@pytest.mark.parametrize("B", [1, 3])
def test_equation_f1(B):
    """The gates in the order g o i f, the sigmoids o i f negated, and σ of them from the exponential."""
    T, D, H = 4, 2, 5
    e = Experiment.random(LSTMKernel(), T, B, D, H)
    memory = LSTMMemory(T, B, D, H, H, e.x.dtype)
    memory.load(e.x, e.state, e.weights, negated=3)
    z = np.zeros((4, B, H))
    memory.to_gates.multiply(memory.rows[0], memory.to_gates.weights, memory.to_gates.out(z))
    bias = e.weights["bias_ih"] + e.weights["bias_hh"]
    expected = e.x[0] @ e.weights["weight_ih"].T + bias + e.state[0] @ e.weights["weight_hh"].T
    expected = expected.reshape(B, 4, H)
    for block, gate, factor in ((0, 2, 1), (1, 3, -1), (2, 0, -1), (3, 1, -1)):
        assert relative_error(z[block], factor * expected[:, gate]) < 1e-14
    assert relative_error(1 / (1 + np.exp(z[1])), 1 / (1 + np.exp(-expected[:, 3]))) < 1e-14


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("B", [1, 3])
def test_the_text_reads_the_memory_as_its_own_tape(kernels, B, tiled, request):
    if tiled:
        request.getfixturevalue("small_tiles")
    text, fast = kernels
    e = Experiment.random(text, B=B, H=6)
    expected, tape = (
        e.kernel.forward(e.x, e.state, e.weights)[2],
        fast.forward(e.x, e.state, e.weights)[2].equations_tape(),
    )
    assert type(tape) is type(expected)
    assert np.array_equal(tape.x, expected.x)
    for name in (name for name in e.weights if name.startswith("weight")):
        assert np.array_equal(tape.weights[name], expected.weights[name])
    for step, right in zip(tape.steps, expected.steps, strict=True):
        for name, array in right._asdict().items():
            assert relative_error(getattr(step, name), array) < 1e-14


def test_memory_is_overwritten_only_by_a_run_of_the_same_plan(kernels):
    fast = replace(Experiment.random(kernels[0]), kernel=kernels[1])
    longer = replace(Experiment.random(kernels[0], T=5), kernel=kernels[1])
    arguments = fast.x, fast.state, fast.weights
    memory = fast.kernel.forward(*arguments)[2]
    assert fast.kernel.forward(*arguments, out=memory)[2] is memory
    assert fast.kernel.forward(longer.x, longer.state, longer.weights, out=memory)[2] is not memory
    assert fast.kernel.forward(*arguments, out="no memory")[2] is not memory


def test_the_two_forms_of_a_gru_need_different_memory():
    sizes = 4, 3, 2, 5, 5, np.dtype(float)
    memory = GRUMemory.reuse(None, *sizes, True)
    assert GRUMemory.reuse(memory, *sizes, True) is memory
    assert GRUMemory.reuse(memory, *sizes, False) is not memory


def test_what_is_returned_is_not_the_memory(kernels):
    e = replace(Experiment.random(kernels[0]), kernel=kernels[1])
    returned = e.results()
    before = {name: array.copy() for name, array in returned.items()}
    memory = e.kernel.forward(e.x, e.state, e.weights)[2]
    e.kernel.forward(2 * e.x, e.state, e.weights, out=memory)
    arrays = list(returned.values())
    assert all(array.flags.c_contiguous for array in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
    assert all(np.array_equal(returned[name], array) for name, array in before.items())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_memory_is_in_the_dtype_of_the_run(kernels, dtype):
    e = Experiment.random(kernels[0])
    weights = {name: array.astype(dtype) for name, array in e.weights.items()}
    _, _, memory = kernels[1].forward(e.x.astype(dtype), tuple(s.astype(dtype) for s in e.state), weights)
    held = [*vars(memory).values(), *(getattr(step, name) for step in memory.steps for name in type(step).__slots__)]
    arrays = [thing for thing in held if isinstance(thing, np.ndarray)]
    assert len(arrays) > len(memory.steps)
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_views_hold_no_dictionary():
    e = Experiment.random(LSTMKernel())
    memory = FastLSTM().forward(e.x, e.state, e.weights)[2]
    assert not hasattr(memory.steps[0], "__dict__")
