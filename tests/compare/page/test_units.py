import pytest

from compare.page.axis import duration


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
