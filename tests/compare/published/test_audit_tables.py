import json

import pytest

from compare.published.audit_tables import Table, as_text, complete, percent, shares, spread


@pytest.mark.parametrize(
    "share, words",
    [(1.0, "100"), (16383 / 16384, "99.99"), (0.99997, "99.99"), (0.998, "99.8"), (0.0296, "3.0"), (0.0, "0.0")],
)
def test_a_share_is_never_rounded_up_to_all(share, words):
    assert percent(share) == words


def test_a_spread_is_the_median_and_the_range():
    assert spread([0.5, 0.1, 0.25]) == "0.25 (0.10 to 0.50)"
    assert shares([0.5, 1.0, 0.25, 0.75]) == "62.5 % (25.0 to 100)"
    assert shares([1.0, 1.0]) == "100 %"
    assert complete([1.0, 16383 / 16384, 1.0]) == "2 of 3"


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
