import numpy as np
import pytest
from oracles import complex_step, relative_error

import manual
from manual import GRU, LSTM, Linear, Model
from manual.model import READOUTS

torch = pytest.importorskip("torch")
torch_impl = pytest.importorskip("torch_impl")
to_torch = pytest.importorskip("compare.converter").to_torch

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


@pytest.mark.slow
@pytest.mark.parametrize("final, batch_first", [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("activation", READOUTS)
def test_gradients_through_an_activation_and_of_the_final_state(activation, final, batch_first):
    """Layers of both directions whose last h, or whose outputs, the readout reads; in complex arithmetic."""

    def built(dtype, parameters=None):
        draws = np.random.default_rng(2)
        options = {"bidirectional": True, "batch_first": batch_first, "dtype": dtype, "rng": draws}
        model = Model(GRU(D, H, **options), Linear(2 * H, 3, dtype=dtype, rng=draws), activation, final)
        for name, array in (parameters or {}).items():
            model.parameters[name][...] = array
        return model

    x = X.swapaxes(0, 1).copy() if batch_first else X
    h_0, d_h_n = (np.random.default_rng(k).normal(size=(2, B, H)) for k in (3, 4))
    model = built(float)
    y, _, tape = model.forward(x, h_0)
    assert y.shape == ((B, 3) if final else (*x.shape[:2], 3))
    d_y = np.random.default_rng(5).normal(size=y.shape)
    kept = y.copy()
    y[...] = 7  # what was handed out is the caller's
    d_x, d_h_0, gradients = model.backward(tape, d_y, d_h_n)

    def loss(x, h_0, **parameters):
        out, last, _ = built(complex, parameters).forward(x.astype(complex), h_0.astype(complex))
        return (out * d_y).sum() + (last * d_h_n).sum()

    assert relative_error(d_x, complex_step(lambda value: loss(value, h_0), x)) < 1e-12
    assert relative_error(d_h_0, complex_step(lambda value: loss(x, value), h_0)) < 1e-12
    for name in ("recurrent.bias_hh_l0_reverse", "readout.weight", "readout.bias"):
        expected = complex_step(lambda value, name=name: loss(x, h_0, **{name: value}), model.parameters[name])
        assert relative_error(gradients[name], expected) < 1e-12, name
    layers = torch.nn.GRU(D, H, batch_first=batch_first, bidirectional=True), torch.nn.Linear(2 * H, 3)
    twin = torch_impl.Model(*layers, activation, final).double()
    to_torch(model, twin)
    theirs, _ = twin(torch.from_numpy(x), torch.from_numpy(h_0))
    assert np.abs(theirs.detach().numpy() - kept).max() < 1e-14


def test_the_gradient_of_the_final_state_may_be_left_out():
    model = Model(LSTM(D, H, rng=rng), Linear(H, O, rng=rng), final=True)
    _, _, tape = model.forward(X)
    zeros = (np.zeros((1, B, H)), np.zeros((1, B, H)))
    ours, expected = (model.backward(tape, D_LOGITS[0], *given) for given in ((), (zeros,)))
    assert np.array_equal(ours[0], expected[0]) and not zeros[0].any()


def test_another_activation_is_refused():
    for package, linear in ((manual, manual.Linear), (torch_impl, torch.nn.Linear)):
        with pytest.raises(ValueError, match=r"activation: expected one of linear, softmax, .*, got 'gelu'"):
            package.Model(package.LSTM(D, H), linear(H, O), activation="gelu")
