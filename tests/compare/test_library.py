"""``import compare``: what it shows, and what it says of a name that it lacks."""

import re

import pytest

import compare


def test_it_shows_the_public_names_and_nothing_else():
    assert dir(compare) == sorted(["__version__", *compare.__all__])
    for name in compare.__all__:
        assert getattr(compare, name).__name__ == name


def test_a_name_that_it_lacks_is_named_with_the_one_that_was_meant():
    words = "module 'compare' has no attribute 'chek_function', did you mean 'check_function'?"
    with pytest.raises(AttributeError, match=f"^{re.escape(words)}$"):
        compare.chek_function  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'convert'$"):
        compare.convert  # noqa: B018
