"""Properties that any correct recurrent layer has, whatever its equations."""

import warnings

import numpy as np
import pytest
from forms import assert_close, assert_same_bits, build, changed, draw, run
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import relative_error

from manual import GRU, LSTM, RNN

sizes = st.integers(1, 5)
shapes = st.tuples(st.integers(2, 6), sizes, sizes, sizes)  # T, B, D, H


@pytest.mark.parametrize("layer", [LSTM, GRU])
def test_complex_steps_go_through_shut_gates(layer):
    real, other = (layer(2, 3, dtype=dtype, rng=np.random.default_rng(0)) for dtype in (float, complex))
    for name, array in real.parameters.items():
        array[0] -= 900.0 * ("bias" in name)  # the first gate of the first unit
        other.parameters[name][...] = array
    x = np.random.default_rng(1).normal(size=(4, 1, 2))
    output, _, tape = real.forward(x)
    d_x, _, _ = real.backward(tape, np.ones_like(output))
    moved, _, _ = other.forward(x + 1e-20j * np.eye(1, 8, 5).reshape(4, 1, 2))
    assert relative_error(moved.real, output) < 1e-14
    assert moved.sum().imag / 1e-20 == pytest.approx(d_x[2, 0, 1], rel=1e-12) != 0


@given(shapes, st.data())
@settings(max_examples=25, deadline=None)
def test_splitting_a_sequence_changes_nothing(shape, data):
    """Run in two pieces, with the state carried forward and its gradient carried back."""
    T, B, D, H = shape
    lstm = build(D, H)
    whole = draw(lstm, T, B)
    cut = data.draw(st.integers(1, T - 1))
    early, middle, early_tape = lstm.forward(whole.x[:cut], whole.state)
    late, (h_n, c_n), late_tape = lstm.forward(whole.x[cut:], middle)
    d_late, d_middle, late_gradients = lstm.backward(late_tape, whole.d_output[cut:], whole.d_state)
    d_early, (d_h_0, d_c_0), early_gradients = lstm.backward(early_tape, whole.d_output[:cut], d_middle)
    pieces = dict(
        output=np.concatenate([early, late]), h_n=h_n, c_n=c_n, d_x=np.concatenate([d_early, d_late]), d_h_0=d_h_0,
        d_c_0=d_c_0,
    )  # fmt: skip
    gradients = {name: gradient + late_gradients[name] for name, gradient in early_gradients.items()}
    assert_close(pieces | gradients, run(lstm, whole))


@given(shapes)
@settings(max_examples=25, deadline=None)
def test_rows_are_independent(shape):
    """One row at a time gives the same, and the weights' gradients are the sum over the rows."""
    T, B, D, H = shape
    lstm = build(D, H)
    batch = draw(lstm, T, B)
    rows = [run(lstm, changed(batch, lambda array, b=b: array[:, b : b + 1])) for b in range(B)]
    together = {
        name: sum(row[name] for row in rows)
        if name in lstm.parameters
        else np.concatenate([row[name] for row in rows], axis=1)
        for name in rows[0]
    }
    assert_close(together, run(lstm, batch))


@given(shapes, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_permuting_the_hidden_units_permutes_everything(shape, random):
    T, B, D, H = shape
    order = list(range(H))
    random.shuffle(order)
    lstm, permuted = build(D, H), build(D, H)
    batch = draw(lstm, T, B)

    def rows(array):
        """The gates' blocks of H rows, each in the new order."""
        return array.reshape(4, H, -1)[:, order].reshape(array.shape)

    def parameters(arrays):
        return {n: rows(a)[:, order] if n.startswith("weight_hh") else rows(a) for n, a in arrays.items()}

    permuted.parameters = parameters(lstm.parameters)
    moved = changed(batch, lambda array: array if array is batch.x else array[:, :, order])
    plain = run(lstm, batch)
    expected = {n: a if n == "d_x" else a[:, :, order] for n, a in plain.items() if n not in lstm.parameters}
    expected |= parameters({n: plain[n] for n in lstm.parameters})
    assert_close(run(permuted, moved), expected)


@given(shapes, st.floats(-3, 3).filter(lambda a: abs(a) > 0.1))
@settings(max_examples=25, deadline=None)
def test_backward_is_linear_in_what_comes_in(shape, factor):
    T, B, D, H = shape
    lstm = build(D, H)
    first, second = draw(lstm, T, B), draw(lstm, T, B, seed=1)
    _, _, tape = lstm.forward(first.x, first.state)

    def back(d_output, d_state):
        d_x, (d_h_0, d_c_0), gradients = lstm.backward(tape, d_output, d_state)
        return dict(d_x=d_x, d_h_0=d_h_0, d_c_0=d_c_0) | gradients

    a, b = back(first.d_output, first.d_state), back(second.d_output, second.d_state)
    combined = back(
        factor * first.d_output + second.d_output,
        tuple(factor * d + e for d, e in zip(first.d_state, second.d_state)),
    )
    for name, gradient in combined.items():
        scale = np.abs(factor * a[name]).max() + np.abs(b[name]).max()
        assert np.abs(gradient - (factor * a[name] + b[name])).max() < 1e-13 * scale


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
    ],
    ids=["Fortran order", "every other column", "every other step", "turned round"],
)
def test_the_layout_in_memory_does_not_matter(layout):
    lstm = build(2, 5)
    plain = draw(lstm, 4, 3)
    expected = run(lstm, plain)
    lstm.parameters = {name: layout(array) for name, array in lstm.parameters.items()}
    assert_close(run(lstm, changed(plain, layout)), expected, 1e-15)


def test_read_only_arguments_are_taken_and_nothing_is_changed():
    lstm = build(2, 5)
    given = draw(lstm, 4, 3)
    for array in (given.x, *given.state, given.d_output, *given.d_state, *lstm.parameters.values()):
        array.flags.writeable = False
    run(lstm, given)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_gates_raise_no_warning(dtype):
    lstm = build(2, 5, dtype=dtype)
    given = draw(lstm, 4, 3)
    given.x *= 1e4
    for array in lstm.parameters.values():
        array *= 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = run(lstm, given)
    assert all(np.isfinite(array).all() for array in results.values())


def test_same_seed_same_bits():
    first, second, other = build(2, 5, seed=3), build(2, 5, seed=3), build(2, 5, seed=4)
    assert_same_bits(run(first, draw(first, 4, 3)), run(second, draw(second, 4, 3)))
    assert not np.array_equal(first.parameters["weight_hh_l0"], other.parameters["weight_hh_l0"])


def test_without_a_generator_parameters_are_drawn_from_fresh_entropy():
    first, second = (LSTM(2, 5).parameters["weight_hh_l0"] for _ in range(2))
    assert 0 < np.abs(first).max() <= 5**-0.5
    assert not np.array_equal(first, second)


def test_state_and_its_gradient_may_be_left_out():
    lstm = build(2, 5)
    given = draw(lstm, 4, 3)
    zeros = np.zeros((1, 3, 5))
    output, state, tape = lstm.forward(given.x)
    explicit, explicit_state, _ = lstm.forward(given.x, (zeros, zeros))
    assert np.array_equal(output, explicit)
    assert np.array_equal(state, explicit_state)
    left_out, with_zeros = lstm.backward(tape, given.d_output), lstm.backward(tape, given.d_output, (zeros, zeros))
    assert_same_bits(left_out[2], with_zeros[2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex128])
def test_any_inexact_dtype_runs_and_is_kept(dtype):
    lstm, reference = build(2, 5, dtype=dtype), build(2, 5)
    reference.parameters = {name: array.real.astype(float) for name, array in lstm.parameters.items()}
    given = draw(reference, 4, 3)
    results = run(lstm, changed(given, lambda array: array.astype(dtype)))
    assert all(array.dtype == dtype for array in results.values())
    assert_close(results, run(reference, given), 1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"x": np.ones((4, 3))[None, None]}, ValueError, r"x: expected shape \(T, B, D\) = \(any, any, 2\), got"),
        ({"x": np.ones((4, 3, 7))}, ValueError, r"x: expected shape \(T, B, D\) = \(any, any, 2\), got \(4, 3, 7\)"),
        ({"x": np.ones((0, 3, 2))}, ValueError, r"x: expected at least one time step and one row, got \(0, 3, 2\)"),
        ({"x": [[1.0, 2.0]]}, TypeError, r"x: expected a NumPy array of shape \(T, B, D\), got list"),
        ({"x": np.ones((4, 3, 2), np.float32)}, TypeError, "x: expected dtype float64, got float32"),
        (
            {"state": (np.ones((1, 4, 5)), np.ones((1, 3, 5)))},
            ValueError,
            r"h_0: expected shape \(layers \* directions, B, H\) = \(1, 3, 5\), got \(1, 4, 5\)",
        ),
        ({"state": (np.ones((1, 3, 5)),)}, ValueError, r"state: expected \(h_0, c_0\), got 1 arrays"),
        (
            {"state": (np.ones((1, 3, 5)), np.ones((1, 3, 6)))},
            ValueError,
            r"c_0: expected shape \(layers \* directions, B, H\) = \(1, 3, 5\), got \(1, 3, 6\)",
        ),
        (
            {"d_output": np.ones((4, 3, 6))},
            ValueError,
            r"d_output: expected shape \(T, B, directions \* P\) = \(4, 3, 5\), got \(4, 3, 6\)",
        ),
        (
            {"d_state": (np.ones((1, 3, 5)), np.ones((2, 3, 5)))},
            ValueError,
            r"d_c_n: expected shape \(layers \* directions, B, H\) = \(1, 3, 5\), got \(2, 3, 5\)",
        ),
    ],
)
def test_a_wrong_argument_is_named(change, error, message):
    lstm = build(2, 5)
    given = draw(lstm, 4, 3)
    vars(given).update(change)
    with pytest.raises(error, match=message):
        run(lstm, given)


@pytest.mark.parametrize("layer, before", [(LSTM, (3,)), (GRU, (3,)), (RNN, (3, "relu"))])
def test_options_go_by_position_as_in_torch(layer, before):
    made = layer(2, 5, *before, False, True, 0.25, True)
    names = "num_layers", "bias", "batch_first", "dropout", "bidirectional"
    assert [getattr(made, name) for name in names] == [3, False, True, 0.25, True]


def test_wrong_dropout_masks_are_named():
    lstm = build(2, 5, num_layers=2, dropout=0.3)
    given = draw(lstm, 4, 3)
    shape = r"masks: expected shape \(layers - 1, T, B, directions \* P\) = \(1, 4, 3, 5\), got \(4, 3, 5\)"
    with pytest.raises(ValueError, match=shape):
        lstm.forward(given.x, masks=lstm.draw_masks(4, 3, np.random.default_rng(0))[0])
    with pytest.raises(
        ValueError, match=r"masks: expected an array of shape \(1, 4, 3, 5\) for dropout = 0.3, got None"
    ):
        lstm.forward(given.x)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"input_size": 0}, ValueError, "input_size: expected at least 1, got 0"),
        ({"hidden_size": -1}, ValueError, "hidden_size: expected at least 1, got -1"),
        ({"num_layers": 0}, ValueError, "num_layers: expected at least 1, got 0"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, got 0"),
        ({"dropout": 1.5}, ValueError, r"dropout: expected a probability in \[0, 1\], got 1.5"),
        ({"dtype": np.int64}, TypeError, "dtype: expected an inexact dtype, got int64"),
    ],
)
def test_a_wrong_option_is_named(options, error, message):
    with pytest.raises(error, match=message):
        LSTM(**{"input_size": 2, "hidden_size": 5, "rng": np.random.default_rng(0)} | options)
