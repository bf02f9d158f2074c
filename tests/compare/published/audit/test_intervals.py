import numpy as np
import pytest

from compare.published.audit.intervals import SCORE, spread, wilson


@pytest.mark.parametrize("count, of", [(39, 100), (1, 7), (0, 10), (10, 10)])
def test_the_ends_of_an_interval_are_as_far_from_what_was_seen_as_the_score_says(count, of):
    """Wilson's definition: (count / of - p)² = z² p (1 - p) / of."""
    low, high = wilson(count, of)
    for p in (low, high):
        if 0 < p < 1:
            assert (count / of - p) ** 2 == pytest.approx(SCORE**2 * p * (1 - p) / of)
    assert (low == 0) == (count == 0) and (high == 1) == (count == of) and low < high


def test_an_interval_covers_the_share_about_as_often_as_it_says():
    rng, share, of = np.random.default_rng(1), 0.83, 100
    covered = [low <= share <= high for low, high in (wilson(int(n), of) for n in rng.binomial(of, share, 2000))]
    assert 0.93 < np.mean(covered) < 0.97


def test_a_spread_is_the_median_and_the_quantiles():
    assert spread(np.arange(101.0)) == (5.0, 50.0, 95.0)
