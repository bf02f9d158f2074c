import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import complex_step, relative_error

import manual
from compare.published.audit import vanishing
from compare.published.audit.vanishing import carries, measure, rnn_bounds, rnn_power, through_cells, through_rnn

T, H = 6, 4


def random_carry(seed):
    rng = np.random.default_rng(seed)
    W_hh, slopes, d_h = rng.normal(size=(H, H)), rng.uniform(-0.2, 1, (T, H)), rng.normal(size=H)
    back = [through_rnn(d_h, slopes[t:], W_hh) for t in reversed(range(T + 1))]
    return W_hh, slopes, np.log10(np.linalg.norm(back, axis=1) / np.linalg.norm(d_h))


def test_equation_v1_the_carry_is_the_gradient_of_the_first_state(rng):
    """Of h_n · d_h by h_0, by complex steps through the whole layer."""
    weights = {name: rng.normal(size=a.shape) for name, a in manual.RNN(2, H, rng=rng).parameters.items()}
    x, h_0, d_h = rng.normal(size=(T, 1, 2)), rng.normal(size=(1, 1, H)), rng.normal(size=H)

    def run(h_0, dtype=complex):
        layer = manual.RNN(2, H, dtype=dtype, rng=np.random.default_rng(0))
        for name, array in weights.items():
            layer.parameters[name][...] = array
        return layer.forward(x.astype(dtype), h_0)

    expected = complex_step(lambda h: (run(h)[1] * d_h).sum(), h_0)[0, 0]
    h = run(h_0, float)[0][:, 0]
    assert relative_error(through_rnn(d_h, 1 - h**2, weights["weight_hh_l0"]), expected) < 1e-13


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_equation_v2_bounds_the_norm_after_every_number_of_steps(seed):
    W_hh, slopes, norms = random_carry(seed)
    assert (norms <= rnn_bounds(np.abs(slopes), W_hh) + 1e-12).all()


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_equation_v3_bounds_the_bounds_by_a_power(seed):
    W_hh, slopes, _ = random_carry(seed)
    power = rnn_power(np.abs(slopes), W_hh) * np.arange(T + 1)
    assert (rnn_bounds(np.abs(slopes), W_hh) <= power + 1e-12).all()


def test_the_bounds_are_reached_where_slopes_and_matrix_allow_it_and_not_smaller(rng):
    orthogonal = 1.3 * np.linalg.qr(rng.normal(size=(H, H)))[0]
    slopes, d_h = np.full((T, H), 0.9), rng.normal(size=H)
    norm = np.log10(np.linalg.norm(through_rnn(d_h, slopes, orthogonal)) / np.linalg.norm(d_h))
    assert norm == pytest.approx(rnn_bounds(slopes, orthogonal)[-1], abs=1e-12)
    assert norm == pytest.approx(T * rnn_power(slopes, orthogonal), abs=1e-12)


def test_equation_v4_is_the_whole_carry_of_an_lstm_whose_recurrent_weights_are_zero(rng):
    layer = manual.LSTM(2, H, rng=rng)
    layer.parameters["weight_hh_l0"][...] = 0
    f = {}

    def record(name, t, value):
        f[name, t] = value
        return value

    x, d_c = rng.normal(size=(T, 1, 2)), rng.normal(size=(1, 1, H))
    output, _, tape = layer.forward(x, probe=record)
    _, (_, d_c_0), _ = layer.backward(tape, np.zeros_like(output), (np.zeros((1, 1, H)), d_c))
    back = through_cells(d_c[0, 0], np.concatenate([f["f_l0", t] for t in range(T)]))
    assert back.shape == (T + 1, H) and np.array_equal(back[0], d_c[0, 0])
    assert relative_error(back[-1], d_c_0[0, 0]) < 1e-14


@pytest.mark.parametrize("kind", [manual.RNN, manual.LSTM])
def test_what_is_measured_is_the_norm_of_the_gradients_that_the_layer_returns(kind, rng, monkeypatch):
    monkeypatch.setattr(vanishing, "STEPS", 5)
    layer = kind(vanishing.D, vanishing.H, rng=rng)
    norms, bounds = measure(layer, np.random.default_rng(1))
    again = np.random.default_rng(1)  # the same draws: x, then the gradients of the last state
    x = again.normal(size=(5, 1, vanishing.D))
    d_state = [again.normal(size=(1, 1, vanishing.H)) for _ in layer.state_sizes]
    output, _, tape = layer.forward(x)
    _, d_initial, _ = layer.backward(tape, np.zeros_like(output), tuple(d_state) if len(d_state) > 1 else d_state[0])
    expected = np.log10(np.linalg.norm(d_initial) / np.linalg.norm(d_state))
    assert norms[0] == 0 and norms[-1] == pytest.approx(expected, abs=1e-9)
    assert norms.shape == bounds.shape == (6,)
    if kind is manual.RNN:
        assert (norms <= bounds + 1e-12).all()


def test_every_layer_is_measured_from_every_start(monkeypatch):
    monkeypatch.setattr(vanishing, "STEPS", 8)
    monkeypatch.setattr(vanishing, "BACK", (0, 4, 8))
    found = carries(range(2))
    assert found.keys() == vanishing.LAYERS.keys()
    assert all(array.shape == (3, 2) for arrays in found.values() for array in arrays.values())
    assert found["RNN"]["norm"][-1].max() < found["LSTM, forget bias ln U(1, 1023)"]["norm"][-1].min()
