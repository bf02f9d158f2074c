import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compare.page.axis import MOST_TICKS, LogAxis, duration, step_ticks

positive = st.floats(1e-300, 1e299)


@given(st.lists(positive, min_size=1))
def test_all_values_lie_on_the_axis_in_their_order(values):
    places = LogAxis(values).places(values)
    assert places.min() >= 0 and places.max() <= 1
    assert (np.diff(places[np.argsort(values)]) >= 0).all()


@given(st.lists(positive, min_size=1))
def test_ticks_are_where_their_values_are_and_never_crowd(values):
    axis = LogAxis(values)
    places = [tick.place for tick in axis.ticks]
    assert places == sorted(places)
    assert 2 <= len(places) <= 2 * MOST_TICKS
    assert all(0 <= place <= 1 for place in places)
    np.testing.assert_allclose(axis.places(float(tick.label) for tick in axis.ticks), places, atol=2e-3)


@pytest.mark.parametrize(
    "values, labels",
    [
        ([1e-17, 1e-12], ["1e-17", "1e-16", "1e-15", "1e-14", "1e-13", "1e-12"]),
        ([1e-17, 1e-10], ["1e-17", "1e-15", "1e-13", "1e-11"]),
        ([0.011, 0.7], ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5"]),
        ([0.62, 0.71], ["0.62", "0.64", "0.66", "0.68", "0.7"]),
        ([3.0, 3.0], ["1", "2", "5"]),
    ],
)
def test_ticks_are_round_numbers(values, labels):
    assert [tick.label for tick in LogAxis(values).ticks] == labels


@pytest.mark.parametrize("values", [[], [0.0], [np.nan, np.inf, -1.0, 1e301]])
def test_what_has_no_place_on_the_axis_is_left_out(values):
    axis = LogAxis(values)
    assert np.isnan(axis.places(values)).all()
    assert len(axis.ticks) > 1
    beside, alone = (LogAxis([*others, 0.02, 0.4]).places([0.02, 0.4]) for others in (values, []))
    np.testing.assert_array_equal(beside, alone)


@pytest.mark.parametrize(
    "last, labels",
    [
        (1, ["0", "1", "2"]),
        (7, ["0", "2", "4", "6", "8"]),
        (150, ["0", "50", "100", "150"]),
        (1000, ["0", "200", "400", "600", "800", "1,000"]),
    ],
)
def test_steps_are_whole_numbers_in_their_places(last, labels):
    ticks = step_ticks(last)
    assert [tick.label for tick in ticks] == labels
    assert [tick.place for tick in ticks] == [int(label.replace(",", "")) / (last + 1) for label in labels]


@pytest.mark.parametrize(
    "seconds, text",
    [
        (2.345e-5, "23.4 µs"),
        (0.00123, "1.23 ms"),
        (0.0999, "99.9 ms"),
        (1.0, "1 s"),
        (12.34, "12.3 s"),
        (1234.5, "1,234 s"),
        (0.9996, "1 s"),
        (999.7, "1,000 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert duration(seconds) == text
