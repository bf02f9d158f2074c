import multiprocessing

import numpy as np
import pytest
from oracles import relative_error

import manual
from manual.fast import shards

CELLS = {
    "lstm": (manual.LSTM, {}),
    "lstm projected, stacked both ways": (manual.LSTM, {"proj_size": 3, "num_layers": 2, "bidirectional": True}),
    "gru": (manual.GRU, {}),
    "rnn": (manual.RNN, {}),
}
T, B, D, H = 4, 7, 2, 5


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "MIN_BLOCK_BYTES", 8 * 2 * H)


@pytest.fixture(params=CELLS)
def layers(request):
    """The same layer on one thread and on three."""
    kind, options = CELLS[request.param]
    return [kind(D, H, rng=np.random.default_rng(0), threads=threads, **options) for threads in (1, 3)]


def results(layer, lengths=None, probe=None, out=None):
    rng = np.random.default_rng(1)
    x, d_output = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, layer.output_size))
    K = len(layer.sweeps)
    state, d_state = (tuple(rng.normal(size=(K, B, s)) for s in layer.state_sizes.values()) for _ in range(2))
    many = len(state) > 1
    output, last, tape = layer.forward(x, state if many else state[0], lengths=lengths, probe=probe, out=out)
    d_x, d_first, gradients = layer.backward(tape, d_output, d_state if many else d_state[0], probe)
    states = [*last, *d_first] if many else [last, d_first]
    return [output, d_x, *states, *gradients.values()], tape


@pytest.mark.parametrize("lengths", [None, [2, 4, 1, 4, 3, 3, 2]], ids=["full", "lengths"])
def test_threads_change_nothing(layers, lengths):
    (one, _), (three, tape) = (results(layer, lengths) for layer in layers)
    assert len(tape.sweeps[0][0]) == 3
    for a, b in zip(three, one, strict=True):
        assert relative_error(a, b) < 1e-14


def test_the_bits_are_the_same_each_time_and_with_an_old_tape_s_memory(layers):
    first, tape = results(layers[1])
    shard = tape.sweeps[0][0][2]
    for out in (None, tape):
        again, new = results(layers[1], out=out)
        assert (new.sweeps[0][0][2] is shard) == (out is tape)
        assert all(np.array_equal(a, b) for a, b in zip(again, first, strict=True))


def test_a_probe_sees_whole_batches(layers):
    seen = [{}, {}]
    for layer, record in zip(layers, seen):
        results(layer, probe=lambda name, t, value, record=record: record.setdefault((name, t), value))
    assert seen[0].keys() == seen[1].keys()
    assert all(np.array_equal(value, seen[1][key]) for key, value in seen[0].items())


def test_a_probe_in_backward_only_is_refused(layers):
    _, tape = results(layers[1])
    d_output = np.ones((T, B, layers[1].output_size))
    with pytest.raises(ValueError, match="probe: expected one in forward too"):
        layers[1].backward(tape, d_output, probe=lambda name, t, value: value)


def test_a_small_batch_is_not_cut(layers, monkeypatch):
    monkeypatch.setattr(shards, "MIN_BLOCK_BYTES", 8 * B * H)
    _, tape = results(layers[1])
    assert not isinstance(tape.sweeps[0][0], shards.Shards)


def test_an_error_in_a_thread_is_the_caller_s(layers, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(layers[1].sweeps[0].fast.kernel, "forward", fail)
    with pytest.raises(MemoryError):
        results(layers[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork\\(\\) was called:RuntimeWarning")  # JAX's, if a test imported it
def test_a_child_process_has_threads_of_its_own(layers):
    expected, _ = results(layers[1])
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(results(layers[1])[0]))
    child.start()
    assert ours.poll(20), "the child hangs"
    assert all(np.array_equal(a, b) for a, b in zip(ours.recv(), expected, strict=True))
    child.join()
