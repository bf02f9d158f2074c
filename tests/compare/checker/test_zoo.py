"""Derivations of all kinds: the checker agrees with the right ones, and names exactly what is wrong in the others."""

import pytest
from zoo import SPECIMENS
from zoo.specimen import variants

#: How many draws of its arguments a right derivation has to agree on.
DRAWS = 15

EVERY_SPECIMEN = pytest.mark.parametrize("specimen", SPECIMENS.values(), ids=SPECIMENS)


def is_named(report, faults):
    """Whether the report names what these mistakes make wrong, and blames nothing else.

    A mistake that drops a term may leave the result of that term's probe unused, and the report may say so.
    """
    expected = {name for *_, names in faults for name in names.split()}
    return {fault.name for fault in report.faults} == expected and {*report.kinds} <= {
        "equation",
        "probe unused",
        "size",
    }


@EVERY_SPECIMEN
def test_a_right_derivation_agrees(specimen):
    report = specimen.check()
    assert report.agrees, str(report)


@pytest.mark.slow
@EVERY_SPECIMEN
def test_a_right_derivation_agrees_whatever_is_drawn(specimen):
    draws = 0
    while draws < DRAWS:
        report = specimen.check(seed=100 + draws)
        assert report.agrees, str(report)
        draws += len(report.sizes)


@pytest.mark.slow
@EVERY_SPECIMEN
def test_every_mistake_is_named_and_nothing_else(specimen):
    for faults in variants(specimen.faults):
        report = specimen.check(*faults)
        assert not report.agrees, faults
        assert is_named(report, faults), f"{faults}\n{report}"
