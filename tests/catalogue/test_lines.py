"""A fault of the catalogue is found without a probe, and what measures that tells it from one that is not."""

import pytest

from catalogue import FAULTS
from catalogue.broken import broken
from catalogue.lines import checked, found

FAULT = next(fault for fault in FAULTS if (fault.cell, fault.title) == ("rnn", "tanh' appears twice"))


@pytest.mark.slow
def test_the_line_is_named_and_mended_without_a_probe():
    assert found(FAULT) == (True, True)


def test_the_lines_of_a_fault_are_known():
    with broken(FAULT) as lines:
        assert checked(FAULT).outcome == "disagree"
    assert len(lines) == 1
