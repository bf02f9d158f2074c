import json

import pytest

from compare.published.audit.tables import Table, as_text, complete, lost, lowest, percent, quantiles, shares


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
