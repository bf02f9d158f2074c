import multiprocessing

import numpy as np
import pytest
from forms import LAYERS, assert_close, assert_same_bits, backward, build, draw, forward, run

from manual.fast import shards
from manual.fast.memory import Memory

T, B, D, H = 4, 7, 2, 5


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "MIN_BLOCK_BYTES", 8 * 2 * H)


@pytest.fixture(params=[(form, engine) for form in LAYERS for engine in ("numpy", "compiled")], ids=" ".join)
def layers(request):
    """Of each form, a layer on one thread and on three."""
    form, engine = request.param
    if engine == "compiled":
        pytest.importorskip("numba", reason="the extra `compiled` is not installed")
    stacked = {"num_layers": 2, "bidirectional": True} if form == "lstm projected" else {}
    return [build(D, H, form=form, engine=engine, threads=threads, **stacked) for threads in (1, 3)]


@pytest.mark.parametrize("lengths", [None, [2, 4, 1, 4, 3, 3, 2]], ids=["full", "lengths"])
def test_threads_change_nothing(layers, lengths):
    one, three = layers
    given = draw(one, T, B)
    outputs, tape = forward(three, given, lengths=lengths)
    assert len(tape.sweeps[0][0]) == 3
    assert_close(outputs | backward(three, tape, given), run(one, given, lengths=lengths), 1e-14)


def test_the_bits_are_the_same_each_time_and_with_an_old_tape_s_memory(layers):
    layer = layers[1]
    given = draw(layer, T, B)
    first, tape = run(layer, given), forward(layer, given)[1]
    shard = tape.sweeps[0][0][2]
    for out in (None, tape):
        again, new = forward(layer, given, out=out)
        assert (new.sweeps[0][0][2] is shard) == (out is tape and isinstance(shard, Memory))
        assert_same_bits(again | backward(layer, new, given), first)


def test_a_probe_sees_whole_batches(layers):
    seen = [{}, {}]
    for layer, record in zip(layers, seen):
        run(layer, draw(layer, T, B), lambda name, t, value, record=record: record.setdefault((name, t), value))
    assert seen[0].keys() == seen[1].keys()
    assert all(np.array_equal(value, seen[1][key]) for key, value in seen[0].items())


def test_a_probe_in_backward_only_is_refused(layers):
    given = draw(layers[1], T, B)
    _, tape = forward(layers[1], given)
    with pytest.raises(ValueError, match="probe: expected one in forward too"):
        backward(layers[1], tape, given, lambda name, t, value: value)


def test_a_small_batch_is_not_cut(layers, monkeypatch):
    monkeypatch.setattr(shards, "MIN_BLOCK_BYTES", 8 * B * H)
    _, tape = forward(layers[1], draw(layers[1], T, B))
    assert not isinstance(tape.sweeps[0][0], shards.Shards)


def test_an_error_in_a_thread_is_the_caller_s(layers, monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(layers[1].sweeps[0].fast.kernel, "forward", fail)
    with pytest.raises(MemoryError):
        run(layers[1], draw(layers[1], T, B))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork\\(\\) was called:RuntimeWarning")  # JAX's, if a test imported it
def test_a_child_process_has_threads_of_its_own():
    layer = build(D, H, threads=3)
    given = draw(layer, T, B)
    expected = run(layer, given)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(run(layer, given)))
    child.start()
    assert ours.poll(20), "the child hangs"
    assert_same_bits(ours.recv(), expected)
    child.join()
