from types import SimpleNamespace

import pytest

from compare.bounds import check_at_least, check_at_most

GIVEN = SimpleNamespace(bits=2, seed=-1)


def test_what_is_as_large_as_it_must_be_passes():
    check_at_least(GIVEN, bits=2, seed=-1)


def test_what_is_too_small_is_named_with_what_came():
    with pytest.raises(ValueError, match="seed: expected at least 0, got -1"):
        check_at_least(GIVEN, bits=2, seed=0)


@pytest.mark.parametrize("value", [2.0, "2", None])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(ValueError, match="bits: expected a whole number, got "):
        check_at_least(SimpleNamespace(bits=value), bits=2)


def test_what_is_too_large_is_named_with_what_came():
    check_at_most(GIVEN, bits=2)
    with pytest.raises(ValueError, match="bits: expected at most 1, got 2"):
        check_at_most(GIVEN, bits=1)
