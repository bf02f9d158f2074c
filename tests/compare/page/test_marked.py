import re

import pytest

from compare.page.check import marked


def unmarked(side) -> str:
    return re.sub("</?mark>", "", side).replace("&lt;", "<").replace("&#34;", '"').replace("&#39;", "'")


@pytest.mark.parametrize(
    "old, new, before, after",
    [
        ("dz = dg * (1 - g)", "dz = dg * (1 - g ** 2)", [], [" ** 2"]),
        ("carry = ds @ p['Uf'].T", "carry = dz @ p['Uc'].T", ["ds", "Uf"], ["dz", "Uc"]),
        ("G['b'] = ds.sum(0)", "G['b'] += ds.sum(0)", [], ["+"]),
        ("a < b", "a < b", [], []),
    ],
)
def test_what_differs_is_marked_and_nothing_else(old, new, before, after):
    sides = marked(old, new)
    assert [re.findall("<mark>(.*?)</mark>", side) for side in sides] == [before, after]
    assert [unmarked(side) for side in sides] == [old, new]
    assert "a <" not in sides[0]
