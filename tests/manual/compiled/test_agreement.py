"""The compiled kernels compute what the equations compute."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ULPS, Experiment, experiment, relative_error, worst_ulps

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

from manual.compiled.gru import CompiledGRU
from manual.compiled.lstm import CompiledLSTM
from manual.compiled.rnn import CompiledRNN
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel

CELLS = {
    LSTMKernel: CompiledLSTM,
    LSTMVariantKernel: CompiledLSTM,
    GRUKernel: CompiledGRU,
    RNNKernel: CompiledRNN,
}
KERNELS = {
    "lstm": LSTMKernel(),
    "lstm projected": LSTMKernel(proj_size=4),
    "lstm, peepholes": LSTMVariantKernel(peepholes=True),
    "lstm, coupled": LSTMVariantKernel(coupled=True),
    "lstm, peepholes, coupled": LSTMVariantKernel(peepholes=True, coupled=True),
    "gru": GRUKernel(),
    "gru, reset before": GRUKernel(reset_after=False),
    "rnn": RNNKernel(),
    "rnn relu": RNNKernel("relu"),
    "rnn sigmoid": RNNKernel("sigmoid"),
}


def compiled(text):
    return CELLS[type(text)](text)


@pytest.fixture(params=KERNELS)
def text(request):
    return KERNELS[request.param]


@st.composite
def texts(draw, H: int):
    cell = draw(st.sampled_from(["lstm", "lstm projected", "lstm variant", "gru", "rnn"]))
    if cell == "lstm variant":
        return LSTMVariantKernel(draw(st.booleans()), draw(st.booleans()))
    if cell == "gru":
        return GRUKernel(draw(st.booleans()))
    if cell == "rnn":
        return RNNKernel(draw(st.sampled_from(["tanh", "relu", "sigmoid"])))
    return LSTMKernel(draw(st.integers(1, H - 1)) if cell == "lstm projected" and H > 1 else 0)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_compiled_agrees_with_the_text(data):
    T, B, D = (data.draw(st.integers(1, 7)) for _ in range(3))
    H = data.draw(st.integers(1, 9))
    text = data.draw(texts(H))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    e = experiment(text, T, B, D, H, dtype, data.draw(st.integers(0, 2**32)))
    loops = compiled(text)
    assert worst_ulps(e, replace(e, kernel=data.draw(st.sampled_from([loops, loops.fused])))) < ULPS


@pytest.mark.slow
def test_units_beyond_a_vector_register_agree_with_the_text(text):
    e = experiment(text, T=5, B=2, D=3, H=37, dtype=np.float32, seed=0)
    loops = compiled(text)
    for kernel in (loops, loops.fused):
        assert worst_ulps(e, replace(e, kernel=kernel)) < ULPS


def test_arguments_may_be_views_of_any_memory_order(text):
    e = experiment(text, T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    strided = replace(
        e,
        kernel=compiled(text),
        x=e.x[::-1].copy()[::-1],
        state=tuple(np.asfortranarray(s) for s in e.state),
        d_output=np.repeat(e.d_output, 2, axis=1)[:, ::2],
        d_state=tuple(np.asfortranarray(d) for d in e.d_state),
    )
    assert worst_ulps(e, strided) < ULPS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e4, -1e4])
def test_values_that_saturate_or_are_not_finite_mean_what_they_mean_in_the_text(text, value):
    e = experiment(text, T=4, B=2, D=3, H=5, dtype=np.float64, seed=0)
    e.x[1, 0, 2] = value
    with np.errstate(invalid="ignore"):
        expected = e.results()
    loops = compiled(text)
    for kernel in (loops, loops.fused):
        with np.errstate(invalid="ignore"):
            actual = replace(e, kernel=kernel).results()
        for name, array in expected.items():
            assert np.array_equal(np.isfinite(actual[name]), np.isfinite(array)), name
            assert np.array_equal(np.isnan(actual[name]), np.isnan(array)), name
            assert np.allclose(actual[name], array, rtol=1e-12, atol=1e-12, equal_nan=True), name


def test_the_text_reads_the_tape_as_its_own(text):
    e = Experiment.random(text, H=6)
    expected = e.kernel.forward(e.x, e.state, e.weights)[2]
    tape = compiled(text).forward(e.x, e.state, e.weights)[2].equations_tape()
    assert type(tape) is type(expected)
    assert np.array_equal(tape.x, expected.x)
    for name in ("weight_ih", "weight_hh", *(e.weights.keys() & {"weight_hr", "weight_ch"})):
        assert np.array_equal(tape.weights[name], expected.weights[name])
    for step, right in zip(tape.steps, expected.steps, strict=True):
        for name, array in right._asdict().items():
            assert relative_error(getattr(step, name), array) < 1e-14


def test_nothing_returned_is_memory_of_the_tape_or_of_the_arguments(text):
    e = replace(Experiment.random(text), kernel=compiled(text))
    (output, state, tape), (d_x, d_state, gradients) = e.run()
    inside = [*tape, e.x, *e.state, *e.weights.values(), e.d_output, *e.d_state]
    returned = [output, *state, d_x, *d_state, *gradients.values()]
    assert all(array.flags.c_contiguous for array in returned)
    assert not any(np.shares_memory(a, b) for a in returned for b in inside)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(returned) for b in returned[:k])


def test_backward_gives_the_same_bits_twice_and_leaves_the_tape_as_it_is(text):
    e = replace(Experiment.random(text), kernel=compiled(text))
    tape = e.kernel.forward(e.x, e.state, e.weights)[2]
    before = [array.copy() for array in tape]
    for weight in e.weights.values():
        weight += 1  # as an optimiser step may: the tape has copies
    (d_x, d_state, gradients), again = (e.kernel.backward(tape, e.d_output, e.d_state) for _ in range(2))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(tape, before, strict=True))  # some is never used
    for a, b in zip([d_x, *d_state, *gradients.values()], [again[0], *again[1], *again[2].values()], strict=True):
        assert np.array_equal(a, b)


def test_an_error_of_a_thousandth_of_a_billionth_is_noticed(text):
    e = experiment(text, T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    assert worst_ulps(e, replace(e, kernel=compiled(text), x=e.x * (1 + 1e-12))) > ULPS
