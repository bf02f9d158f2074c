"""What a tape and what was handed out outlive, and when the memory of a tape serves again."""

import numpy as np
import pytest
from lstm_runs import assert_same_bits, build, draw, run


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
