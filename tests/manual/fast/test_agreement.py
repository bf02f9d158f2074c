"""The fast kernels compute what the equations compute."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ULPS, experiment, worst_ulps

from manual.fast import gru, lstm, lstm_variants, rnn
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel


@st.composite
def kernels(draw, H: int):
    cell = draw(st.sampled_from(["lstm", "lstm projected", "lstm variant", "gru", "rnn"]))
    if cell == "gru":
        reset_after = draw(st.booleans())
        return GRUKernel(reset_after), gru.FastGRU(reset_after)
    if cell == "rnn":
        nonlinearity = draw(st.sampled_from(["tanh", "relu", "sigmoid"]))
        return RNNKernel(nonlinearity), rnn.FastRNN(nonlinearity)
    if cell == "lstm variant":
        options = {"peepholes": draw(st.booleans()), "coupled": draw(st.booleans())}
        return LSTMVariantKernel(**options), lstm_variants.FastLSTMVariant(**options)
    P = draw(st.integers(1, H - 1)) if cell == "lstm projected" and H > 1 else 0
    return LSTMKernel(P), lstm.FastLSTM()


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_fast_agrees_with_the_text(data):
    T, B, D = (data.draw(st.integers(1, 7)) for _ in range(3))
    H = data.draw(st.integers(1, 9))
    text, fast = data.draw(kernels(H))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.longdouble, np.complex128]))
    e = experiment(text, T, B, D, H, dtype, data.draw(st.integers(0, 2**32)))
    assert worst_ulps(e, replace(e, kernel=fast)) < ULPS


@pytest.mark.parametrize("B", [1, 5])
def test_fast_agrees_with_the_text_where_products_are_cut_into_tiles_or_hoisted(kernels, B, small_tiles):
    text, fast = kernels
    e = experiment(text, T=7, B=B, D=4, H=6, dtype=np.float64, seed=0)
    assert worst_ulps(e, replace(e, kernel=fast)) < ULPS


BROKEN = {
    "fast lstm": (lstm, "product_by_sigmoid", lambda p, s, out: np.copyto(out, p)),
    "fast lstm variant": (lstm_variants, "sigmoid", lambda z, out: np.copyto(out, 1 / (1 + np.exp(-z)) * (1 + 1e-13))),
    "fast gru": (gru, "subtract", lambda a, b, out: np.subtract(a, b * (1 + 1e-12), out)),
    "fast rnn": (rnn, "add", lambda a, b, out: np.copyto(out, b)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_kernel_is_noticed(broken, monkeypatch):
    module, name, wrong = BROKEN[broken]
    text, fast = {
        lstm: (LSTMKernel(), lstm.FastLSTM()),
        lstm_variants: (LSTMVariantKernel(True, True), lstm_variants.FastLSTMVariant(True, True)),
        gru: (GRUKernel(), gru.FastGRU()),
        rnn: (RNNKernel(), rnn.FastRNN()),
    }[module]
    e = experiment(text, T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    monkeypatch.setattr(module, name, wrong)
    assert worst_ulps(e, replace(e, kernel=fast)) > ULPS


def test_a_broken_text_is_noticed(monkeypatch):
    e = experiment(LSTMKernel(), T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    monkeypatch.setattr("manual.lstm.sigmoid", lambda z: 1 / (1 + np.exp(-z)) * (1 + 1e-13))
    assert worst_ulps(e, replace(e, kernel=lstm.FastLSTM())) > ULPS
