"""Fast kernels, compiled loops and fused passes compute what the equations compute, in memory of their own."""

from dataclasses import replace

import numpy as np
import pytest
from extras import needs_numba
from forms import fast_kernel, loops
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ULPS, Experiment, experiment, worst_ulps

from manual.fast.gru import GRUMemory
from manual.fast.memory import Memory
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel


@st.composite
def equations(draw, H: int):
    cell = draw(st.sampled_from(["lstm", "lstm projected", "lstm variant", "gru", "rnn"]))
    if cell == "lstm variant":
        return LSTMVariantKernel(draw(st.booleans()), draw(st.booleans()))
    if cell == "gru":
        return GRUKernel(draw(st.booleans()))
    if cell == "rnn":
        return RNNKernel(draw(st.sampled_from(["tanh", "relu", "sigmoid"])))
    return LSTMKernel(draw(st.integers(1, H - 1)) if cell == "lstm projected" and H > 1 else 0)


def assert_agreement(data, kernel_of, dtypes):
    T, B, D = (data.draw(st.integers(1, 7)) for _ in range(3))
    H = data.draw(st.integers(1, 9))
    own = data.draw(equations(H))
    e = experiment(own, T, B, D, H, data.draw(st.sampled_from(dtypes)), data.draw(st.integers(0, 2**32)))
    assert worst_ulps(e, replace(e, kernel=kernel_of(own))) < ULPS


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_fast_agrees_with_the_equations(data):
    assert_agreement(data, fast_kernel, [np.float32, np.float64, np.longdouble, np.complex128])


@pytest.mark.slow
@needs_numba
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_compiled_agrees_with_the_equations(data):
    kind = data.draw(st.sampled_from([loops, lambda own: loops(own).fused]))
    assert_agreement(data, kind, [np.float32, np.float64])


@pytest.mark.parametrize("B", [1, 5])
def test_they_agree_where_products_are_cut_into_tiles_or_hoisted(kernels, B, small_tiles):
    e = experiment(kernels[0], T=7, B=B, D=4, H=6, dtype=np.float64, seed=0)
    assert worst_ulps(e, replace(e, kernel=kernels[1])) < ULPS


@pytest.mark.slow
def test_units_beyond_a_vector_register_agree(any_kernels):
    e = experiment(any_kernels[0], T=5, B=2, D=3, H=37, dtype=np.float32, seed=0)
    assert worst_ulps(e, replace(e, kernel=any_kernels[1])) < ULPS


def test_an_error_of_a_thousandth_of_a_billionth_is_noticed(any_kernels):
    own, kernel = any_kernels
    e = experiment(own, T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    assert worst_ulps(e, replace(e, kernel=kernel, x=e.x * (1 + 1e-12))) > ULPS
    assert worst_ulps(replace(e, x=e.x * (1 + 1e-12)), replace(e, kernel=kernel)) > ULPS


def test_arguments_may_be_views_of_any_memory_order(any_kernels):
    own, kernel = any_kernels
    e = experiment(own, T=4, B=3, D=2, H=5, dtype=np.float64, seed=0)
    strided = replace(
        e,
        kernel=kernel,
        x=e.x[::-1].copy()[::-1],
        state=tuple(np.asfortranarray(s) for s in e.state),
        d_output=np.repeat(e.d_output, 2, axis=1)[:, ::2],
        d_state=tuple(np.asfortranarray(d) for d in e.d_state),
    )
    assert worst_ulps(e, strided) < ULPS


def test_values_that_saturate_or_are_not_finite_mean_what_they_mean_in_the_equations(any_kernels):
    own, kernel = any_kernels
    e = experiment(own, T=4, B=2, D=3, H=5, dtype=np.float64, seed=0)
    for value in (np.nan, np.inf, -np.inf, 1e4, -1e4):
        e.x[1, 0, 2] = value
        with np.errstate(invalid="ignore"):
            expected, actual = e.results(), replace(e, kernel=kernel).results()
        for name, array in expected.items():
            assert np.array_equal(np.isfinite(actual[name]), np.isfinite(array)), (value, name)
            assert np.array_equal(np.isnan(actual[name]), np.isnan(array)), (value, name)
            assert np.allclose(actual[name], array, rtol=1e-12, atol=1e-12, equal_nan=True), (value, name)


@pytest.mark.parametrize("tiled", [False, True])
def test_the_equations_read_the_memory_as_their_own_tape(any_kernels, tiled, request):
    if tiled:
        request.getfixturevalue("small_tiles")
    own, kernel = any_kernels
    for B in (1, 3):
        e = Experiment.random(own, B=B, H=6)
        expected = own.forward(e.x, e.state, e.weights)[2]
        tape = kernel.forward(e.x, e.state, e.weights)[2].equations_tape()
        assert type(tape) is type(expected)
        assert np.array_equal(tape.x, expected.x)
        for name in (name for name in e.weights if name.startswith("weight")):
            assert np.array_equal(tape.weights[name], expected.weights[name])
        for step, right in zip(tape.steps, expected.steps, strict=True):
            for name, array in right._asdict().items():
                assert getattr(step, name).shape == array.shape
                assert np.abs(getattr(step, name) - array).max() <= 1e-14 * np.abs(array).max(), (B, name)


def held(memory):
    """The arrays of a tape, of the equations' or of another kernel's."""
    if isinstance(memory, Memory):
        steps = [getattr(step, name) for step in memory.steps for name in type(step).__slots__]
        return [thing for thing in (*vars(memory).values(), *steps) if isinstance(thing, np.ndarray)]
    if not hasattr(memory, "steps"):
        return list(memory)
    return [memory.x, *memory.weights.values(), *(array for step in memory.steps for array in step)]


def test_nothing_returned_is_memory_of_the_tape_or_of_the_arguments(any_kernels):
    for kernel in any_kernels:
        e = replace(Experiment.random(any_kernels[0]), kernel=kernel)
        (output, state, tape), (d_x, d_state, gradients) = e.run()
        given = [e.x, *e.state, *e.weights.values(), e.d_output, *e.d_state]
        returned = [output, *state, d_x, *d_state, *gradients.values()]
        assert all(array.flags.c_contiguous for array in returned)
        assert not any(np.shares_memory(a, b) for a in returned for b in [*held(tape), *given])
        assert not any(np.shares_memory(a, b) for a in held(tape) for b in given)
        assert not any(np.shares_memory(a, b) for k, a in enumerate(returned) for b in returned[:k])


def test_nothing_shown_to_a_probe_changes_afterwards(kernels):
    shown = []

    def remember(name, t, value):
        shown.append((value, value.copy()))
        return value

    Experiment.random(kernels[0]).run(remember)
    assert len(shown) > 20
    assert all(np.array_equal(value, copy) for value, copy in shown)


def test_backward_gives_the_same_bits_twice_and_leaves_the_tape_as_it_is(any_kernels):
    for kernel in any_kernels:
        e = replace(Experiment.random(any_kernels[0]), kernel=kernel)
        tape = kernel.forward(e.x, e.state, e.weights)[2]
        before = [array.copy() for array in held(tape)]
        for weight in e.weights.values():
            weight += 1  # as an optimiser step may: the tape has copies
        (d_x, d_state, gradients), again = (kernel.backward(tape, e.d_output, e.d_state) for _ in range(2))
        if not isinstance(tape, Memory):  # in which backward works
            pairs = zip(held(tape), before, strict=True)
            assert all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)  # some is never used
        for a, b in zip([d_x, *d_state, *gradients.values()], [again[0], *again[1], *again[2].values()], strict=True):
            assert np.array_equal(a, b)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_memory_is_in_the_dtype_of_the_run_and_views_hold_no_dictionary(kernels, dtype):
    e = Experiment.random(kernels[0])
    weights = {name: array.astype(dtype) for name, array in e.weights.items()}
    _, _, memory = kernels[1].forward(e.x.astype(dtype), tuple(s.astype(dtype) for s in e.state), weights)
    assert len(held(memory)) > len(memory.steps)
    assert {array.dtype for array in held(memory)} == {np.dtype(dtype)}
    assert not hasattr(memory.steps[0], "__dict__")
