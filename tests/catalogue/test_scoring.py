"""The checker checked: each known fault, put into the real source, is caught and named rightly."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from extras import needs_numba
from tiers import first_of_each

from catalogue import COMPILED, FAST, FAULTS
from catalogue.scoring import score

pytestmark = pytest.mark.usefixtures("tried_until_found")


def title(fault):
    return f"{fault.cell}: {fault.title}"


def where(fault):
    """Which kind of fault it is: the file, and whether a value, an adjoint, a weight or a bias is wrong first."""
    return fault.file, re.match("d_|weight|bias|", fault.wrong[0])[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", first_of_each(where, [*FAULTS, *FAST]), ids=lambda fault: f"{fault.cell}: {fault.title}"
)
def test_it_is_caught_and_named_rightly(fault):
    scored = score(fault)
    assert scored.caught
    assert scored.named, scored.found


@pytest.mark.slow
@pytest.mark.parametrize("fault", first_of_each(where, COMPILED), ids=title)
def test_a_fault_of_a_compiled_kernel_is_caught_and_named_rightly(fault, uncompiled):
    scored = score(fault)
    assert scored.caught
    assert scored.named, scored.found


@pytest.mark.slow
@needs_numba
def test_a_fault_that_is_compiled_is_caught_and_named_rightly():
    scored = score(COMPILED[-1])
    assert scored.caught
    assert scored.named, scored.found


def test_there_are_enough_of_them():
    text = Counter(fault.cell for fault in FAULTS)
    assert text["lstm"] >= 50
    assert text["gru"] >= 25
    assert text["rnn"] >= 15
    for faults in (FAST, COMPILED):
        assert {fault.cell for fault in faults} == {"lstm", "gru", "rnn"}
    for faults in (FAULTS, FAST, COMPILED):
        assert len({(fault.cell, *fault.options, fault.title) for fault in faults}) == len(faults)


@pytest.fixture
def fault():
    return next(fault for fault in FAULTS if fault.title == "a fault at one time step only" and fault.cell == "lstm")


@pytest.mark.slow
def test_what_changes_nothing_is_not_caught(fault):
    scored = score(replace(fault, new=f"({fault.old})", wrong=()))
    assert not scored.caught
    assert scored.found == ()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "expected", [{"wrong": ("d_z_i",)}, {"wrong": ("d_z_g", "d_c")}, {"steps": (2,)}, {"rows": (1,)}]
)
def test_anything_else_named_is_not_named_rightly(fault, expected):
    scored = score(replace(fault, **expected))
    assert scored.caught
    assert not scored.named


def test_a_fault_of_a_fast_kernel_is_named_by_the_tensors_that_differ_from_the_text():
    fault = next(fault for fault in FAST if fault.wrong == ("weight_hh",))
    assert not score(replace(fault, wrong=("weight_hh", "d_x"))).named
    harmless = score(replace(fault, new=fault.old.replace("d_W_h", "(d_W_h)"), wrong=()))
    assert not harmless.caught
    assert harmless.found == ()


def test_a_text_that_is_not_there_is_named(fault):
    with pytest.raises(ValueError, match="expected 'no such line' once"):
        score(replace(fault, old="no such line"))
