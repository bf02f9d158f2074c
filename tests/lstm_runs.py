"""An LSTM, random arguments for it, everything that a run hands out, and comparisons of that."""

from types import SimpleNamespace

import numpy as np
from oracles import relative_error

from manual import LSTM


def build(D, H, seed=0, **options):
    return LSTM(D, H, rng=np.random.default_rng(seed), **options)


def draw(lstm, T, B, seed=0):
    """Random arguments for the layer's forward and backward."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(lstm.dtype)

    K, H = lstm.num_layers * lstm.directions, lstm.hidden_size
    return SimpleNamespace(
        x=normal(T, B, lstm.input_size),
        state=(normal(K, B, H), normal(K, B, H)),
        d_output=normal(T, B, lstm.directions * H),
        d_state=(normal(K, B, H), normal(K, B, H)),
    )


def run(lstm, given, **options):
    """Everything that forward and backward hand out, by name."""
    output, (h_n, c_n), tape = lstm.forward(given.x, given.state, **options)
    d_x, (d_h_0, d_c_0), gradients = lstm.backward(tape, given.d_output, given.d_state)
    return dict(output=output, h_n=h_n, c_n=c_n, d_x=d_x, d_h_0=d_h_0, d_c_0=d_c_0) | gradients


def assert_close(actual, expected, tolerance=1e-13):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert relative_error(actual[name], array) < tolerance, name


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(actual[name], array), name
