"""Derivations of all kinds: the checker agrees with the right ones, and names exactly what is wrong in the others."""

import pytest
from tiers import first_of_each
from zoo import SPECIMENS

#: How many draws of its arguments a right derivation has to agree on.
DRAWS = 15

EVERY_SPECIMEN = pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=SPECIMENS)


def family(specimen):
    """The module of a class; a derivation in a file has none of its own."""
    return specimen.__module__


def assert_named(specimen, *faults):
    """The report names what these mistakes make wrong, and blames nothing else.

    A mistake that drops a term may leave the result of that term's probe unused, and the report may say so.
    """
    report = specimen.check(*faults)
    assert not report.agrees, faults
    assert {fault.name for fault in report.faults} == {name for *_, names in faults for name in names.split()}, report
    assert {*report.kinds} <= {"equation", "probe unused", "size"}, report


@pytest.mark.parametrize("specimen", first_of_each(family, SPECIMENS.values(), pytest.mark.slow), ids=SPECIMENS)
def test_a_right_derivation_agrees(specimen):
    report = specimen.check()
    assert report.agrees, str(report)


@pytest.mark.exhaustive
@EVERY_SPECIMEN
def test_a_right_derivation_agrees_whatever_is_drawn(specimen):
    draws = 0
    while draws < DRAWS:
        report = specimen.check(seed=100 + draws)
        assert report.agrees, str(report)
        draws += len(report.sizes)


@pytest.mark.slow
@pytest.mark.parametrize("specimen", first_of_each(family, SPECIMENS.values()), ids=SPECIMENS)
def test_three_mistakes_at_once_are_named_and_nothing_else(specimen, tried_until_found):
    assert_named(specimen, *specimen.faults[1::3][:3])


@pytest.mark.exhaustive
@EVERY_SPECIMEN
def test_every_mistake_is_named_and_nothing_else(specimen, tried_until_found):
    for fault in specimen.faults:
        assert_named(specimen, fault)
