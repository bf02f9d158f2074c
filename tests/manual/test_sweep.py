import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual import GRU, LSTM
from manual.sweep import Rectangle, Schedule


def test_without_lengths_there_is_one_rectangle():
    assert Schedule.of(None, 6, 4).rectangles == [Rectangle(0, 6, 4)]


def test_the_rectangles_of_an_example():
    schedule = Schedule.of([3, 6, 1, 3], 6, 4)
    assert schedule.rectangles == [Rectangle(0, 1, 4), Rectangle(1, 3, 3), Rectangle(3, 6, 1)]
    assert schedule.order.tolist() == [1, 0, 3, 2]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.booleans())
def test_the_rectangles_cover_each_running_step_once_and_nothing_else(lengths, reverse):
    schedule = Schedule.of(lengths, 9, len(lengths))
    covered = np.zeros((9, len(lengths)), int)
    for rectangle in schedule.rectangles:
        covered[rectangle.window(reverse)] += 1
    expected = np.arange(9)[:, None] < np.array(lengths)[schedule.order]
    assert np.array_equal(covered, expected)


@pytest.mark.parametrize("lengths", [None, [2, 4, 1]])
def test_a_probe_sees_the_whole_batch_in_its_own_order_at_the_true_time(lengths):
    lstm = LSTM(2, 5, num_layers=2, bidirectional=True, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x, d_output = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, 10))
    seen = {}

    def record(name, t, value):
        seen.setdefault(name, np.zeros((4, *value.shape)))[t] += value  # two rectangles share no step
        return value

    output, (h_n, _), tape = lstm.forward(x, lengths=lengths, probe=record)
    lstm.backward(tape, d_output, probe=record)
    assert np.array_equal(np.concatenate([seen["h_l1"], seen["h_l1_reverse"]], axis=2), output)
    assert np.array_equal(seen["h_l0_reverse"][0], h_n[1])
    longest = 1  # the row whose last step is the batch's last: nothing comes back to it from a later one
    assert np.array_equal(seen["d_h_l1"][3, longest], d_output[3, longest, :5])
    assert np.array_equal(seen["d_h_l1_reverse"][0, longest], d_output[0, longest, 5:])


def test_a_probe_reaches_into_rows_that_are_still_running():
    gru = GRU(2, 5, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(4, 3, 2))
    output, h_n, _ = gru.forward(x, lengths=[2, 4, 1], probe=lambda n, t, v: v + 1 if (n, t) == ("h_l0", 1) else v)
    plain, plain_h_n, _ = gru.forward(x, lengths=[2, 4, 1])
    moved = ~np.isclose(output, plain).all(axis=2)
    assert moved.tolist() == [[False] * 3, [True, True, False], [False, True, False], [False, True, False]]
    assert np.allclose(h_n[0, 0], plain_h_n[0, 0] + 1)
