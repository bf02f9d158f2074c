"""What holds for ``lstm.py``, ``gru.py`` and ``rnn.py`` alike."""

import numpy as np
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
