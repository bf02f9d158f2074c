"""The layers run by compiled loops, and which kernel runs when."""

import copy
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from extras import needs_numba
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import relative_error

import manual
from manual import engines
from manual.arrays import as_state, state_parts
from manual.fast import shards
from manual.fast.memory import Memory

CELLS = {
    "lstm": (manual.LSTM, {}),
    "lstm projected": (manual.LSTM, {"proj_size": 3}),
    "lstm, peepholes, coupled": (manual.LSTM, {"peepholes": True, "coupled": True}),
    "gru": (manual.GRU, {}),
    "gru, reset before": (manual.GRU, {"reset_after": False}),
    "rnn": (manual.RNN, {"nonlinearity": "sigmoid"}),
}
T, B, D, H = 6, 3, 2, 5


@dataclass
class Trial:
    """One layer with each engine, and random arguments."""

    cell: str = "lstm"
    options: dict = field(default_factory=dict)
    lengths: list[int] | None = None
    dtype: str = "float64"
    masked: bool = False

    def layer(self, engine):
        kind, own = CELLS[self.cell]
        rng = np.random.default_rng(0)
        return kind(D, H, **{**own, **self.options}, dtype=self.dtype, rng=rng, engine=engine)

    def results(self, layer):
        """Everything that forward and backward return but the tape."""
        rng = np.random.default_rng(1)

        def normal(*shape):
            return rng.normal(size=shape).astype(self.dtype)

        state, d_state = (
            tuple(normal(len(layer.sweeps), B, size) for size in layer.state_sizes.values()) for _ in range(2)
        )
        x, d_output = normal(T, B, D), normal(T, B, layer.output_size)
        masks = layer.draw_masks(T, B, rng) if self.masked else None
        options = {"lengths": self.lengths, "masks": masks, "training": self.masked}
        output, last, tape = layer.forward(x, as_state(state), **options)
        d_x, d_first, gradients = layer.backward(tape, d_output, as_state(d_state))
        return [output, *state_parts(last), d_x, *state_parts(d_first), *gradients.values()]

    def assert_engines_agree(self):
        pairs = zip(*(self.results(self.layer(engine)) for engine in engines.ENGINES), strict=True)
        for a, b in pairs:
            assert a.dtype == b.dtype
            assert relative_error(a, b) < {"float64": 1e-13, "float32": 1e-5}[self.dtype]


@pytest.mark.parametrize("found, engine", [(object(), "compiled"), (None, "numpy")])
def test_the_fastest_engine_for_few_rows_is_the_one_that_is_installed(found, engine, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: found if name == "numba" else None)
    assert engines.fastest_for_few_rows() == engine


@pytest.mark.slow
@needs_numba
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_layers_of_any_configuration_agree(data):
    options = {
        "num_layers": data.draw(st.integers(1, 3)),
        "bidirectional": data.draw(st.booleans()),
        "bias": data.draw(st.booleans()),
    }
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    Trial(data.draw(st.sampled_from(list(CELLS))), options, lengths, dtype).assert_engines_agree()


@needs_numba
def test_one_dropout_mask_means_the_same():
    options = {"num_layers": 3, "dropout": 0.4, "bidirectional": True}
    Trial("lstm", options, lengths=[3, 6, 1], masked=True).assert_engines_agree()


@needs_numba
@pytest.mark.parametrize("cell", CELLS)
def test_loops_run_up_to_their_number_of_units_and_numpy_above(cell, monkeypatch):
    layer, numpy_layer = (Trial(cell).layer(engine) for engine in ("compiled", "numpy"))
    x = np.random.default_rng(0).normal(size=(T, B, D))
    for most_units, numpy_runs in ((B * H, False), (B * H - 1, True)):
        monkeypatch.setattr(layer.sweeps[0].fast.loops, "most_units", most_units)
        output, _, tape = layer.forward(x)
        assert isinstance(tape.sweeps[0][0], Memory) == numpy_runs
        expected = numpy_layer.backward(numpy_layer.forward(x)[2], output)[0]
        assert relative_error(layer.backward(tape, output)[0], expected) < 1e-13


@needs_numba
def test_a_tape_outlives_a_change_of_the_batch():
    """Where loops ran, loops go back, whatever ran since and whatever is to be overwritten."""
    layer = Trial().layer("compiled")
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(T, B, D)), rng.normal(size=(T, 100, D))
    output, _, tape = layer.forward(few)
    expected = layer.backward(tape, output)[0]
    _, _, numpy_tape = layer.forward(many)
    _, _, again = layer.forward(few, out=numpy_tape)
    for same in (tape, again):
        assert np.array_equal(layer.backward(same, output)[0], expected)


@needs_numba
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tape: pickle.loads(pickle.dumps(tape))])
@pytest.mark.parametrize("cell", CELLS)
def test_a_copy_of_a_tape_is_as_good_and_independent(cell, copied):
    layer = Trial(cell, {"num_layers": 2}).layer("compiled")
    output, _, tape = layer.forward(np.random.default_rng(0).normal(size=(T, B, D)))
    other = copied(tape)
    expected = layer.backward(tape, output)[0]
    layer.forward(np.ones((T, B, D)), out=tape)
    assert np.array_equal(layer.backward(other, output)[0], expected)


@needs_numba
def test_a_tape_of_another_engine_is_refused():
    compiled, numpy_layer = (Trial().layer(engine) for engine in ("compiled", "numpy"))
    output, _, tape = compiled.forward(np.ones((T, B, D)))
    with pytest.raises(ValueError, match=r"tape: expected the tape of .*engine=numpy.*, got that of .*engine=compiled"):
        numpy_layer.backward(tape, output)


@needs_numba
@pytest.mark.parametrize("cell", CELLS)
def test_loops_may_run_in_threads(cell, monkeypatch):
    monkeypatch.setattr(shards, "MIN_BLOCK_BYTES", 8 * H)
    one, three = (Trial(cell, {"threads": threads}) for threads in (1, 3))
    for a, b in zip(*(trial.results(trial.layer("compiled")) for trial in (one, three)), strict=True):
        assert relative_error(a, b) < 1e-14


@needs_numba
@pytest.mark.parametrize("cell", CELLS)
def test_a_probe_sees_the_text_also_in_backward_only(cell):
    x = np.random.default_rng(0).normal(size=(T, B, D))
    seen = [{}, {}]
    for engine, record in zip(engines.ENGINES, seen):
        layer = Trial(cell).layer(engine)
        output, _, tape = layer.forward(x)
        layer.backward(tape, output, probe=lambda name, t, value, record=record: record.setdefault((name, t), value))
    assert len(seen[0]) > 10
    assert seen[0].keys() == seen[1].keys()
    assert all(np.abs(value - seen[0][key]).max() < 1e-14 for key, value in seen[1].items())


@needs_numba
@pytest.mark.parametrize("dtype", ["longdouble", "complex128", "float16"])
def test_a_dtype_that_is_not_compiled_is_named(dtype):
    with pytest.raises(TypeError, match=f"dtype: expected float32 or float64 for .*'compiled', got {np.dtype(dtype)}"):
        manual.LSTM(D, H, dtype=dtype, engine="compiled")


def test_an_engine_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="engine: expected one of numpy, compiled, got 'cuda'"):
        manual.GRU(D, H, engine="cuda")


def test_without_numba_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"engine: 'compiled' is not installed here: pip install .*'.\[compiled\]'"):
        manual.RNN(D, H, engine="compiled")
