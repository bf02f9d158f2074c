"""Which statements could be wrong."""

import pytest
from lines_programs import ELMAN, elman, written

from compare.checker.derivations.pair import Pair
from compare.checker.lines.case import Case
from compare.checker.lines.find import wrong_lines
from compare.checker.lines.locate import Locator
from compare.checker.lines.trace.sensitivity import sensitivity
from compare.checker.lines.wrong_line import NotSought
from compare.checker.trials import Trials


def located(tmp_path, *edits):
    """The trials of a program with texts replaced, the program, and what of its lines could be wrong."""
    text = ELMAN
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    module = written(text, tmp_path)
    trials = Trials(elman, {"x": (4, 3, 2), "h_0": (3, 5)}, {"W": (2, 5), "U": (5, 5), "b": (5,)}, None, "", 0)
    pair, drawn = Pair(module.forward, module.backward, trials.nested), [*trials("float64")]
    case = Case(pair, drawn)
    known = sensitivity(case, 0, {})
    by_line = {one.statement.line: one for one in Locator(case.program, known).suspects}
    return pair, drawn, by_line


@pytest.mark.slow
def test_only_what_reaches_all_that_is_wrong_could_be_wrong_alone(tmp_path):
    _, _, by_line = located(tmp_path, ("* (1 - h**2)", "* np.cos(h) * d_h[::-1]"))
    assert by_line[19].whole
    assert not any(by_line[line].whole for line in (20, 21, 22, 23, 24) if line in by_line)
    assert by_line[20].mends == {"W"}
    assert by_line[24].mends <= {"d_h_0"}


@pytest.mark.slow
def test_the_values_that_a_line_lacks_are_those_of_a_right_run(tmp_path):
    _, _, right = located(tmp_path, ("+ carry", "+ carry * 1.5"))
    needed, events = right[18].needed, right[18].events
    assert needed is not None
    assert len(needed) == len(events)
    assert all(one.shape == event.value[0].shape for (one,), event in zip(needed, events))


@pytest.mark.slow
def test_nothing_is_said_of_what_is_not_linear_in_the_incoming_gradient(tmp_path):
    pair, drawn, _ = located(tmp_path, ("d_a = d_h * (1 - h**2)", "d_a = np.cos(np.sin(d_h) + 0.3)"))
    assert wrong_lines(pair, drawn, seconds=60) == []


@pytest.mark.slow
def test_a_search_that_its_time_ends_says_so(tmp_path):
    pair, drawn, _ = located(tmp_path, ("d_a = d_h * (1 - h**2)", "d_a = np.cos(np.sin(d_h) + 0.3)"))
    with pytest.raises(NotSought, match="processor time are up"):
        wrong_lines(pair, drawn, seconds=0.5)


@pytest.mark.slow
def test_the_line_is_named_where_no_edit_mends_it(tmp_path):
    pair, drawn, _ = located(tmp_path, ("d_a = d_h * (1 - h**2)", "d_a = (d_h * np.cos(h + 0.3))[::-1, ::-1]"))
    (wrong,) = wrong_lines(pair, drawn, seconds=1)
    assert 19 in wrong.lines
    assert len(wrong.lines) <= 2
    assert not any(change.repair for change in wrong.changes)
