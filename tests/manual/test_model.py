import numpy as np
import pytest
from oracles import complex_step, relative_error

from manual import LSTM, Linear, Model

T, B, D, H, O = 4, 3, 2, 5, 1
rng = np.random.default_rng(0)
X, STATE = rng.normal(size=(T, B, D)), (rng.normal(size=(1, B, H)), rng.normal(size=(1, B, H)))
D_LOGITS, D_STATE = rng.normal(size=(T, B, O)), (rng.normal(size=(1, B, H)), rng.normal(size=(1, B, H)))


def build(dtype=float):
    draws = np.random.default_rng(1)
    return Model(LSTM(D, H, dtype=dtype, rng=draws), Linear(H, O, dtype=dtype, rng=draws))


def loss(**parameters):
    """The random combination of all outputs, in complex arithmetic, with some parameters replaced."""
    model = build(complex)
    for name, array in parameters.items():
        model.parameters[name][...] = array
    logits, state, _ = model.forward(X.astype(complex), tuple(s.astype(complex) for s in STATE))
    return (logits * D_LOGITS).sum() + sum((s * d).sum() for s, d in zip(state, D_STATE))


@pytest.mark.parametrize("name", build().parameters)
def test_the_gradient_of_each_parameter(name):
    model = build()
    _, _, tape = model.forward(X, STATE)
    _, _, gradients = model.backward(tape, D_LOGITS, D_STATE)
    expected = complex_step(lambda value: loss(**{name: value}), model.parameters[name])
    assert relative_error(gradients[name], expected) < 1e-13


def test_it_is_the_readout_of_the_recurrent_layers_from_the_state_given():
    model = build()
    output, last, _ = model.recurrent.forward(X, STATE)
    expected, _ = model.readout.forward(output)
    logits, state, _ = model.forward(X, STATE)
    assert np.array_equal(logits, expected) and all(map(np.array_equal, state, last))


def test_parameters_are_the_layers_own_arrays():
    model = build()
    assert model.parameters["recurrent.weight_hh_l0"] is model.recurrent.parameters["weight_hh_l0"]
    assert model.parameters["readout.bias"] is model.readout.parameters["bias"]


def test_the_tape_of_an_earlier_run_is_written_over():
    model = build()
    _, _, tape = model.forward(2 * X, STATE)
    memory = tape[0].sweeps[0][0]
    logits, state, again = model.forward(X, STATE, out=tape)
    assert again[0].sweeps[0][0] is memory
    fresh, fresh_state, fresh_tape = model.forward(X, STATE)
    assert np.array_equal(logits, fresh) and all(map(np.array_equal, state, fresh_state))
    ours, expected = (model.backward(t, D_LOGITS, D_STATE)[2] for t in (again, fresh_tape))
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)
