"""Whose memory a tape is, what it outlives, when it serves again, and what is refused."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from extras import needs_numba
from forms import LAYERS, assert_same_bits, backward, build, draw, forward, run

from manual import Linear, Model

T, B, D, H = 4, 3, 2, 5
ENGINES = ["numpy", pytest.param("compiled", marks=needs_numba)]
OPTIONS = pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["plain", "stacked"])
FORMS = pytest.mark.parametrize("form", LAYERS)


@pytest.mark.parametrize("probe", [None, lambda name, t, value: value], ids=["fast", "text"])
@pytest.mark.parametrize("engine", ENGINES)
@FORMS
def test_a_tape_outlives_what_comes_after_it(form, engine, probe):
    """No other pass, no step of an optimiser and no change to what came in or was handed out reaches into it."""
    layer = build(D, H, form=form, engine=engine, num_layers=2)
    given, other = draw(layer, T, B), draw(layer, T, B, seed=1)
    expected = run(layer, given, probe)
    outputs, tape = forward(layer, given, probe=probe)
    first = backward(layer, tape, given)
    run(layer, other, probe)
    for array in (given.x, *given.state, *outputs.values(), *first.values(), *layer.parameters.values()):
        array[...] = 7
    assert_same_bits(backward(layer, tape, given), {name: expected[name] for name in first})


@OPTIONS
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]], ids=["full", "lengths"])
@FORMS
def test_an_old_tape_s_memory_serves_again(form, lengths, options):
    layer = build(D, H, form=form, **options)
    first, second = draw(layer, T, B), draw(layer, T, B, seed=1)
    handed_out, old = forward(layer, first, lengths=lengths)
    handed_out |= backward(layer, old, first)
    before, memory = copy.deepcopy(handed_out), old.sweeps[0][0]
    outputs, tape = forward(layer, second, lengths=lengths, out=old)
    assert tape.sweeps[0][0] is memory
    again = outputs | backward(layer, tape, second)
    assert_same_bits(again, run(layer, second, lengths=lengths))
    assert_same_bits(handed_out, before)


def test_memory_of_other_sizes_does_not_serve_again():
    lstm = build(D, H)
    given = draw(lstm, T, B)
    expected = run(lstm, given)
    _, old = forward(lstm, draw(lstm, T + 2, B))
    assert_same_bits(run(lstm, given, out=old), expected)


@FORMS
def test_backward_of_one_tape_from_several_threads_is_right(form):
    layer = build(D, H, form=form)
    batches = [draw(layer, T, 64, seed) for seed in range(4)]
    _, tape = forward(layer, batches[0])
    expected = [backward(layer, tape, given) for given in batches]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(10):
            found = threads.map(lambda given: backward(layer, tape, given), batches)
            for actual, right in zip(found, expected, strict=True):
                assert_same_bits(actual, right)


def test_a_tape_whose_memory_a_later_run_has_overwritten_is_refused():
    layer = build(D, H)
    given = draw(layer, T, B)
    _, tape = forward(layer, given)
    _, new = forward(layer, draw(layer, T, B, seed=1), out=tape)
    with pytest.raises(ValueError, match=r"^tape: its memory was reused by a later forward\(out=…\)$"):
        backward(layer, tape, given)
    backward(layer, new, given)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_tape_is_not_copied(copied):
    layer = build(D, H)
    _, tape = forward(layer, draw(layer, T, B))
    with pytest.raises(TypeError, match=r"^tape: it can't be copied or pickled; call forward again$"):
        copied(tape)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork\\(\\) was called:RuntimeWarning")  # JAX's, if a test imported it
def test_a_child_process_need_not_wait_for_its_parent_s_threads():
    layer = build(D, H)
    given = draw(layer, T, B)
    _, tape = forward(layer, given)
    with tape.lock:  # as if a thread of this process were in backward
        child = multiprocessing.get_context("fork").Process(target=backward, args=(layer, tape, given))
        child.start()
        child.join(20)
    child.kill()
    assert child.exitcode == 0, "the child hangs"


@pytest.mark.parametrize(
    "other, engine",
    [*((form, "numpy") for form in LAYERS), pytest.param("gru", "compiled", marks=needs_numba)],
)
def test_a_tape_of_another_form_is_refused(other, engine):
    layer, theirs = build(D, H, form="gru", num_layers=2), build(D, H, form=other, engine=engine)
    given = draw(layer, T, B)
    _, tape = forward(theirs, draw(theirs, T, B))
    expected = r"expected the tape of GRU\(reset_after=True, .*dtype=float64, engine=numpy, .*num_layers=2.* got that"
    with pytest.raises(ValueError, match=f"tape: {expected} of .*engine={engine}"):
        backward(layer, tape, given)
    with pytest.raises(ValueError, match=f"out: {expected}"):
        forward(layer, given, out=tape)
    backward(theirs, tape, draw(theirs, T, B))  # the refused run has not taken its memory


@pytest.mark.parametrize("thing", [{}, 3, ()])
def test_what_is_no_tape_is_refused(thing):
    model = Model(build(D, H), Linear(H, 1))
    for owner in (model, model.recurrent, model.readout):
        with pytest.raises(TypeError, match=r"tape: expected the tape of a forward pass.*, got"):
            owner.backward(thing, np.ones((T, B, 1)))
    for owner in (model, model.recurrent):
        with pytest.raises(TypeError, match=r"out: expected the tape of a forward pass.*, got"):
            owner.forward(np.ones((T, B, D)), out=thing)
