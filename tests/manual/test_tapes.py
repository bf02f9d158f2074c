"""What may be done with a tape: copied, pickled, shared between threads; and what is refused."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from manual import GRU, LSTM, RNN, Linear, Model

T, B, D, H = 4, 3, 2, 5
LAYERS = {
    "lstm": lambda **options: LSTM(D, H, rng=np.random.default_rng(0), **options),
    "lstm projected": lambda **options: LSTM(D, H, proj_size=3, rng=np.random.default_rng(0), **options),
    "gru": lambda **options: GRU(D, H, rng=np.random.default_rng(0), **options),
    "gru, reset before": lambda **options: GRU(D, H, reset_after=False, rng=np.random.default_rng(0), **options),
    "rnn": lambda **options: RNN(D, H, rng=np.random.default_rng(0), **options),
}
COPIES = {
    "copied": copy.copy,
    "deep-copied": copy.deepcopy,
    "pickled": lambda tape: pickle.loads(pickle.dumps(tape)),
}


def recorded(layer, rows=B, **options):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(T, rows, D))
    output, _, tape = layer.forward(x, **options)
    return tape, rng.normal(size=output.shape)


def results(layer, tape, d_output):
    d_x, d_state, gradients = layer.backward(tape, d_output)
    return [d_x, *(d_state if isinstance(d_state, tuple) else [d_state]), *gradients.values()]


def assert_same_bits(actual, expected):
    assert all(np.abs(array).max() > 0 for array in expected)
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["plain", "stacked both ways"])
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]], ids=["full", "lengths"])
@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_copy_of_a_tape_is_as_good_and_independent(kind, copied, lengths, options):
    layer = LAYERS[kind](**options)
    tape, d_output = recorded(layer, lengths=lengths)
    other = COPIES[copied](tape)
    expected = results(layer, tape, d_output)
    layer.forward(np.ones((T, B, D)), lengths=lengths, out=tape)
    assert_same_bits(results(layer, other, d_output), expected)


@pytest.mark.parametrize("probe", [None, lambda name, t, value: value], ids=["fast", "text"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_tape_keeps_what_it_needs_of_the_arguments_and_parameters(kind, probe):
    layer = LAYERS[kind]()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(T, B, D))
    output, _, tape = layer.forward(x, probe=probe)
    d_output = rng.normal(size=output.shape)
    expected = results(layer, tape, d_output)
    for array in (x, output, *layer.parameters.values()):
        array[...] = 7
    assert_same_bits(results(layer, tape, d_output), expected)


def test_a_copy_of_a_tape_of_several_threads_is_as_good(monkeypatch):
    monkeypatch.setattr("manual.fast.shards.MIN_BLOCK_BYTES", 8 * H)
    layer = LAYERS["lstm"](threads=2)
    tape, d_output = recorded(layer)
    expected = results(layer, tape, d_output)
    for copied in (copy.deepcopy, COPIES["pickled"]):
        assert_same_bits(results(layer, copied(tape), d_output), expected)


@pytest.mark.parametrize("kind", LAYERS)
def test_backward_of_one_tape_from_several_threads_is_right(kind):
    layer = LAYERS[kind]()
    tape, d_output = recorded(layer, rows=64)
    scaled = [k * d_output for k in range(1, 5)]
    expected = [results(layer, tape, d) for d in scaled]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            found = threads.map(lambda d: results(layer, tape, d), scaled)
            for actual, right in zip(found, expected, strict=True):
                assert_same_bits(actual, right)


def test_a_tape_whose_memory_a_later_run_has_overwritten_is_refused():
    layer = LAYERS["lstm"]()
    tape, d_output = recorded(layer)
    _, _, new = layer.forward(np.ones((T, B, D)), out=tape)
    with pytest.raises(ValueError, match=r"^tape: its memory was reused by a later forward\(out=…\)$"):
        layer.backward(tape, d_output)
    layer.backward(new, d_output)


@pytest.mark.parametrize("other", ["gru", "gru, reset before", "lstm projected", "rnn"])
def test_a_tape_of_another_cell_or_form_is_refused(other):
    layer = LAYERS["gru"](num_layers=2)
    tape, d_output = recorded(LAYERS[other]())
    expected = r"expected the tape of GRU\(reset_after=True, .*dtype=float64, .*num_layers=2.* got that of"
    with pytest.raises(ValueError, match=f"tape: {expected}"):
        layer.backward(tape, d_output)
    with pytest.raises(ValueError, match=f"out: {expected}"):
        layer.forward(np.ones((T, B, D)), out=tape)
    LAYERS[other]().backward(tape, d_output)  # the refused run has not taken its memory


@pytest.mark.parametrize("thing", [{}, 3, ()])
def test_what_is_no_tape_is_refused(thing):
    model = Model(LAYERS["lstm"](), Linear(H, 1))
    for owner in (model, model.recurrent, model.readout):
        with pytest.raises(TypeError, match=r"tape: expected the tape of a forward pass.*, got"):
            owner.backward(thing, np.ones((T, B, 1)))
    for owner in (model, model.recurrent):
        with pytest.raises(TypeError, match=r"out: expected the tape of a forward pass.*, got"):
            owner.forward(np.ones((T, B, D)), out=thing)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork\\(\\) was called:RuntimeWarning")  # JAX's, if a test imported it
def test_a_child_process_need_not_wait_for_its_parent_s_threads():
    layer = LAYERS["lstm"]()
    tape, d_output = recorded(layer)
    context = multiprocessing.get_context("fork")
    with tape.lock:  # as if a thread of this process were in backward
        child = context.Process(target=results, args=(layer, tape, d_output))
        child.start()
        child.join(20)
    child.kill()
    assert child.exitcode == 0, "the child hangs"
