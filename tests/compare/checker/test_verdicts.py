"""Each verdict, in a case where no other would be right."""

import inspect
import re

import numpy as np
import pytest
import torch
from zoo.memory import BUFFERS, Memory, check_memory, names

from compare import check_backward, probe

pytestmark = pytest.mark.usefixtures("tried_until_found")


@pytest.fixture(autouse=True)
def nothing_is_kept():
    BUFFERS.clear()


# Called more than once.

KEPT = (
    "{name: np.zeros_like(array) for name, array in p.items()}",
    "{name: BUFFERS.setdefault((name, array.shape), np.zeros_like(array)) for name, array in p.items()}",
)


def test_a_gradient_that_is_added_to_from_call_to_call_is_no_agreement():
    report = check_memory(KEPT)
    assert not report.agrees
    assert report.kinds == ["unsteady"]
    assert report.unsteady == ["W", "V", "U"]
    assert report.as_json()["faults"] == []
    assert "not deterministic: two identical calls differ in" in str(report)


def test_a_gradient_buffer_that_is_cleared_for_each_call_agrees():
    cleared = (
        "d_x, d_h, d_c = [], 0, 0",
        "d_x, d_h, d_c = [], 0, 0\n    for buffer in grads.values():\n        buffer[...] = 0",
    )
    report = check_memory(KEPT, cleared)
    assert report.agrees, str(report)


@pytest.mark.slow
def test_a_tape_that_lacks_a_copy_in_a_buffer_kept_between_calls_is_no_agreement():
    """At the last step, and at a size of one step, the buffer still holds what the tape should."""
    report = check_memory(
        ("c_0.copy(), np.zeros_like(c_0)", "BUFFERS.setdefault(c_0.shape, np.zeros_like(c_0)), np.zeros_like(c_0)"),
        (", [], []\n", ", [], []\n    c[...] = c_0\n"),
        ("f, c.copy()])", "f, c])"),
        ('c = probe("c", f * c + x_t @ p["W"])', 'c[...] = probe("c", f * c + x_t @ p["W"])'),
    )
    assert not report.agrees


# Shown, then changed.


@pytest.mark.slow
def test_an_array_that_is_changed_after_it_was_shown_is_named_and_no_adjoint_blamed():
    report = check_memory(
        ("f, c.copy()])", "f, c if tape else c.copy()])"),
        ('c = probe("c", f * c + x_t @ p["W"])', 'c *= f\n        c += x_t @ p["W"]\n        c = probe("c", c)'),
    )
    assert report.kinds[0] == "changed"
    assert report.changed == {"c": (0, 1, 2, 3)}
    assert names(report) == []
    assert "c was modified in place after its probe, at steps 0-3" in str(report)


@pytest.mark.slow
def test_a_change_of_what_was_not_shown_is_seen_where_it_is_used():
    """The initial cell is changed, too, and no probe shows it."""
    report = check_memory(
        ("f, c.copy()])", "f, c])"),
        ('c = probe("c", f * c + x_t @ p["W"])', 'c *= f\n        c += x_t @ p["W"]\n        c = probe("c", c)'),
    )
    assert report.changed == {"c": (0, 1, 2, 3)}
    assert {(fault.name, fault.steps) for fault in report.faults} == {("d_f", (0,)), ("d_c", (0,))}


def test_an_array_that_is_changed_has_no_step_where_there_are_none():
    """Nothing is shown between the change and the use of the array."""

    def forward(x):
        y = probe("y", np.sin(x))
        z = y * y
        y *= 3
        return z, (x, y)

    def backward(tape, d_z):
        x, y = tape
        return probe("d_y", 2 * y * d_z) * np.cos(x)

    report = check_backward(forward, backward, lambda x: probe("y", torch.sin(x)) ** 2, {"x": (3, 4)})
    assert report.changed == {"y": ()}
    assert names(report) == []
    assert "y was modified in place after its probe\n" in str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name, after", [("h", "f"), ("c", "c")])
def test_what_a_changed_array_is_used_for_next_is_not_blamed(name, after):
    changed = f"hs.append(h.copy())\n        if len(tape) == 3:\n            {name} *= 0.5"
    report = check_memory(("hs.append(h)", changed))
    assert report.changed == {name: (2,)}
    assert names(report) == []
    assert [one.wrong_steps() for one in report.as_run if one.name == after] == [(3, 4)]
    also_wrong = check_memory(("hs.append(h)", changed), ("d_c * c_prev", "d_c * c"))
    assert also_wrong.changed == {name: (2,)}
    assert names(also_wrong) == ["d_f"]


def test_a_change_that_nobody_sees_is_no_finding():
    assert check_memory(("hs.append(h)", "hs.append(h.copy())\n        f = f.copy()\n        f *= 2")).agrees


# Probes.


@pytest.mark.slow
def test_a_probe_whose_result_is_not_used_is_named_and_what_follows_not_blamed():
    report = check_memory(
        ('d_c = probe("d_c", d_c + d_h * (1 - np.tanh(c) ** 2))', 'd_c = d_c + d_h\n        probe("d_c", d_c)')
    )
    assert report.unused == ["d_c"]
    assert names(report) == ["d_c"]
    assert {*report.consequences} == {"d_f", "W", "d_x", "d_c_0"}
    assert "the result of probe 'd_c' is not used" in str(report)


@pytest.mark.slow
def test_where_no_probe_is_used_a_second_fault_is_still_told_from_what_follows():
    """A value that a right equation gives on the wrong values before it is a consequence, any other a fault."""
    report = check_memory(
        ('d_c = probe("d_c", d_c + d_h * (1 - np.tanh(c) ** 2))', 'd_c = d_c + d_h\n        probe("d_c", d_c)'),
        ('d_f = probe("d_f", d_c * c_prev)', 'd_f = d_c * h_prev\n        probe("d_f", d_f)'),
    )
    assert {*report.unused} == {"d_c", "d_f"}
    assert {*names(report)} == {"d_c", "d_f"}
    assert {*report.consequences} == {"W", "V", "U", "d_x", "d_h", "d_c_0"}


def test_probes_whose_results_are_not_used_do_no_harm_where_all_is_right():
    report = check_memory(('d_f = probe("d_f", d_c * c_prev)', 'd_f = d_c * c_prev\n        probe("d_f", d_f)'))
    assert report.agrees, str(report)


MISPLACED = ("d_c + d_h * (1 - np.tanh(c) ** 2))", "d_c) + d_h * (1 - np.tanh(c) ** 2)")


def test_a_misplaced_probe_is_named_where_the_gradients_are_right():
    report = check_memory(MISPLACED)
    assert report.kinds[0] == "probe misplaced"
    assert report.gradients_right
    assert [fault.name for fault in report.misplaced] == ["d_c"]
    assert names(report) == []
    assert "the gradients are right; probe 'd_c' is given something other than d_c" in str(report)
    assert f"memory.py:{report.misplaced[0].line}: {report.misplaced[0].code}" in str(report)


@pytest.mark.slow
def test_a_misplaced_probe_and_a_wrong_equation_are_told_apart():
    report = check_memory(MISPLACED, ("d_z = d_f * f * (1 - f)", "d_z = d_f * f"))
    assert [fault.name for fault in report.misplaced] == ["d_c"]
    assert {*names(report)} == {"V", "U", "d_x", "d_h"}


@pytest.mark.slow
def test_a_name_that_is_probed_twice_with_different_meanings_is_misplaced():
    report = check_memory(
        (
            'probe("d_c", d_c + d_h * (1 - np.tanh(c) ** 2))',
            'probe("d_c", probe("d_c", d_c + 0 * c, t=t) + d_h * (1 - np.tanh(c) ** 2), t=t)',
        )
    )
    (misplaced,) = report.misplaced
    assert (misplaced.name, misplaced.problem) == ("d_c", "recorded twice, with two values, at step 4")
    assert report.gradients_right
    assert names(report) == []


@pytest.mark.slow
def test_without_probes_only_consequences_are_named_and_the_probe_to_add_first():
    calls = re.findall(
        r'(\w+) = (probe\("\w+", )', inspect.getsource(Memory.forward) + inspect.getsource(Memory.backward)
    )
    assert len(calls) == 6
    edits = [(f"{name} = {call}", f"{name} = (") for name, call in calls]
    report = check_memory(*edits, ("d_c * c_prev)", "d_c)"))
    assert report.kinds[0] == "not shown"
    assert names(report) == []
    assert {*report.consequences} == {"V", "U", "W", "d_x", "d_c_0"}
    assert {*report.unrecorded} == {"d_h", "d_c", "d_f"}
    assert f"probe({report.unrecorded[0]!r}" in str(report)


def test_without_any_probe_the_report_says_that_all_may_be_consequences():
    def check(d_y):
        return check_backward(
            lambda x, w: (np.tanh(x) * w, (x, w)),
            lambda tape, d: (d_y(d) * tape[1] * (1 - np.tanh(tape[0]) ** 2), d_y(d) * np.tanh(tape[0])),
            lambda x, w: torch.tanh(x) * w,
            {"x": (4, 3), "w": (4, 3)},
        )

    words = "these may follow from one error: add probes to the code and to the reference"
    report = check(lambda d: 2 * d)
    assert names(report) == ["d_x", "d_w"]
    assert words in str(report)
    assert words not in str(check(lambda d: d))


@pytest.mark.slow
def test_a_fault_in_something_that_is_not_shown_names_the_probe_to_add():
    report = check_memory(('d_f = probe("d_f", d_c * c_prev)', "d_f = d_c * h_prev"))
    assert report.kinds[0] == "not shown"
    assert report.unrecorded[0] == "d_f"
    assert {*report.consequences} == {"V", "U", "d_x", "d_h"}


def test_a_misspelt_probe_is_answered_with_the_name_that_is_meant():
    with pytest.raises(ValueError, match=r"got 'd_cc'; did you mean 'd_c'\?"):
        check_memory(('probe("d_c"', 'probe("d_cc"'))


def test_a_probe_that_the_reference_lacks_altogether_is_answered_with_that():
    with pytest.raises(ValueError, match="probe: expected none, since the reference has none; got 'y'"):
        check_backward(lambda x: (probe("y", 2 * x), x), lambda x, d: 2 * d, lambda x: 2 * x, {"x": (2, 3)})


@pytest.mark.slow
def test_a_probe_that_is_called_too_often_is_a_finding():
    report = check_memory(("hs.append(h)", 'hs.append(probe("h", h))'))
    assert not report.agrees
    assert "recorded more often than in the reference" in str(report)


# Several faults, and faults in odd places.


@pytest.mark.slow
def test_a_loop_that_leaves_the_last_step_out_is_told_from_wrong_equations():
    """The probes are numbered from the other end then: only what the missing step carries is wrong."""
    report = check_memory(("reversed(range(len(tape)))", "reversed(range(len(tape) - 1))"))
    assert {*names(report)} == {"d_h", "d_c", "W", "V", "U", "d_x"}
    d_h, d_c = report.faults[:2]
    assert (d_h.name, d_h.steps) == ("d_h", (3,))
    assert (d_c.name, d_c.steps) == ("d_c", (3,))


@pytest.mark.slow
def test_a_backward_loop_that_goes_forward_is_told_from_wrong_equations():
    report = check_memory(
        ("reversed(range(len(tape)))", "range(len(tape))"), ("np.stack(d_x[::-1]), d_c", "np.stack(d_x), d_c")
    )
    assert names(report) == ["d_h", "d_c", "d_c_0"]


# Arguments changed.


def test_weights_that_the_derivation_changes_are_named():
    report = check_memory(("return np.stack(d_x[::-1])", 'p["W"] -= 0.1 * grads["W"]\n    return np.stack(d_x[::-1])'))
    assert report.kinds == ["arguments changed"]
    assert report.writes == ["W"]
    assert "the derivation changed W" in str(report)


@pytest.mark.slow
def test_an_input_that_the_derivation_changes_is_named():
    report = check_memory(("np.zeros_like(c_0), [], []", "np.zeros_like(c_0), [], []\n    x *= 1.0 + 1e-9"))
    assert "x" in report.writes


# An error that drowns in the answer.


@pytest.mark.slow
@pytest.mark.parametrize("factor, titles, kind", [(1e4, ["s"], "equation"), (1e5, [], "probe misplaced")])
def test_an_error_that_rounding_hides_in_the_answer_is_an_equation_s_if_a_larger_one_would_show(factor, titles, kind):
    report = check_backward(
        lambda x: (factor * x + probe("s", x * x * (1 + 1e-11)), x),
        lambda x, d_y: d_y * (factor + 2 * x),
        lambda x: factor * x + probe("s", x * x),
        {"x": (3, 4)},
    )
    assert (report.titles, report.kinds[0]) == (titles, kind)
