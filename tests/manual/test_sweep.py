import numpy as np
import pytest
from forms import LAYERS, build
from hypothesis import given
from hypothesis import strategies as st

from manual import GRU, LSTM
from manual.fast.memory import Memory
from manual.sweep import Rectangle, Schedule


def test_the_rectangles_of_an_example():
    assert Schedule.of(None, 6, 4).rectangles == [Rectangle(0, 6, 4)]
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


@pytest.mark.parametrize("lengths", [None, [2, 4, 1]], ids=["full", "lengths"])
@pytest.mark.parametrize("form", LAYERS)
def test_a_probe_may_be_passed_to_either_pass_alone(form, lengths):
    """The equations run wherever there is one, on the tape of the fast kernel if need be."""
    layer, rng = build(2, 5, form=form, num_layers=2, bidirectional=True), np.random.default_rng(1)
    x, d_output = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3, layer.output_size))
    seen, gradients = [], []
    for forward, backward in ((True, True), (False, True), (True, False), (False, False)):
        record = {}

        def probe(name, t, value, record=record):
            record[name, t] = record.get((name, t), 0) + value
            return value

        _, _, tape = layer.forward(x, lengths=lengths, probe=probe if forward else None)
        assert all(isinstance(t, Memory) != forward for tapes in tape.sweeps for t in tapes)
        gradients.append(layer.backward(tape, d_output, probe=probe if backward else None)[2])
        seen.append(record)
    both, backward_only, forward_only, neither = seen
    assert not neither
    assert both.keys() == backward_only.keys() | forward_only.keys()
    assert {name for name, _ in backward_only} == {name for name, _ in both if name.startswith("d_")}
    for key, value in (backward_only | forward_only).items():
        assert np.abs(value - both[key]).max() < 1e-14
    for name, gradient in gradients[0].items():
        assert all(np.abs(other[name] - gradient).max() < 1e-13 for other in gradients[1:])


def test_a_probe_in_backward_reaches_into_it():
    layer = build(2, 5, num_layers=2, bidirectional=True)
    x, d_output = np.random.default_rng(1).normal(size=(4, 3, 2)), np.ones((4, 3, 10))
    _, _, tape = layer.forward(x)
    plain, moved = (
        layer.backward(tape, d_output, probe=probe)[0]
        for probe in (None, lambda name, t, value: value + 1 if (name, t) == ("d_c_l1", 2) else value)
    )
    assert not np.allclose(plain, moved)


def test_a_probed_run_leaves_memory_of_an_earlier_one_alone():
    layer = build(2, 5, form="gru")
    x, d_output = np.random.default_rng(1).normal(size=(4, 3, 2)), np.ones((4, 3, 5))
    _, _, old = layer.forward(x)
    before = layer.backward(old, d_output)[2]
    _, _, tape = layer.forward(2 * x, probe=lambda name, t, value: value, out=old)
    assert all(np.array_equal(a, b) for a, b in zip(layer.backward(old, d_output)[2].values(), before.values()))
    layer.forward(x, out=tape)
