"""Whose memory a tape is: what it shares with nothing, what it outlives, and when it serves again."""

import numpy as np
import pytest
from lstm_runs import assert_same_bits, build, draw, run
from oracles import Experiment


def arrays_of(tape):
    return [tape.x, *tape.weights.values(), *(array for step in tape.steps for array in step)]


def test_the_tape_shares_memory_with_nothing_that_came_in_or_is_returned(kernels):
    e = Experiment.random(kernels[0])
    (output, state, tape), (d_x, d_state, gradients) = e.run()
    outside = [e.x, *e.state, *e.weights.values(), e.d_output, *e.d_state]
    outside += [output, *state, d_x, *d_state, *gradients.values()]
    assert not any(np.shares_memory(a, b) for a in arrays_of(tape) for b in outside)
    assert all(array.flags.c_contiguous for array in outside)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(outside) for b in outside[:k])


def test_nothing_shown_to_a_probe_changes_afterwards(kernels):
    e, shown = Experiment.random(kernels[0]), []

    def remember(name, t, value):
        shown.append((value, value.copy()))
        return value

    e.run(remember)
    assert len(shown) > 20
    assert all(np.array_equal(value, copy) for value, copy in shown)


def test_backward_leaves_the_tape_as_it_is(kernels):
    e = Experiment.random(kernels[0])
    tape = e.kernel.forward(e.x, e.state, e.weights)[2]
    before = [array.copy() for array in arrays_of(tape)]
    e.kernel.backward(tape, e.d_output, e.d_state)
    assert all(np.array_equal(a, b) for a, b in zip(arrays_of(tape), before, strict=True))


def test_backward_twice_on_one_tape_gives_the_same_bits():
    lstm = build(2, 5, num_layers=2)
    given = draw(lstm, 4, 3)
    _, _, tape = lstm.forward(given.x, given.state)
    first, second = (lstm.backward(tape, given.d_output, given.d_state) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert_same_bits(second[2], first[2])


def test_a_tape_outlives_what_comes_after_it():
    """No other forward pass, no step of an optimiser and no change to what was handed out reaches into it."""
    lstm = build(2, 5)
    given, other = draw(lstm, 4, 3), draw(lstm, 4, 3, seed=1)
    expected = run(lstm, given)
    output, state, tape = lstm.forward(given.x, given.state)
    lstm.forward(other.x, other.state)
    for array in (output, *state, *lstm.parameters.values()):
        array += 1
    d_x, _, gradients = lstm.backward(tape, given.d_output, given.d_state)
    assert np.array_equal(d_x, expected["d_x"])
    assert_same_bits(gradients, {name: expected[name] for name in gradients})


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=["plain", "stacked both ways"])
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]], ids=["full", "lengths"])
def test_an_old_tape_s_memory_serves_again(options, lengths):
    lstm = build(2, 5, **options)
    first, second = draw(lstm, 4, 3), draw(lstm, 4, 3, seed=1)
    _, _, old = lstm.forward(first.x, first.state, lengths=lengths)
    memory = old.sweeps[0][0]
    output, state, tape = lstm.forward(second.x, second.state, lengths=lengths, out=old)
    assert tape.sweeps[0][0] is memory
    expected, expected_state, new = lstm.forward(second.x, second.state, lengths=lengths)
    assert new.sweeps[0][0] is not memory
    assert np.array_equal(output, expected)
    assert np.array_equal(state, expected_state)
    reused, fresh = (lstm.backward(t, second.d_output, second.d_state) for t in (tape, new))
    assert_same_bits(reused[2], fresh[2])
    assert np.array_equal(reused[0], fresh[0])


def test_what_was_handed_out_stays_when_a_tape_s_memory_serves_again():
    lstm = build(2, 5)
    first, second = draw(lstm, 4, 3), draw(lstm, 4, 3, seed=1)

    def both(given, out):
        output, state, tape = lstm.forward(given.x, given.state, out=out)
        d_x, d_state, gradients = lstm.backward(tape, given.d_output, given.d_state)
        return dict(output=output, h=state[0], c=state[1], d_x=d_x, d_h=d_state[0], d_c=d_state[1]) | gradients, tape

    handed_out, tape = both(first, None)
    before = {name: array.copy() for name, array in handed_out.items()}
    both(second, tape)
    assert_same_bits(handed_out, before)


def test_memory_of_other_sizes_does_not_serve_again():
    lstm = build(2, 5)
    given, longer = draw(lstm, 4, 3), draw(lstm, 6, 3)
    expected = run(lstm, given)
    _, _, old = lstm.forward(longer.x, longer.state)
    assert_same_bits(run(lstm, given, out=old), expected)
