"""The layers run by compiled loops, and which kernel runs when."""

import numpy as np
import pytest
from extras import needs_numba
from forms import LAYERS, assert_close, assert_same_bits, backward, build, draw, forward, run
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from manual import engines
from manual.fast.memory import Memory

T, B, D, H = 6, 3, 2, 5
FORMS = pytest.mark.parametrize("form", LAYERS)


def assert_engines_agree(form="lstm", lengths=None, masked=False, **options):
    reference, layer = (build(D, H, form=form, engine=engine, **options) for engine in engines.ENGINES)
    batch = draw(layer, T, B)
    masks = layer.draw_masks(T, B, np.random.default_rng(1)) if masked else None
    more = {"lengths": lengths, "masks": masks, "training": masked}
    actual, expected = run(layer, batch, **more), run(reference, batch, **more)
    assert {array.dtype for array in actual.values()} == {layer.dtype}
    assert_close(actual, expected, {"float64": 1e-13, "float32": 1e-5}[str(layer.dtype)])


@pytest.mark.parametrize("found, engine", [(object(), "compiled"), (None, "numpy")])
def test_the_fastest_engine_for_few_rows_is_the_one_that_is_installed(found, engine, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: found if name == "numba" else None)
    assert engines.fastest_for_few_rows() == engine


@pytest.mark.slow
@needs_numba
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_layers_of_any_configuration_agree(data):
    assert_engines_agree(
        data.draw(st.sampled_from(list(LAYERS))),
        data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B)),
        num_layers=data.draw(st.integers(1, 3)),
        bidirectional=data.draw(st.booleans()),
        bias=data.draw(st.booleans()),
        dtype=data.draw(st.sampled_from(["float32", "float64"])),
    )


@needs_numba
def test_one_dropout_mask_means_the_same():
    assert_engines_agree(lengths=[3, 6, 1], masked=True, num_layers=3, dropout=0.4, bidirectional=True)


@needs_numba
@FORMS
def test_loops_run_up_to_their_number_of_units_and_numpy_above(form, monkeypatch):
    reference, layer = (build(D, H, form=form, engine=engine) for engine in engines.ENGINES)
    batch = draw(layer, T, B)
    for most_units, numpy_runs in ((B * H, False), (B * H - 1, True)):
        monkeypatch.setattr(layer.sweeps[0].fast.loops, "most_units", most_units)
        outputs, tape = forward(layer, batch)
        assert isinstance(tape.sweeps[0][0], Memory) == numpy_runs
        assert_close(outputs | backward(layer, tape, batch), run(reference, batch))


@needs_numba
def test_a_tape_outlives_a_change_of_the_batch():
    """Where loops ran, loops go back, whatever ran since and whatever is to be overwritten."""
    layer = build(D, H, engine="compiled")
    few, many = draw(layer, T, B), draw(layer, T, 100)
    _, tape = forward(layer, few)
    expected = backward(layer, tape, few)
    _, numpy_tape = forward(layer, many)
    _, again = forward(layer, few, out=numpy_tape)
    for same in (tape, again):
        assert_same_bits(backward(layer, same, few), expected)


@needs_numba
@FORMS
def test_a_probe_sees_the_equations_also_in_backward_only(form):
    seen = [{}, {}]
    for engine, record in zip(engines.ENGINES, seen):
        layer = build(D, H, form=form, engine=engine)
        batch = draw(layer, T, B)
        _, tape = forward(layer, batch)
        backward(layer, tape, batch, lambda name, t, value, record=record: record.setdefault((name, t), value))
    assert len(seen[0]) > 10
    assert seen[0].keys() == seen[1].keys()
    assert all(np.abs(value - seen[0][key]).max() < 1e-14 for key, value in seen[1].items())


@needs_numba
@pytest.mark.parametrize("dtype", ["longdouble", "complex128", "float16"])
def test_a_dtype_that_is_not_compiled_is_named(dtype):
    with pytest.raises(TypeError, match=f"dtype: expected float32 or float64 for .*'compiled', got {np.dtype(dtype)}"):
        manual.LSTM(D, H, dtype=dtype, engine="compiled")


def test_an_engine_that_there_is_not_is_named(monkeypatch):
    with pytest.raises(ValueError, match="engine: expected one of numpy, compiled, got 'cuda'"):
        manual.GRU(D, H, engine="cuda")
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"engine: 'compiled' is not installed here: pip install .*'.\[compiled\]'"):
        manual.RNN(D, H, engine="compiled")
