import json

import numpy as np
import pytest

from compare.published.audit.tables import (
    SCORE,
    Table,
    as_text,
    complete,
    lost,
    lowest,
    percent,
    quantiles,
    shares,
    wilson,
)


@pytest.mark.parametrize(
    "share, words",
    [(1.0, "100"), (16383 / 16384, "99.99"), (0.99997, "99.99"), (0.998, "99.8"), (0.0296, "3.0"), (0.0, "0.0")],
)
def test_a_share_is_never_rounded_up_to_all(share, words):
    assert percent(share) == words


def test_a_value_has_its_median_and_its_quantiles_and_a_count_its_interval():
    values = [k / 100 for k in range(101)]
    assert quantiles(values) == "0.50 (0.05 to 0.95)"
    assert shares(values) == "50.0 % (5.0 to 95.0)"
    assert shares([1.0, 1.0]) == "100 %"
    assert complete([1.0, 16383 / 16384, 1.0, 1.0]) == "3 of 4 (30 to 95 %)"


def test_what_was_lost_is_counted_of_what_was_ever_there():
    curve = {"values": [[1.0, 0.5, 1.0, 0.2], [0.9, 1.0, 1.0, 0.3], [1.0, 1.0, 0.7, 0.1]]}
    assert lost(curve) == "2 of 3 (21 to 94 %)"
    assert lowest(curve) == 0.7
    assert lost({"values": [[0.5, 0.5]]}) == "0 of 0"


def test_a_table_is_markdown_with_aligned_columns():
    table = Table("title", ("name", "n"), [["a", "10"], ["longer", ""]])
    assert table.markdown().splitlines() == [
        "| name   | n  |",
        "| ------ | -- |",
        "| a      | 10 |",
        "| longer |    |",
    ]


def test_json_has_each_list_of_numbers_on_one_line():
    results = {"a": [1.5, 2.0], "b": [[1, 2], [3, 4]], "c": [{"d": []}]}
    text = as_text(results)
    assert json.loads(text) == results
    assert '"a": [ 1.5, 2.0 ],' in text and "[ 1, 2 ],\n" in text


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
    assert quantiles(np.arange(101.0)) == "50.00 (5.00 to 95.00)"
