"""What is compared, what a finding says of it, and what may be handed in and returned."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from functions import function_of
from zoo import memory
from zoo.memory import B, H, Memory, T, check_memory, names

from compare import check_backward, check_function, probe
from compare.checker.compare import Compared

pytestmark = pytest.mark.usefixtures("tried_until_found")


def test_steps_and_rows_of_a_fault_are_named():
    report = check_memory(("d_c * c_prev)", "d_c * c_prev * ((t != 2) | (np.arange(B) != 1)[:, None]))"))
    (fault,) = report.faults
    assert (fault.name, fault.steps, fault.rows) == ("d_f", (2,), (1,))


def test_everything_is_compared_with_its_kind_its_steps_and_its_rows():
    steps = tuple(range(T))
    found = {one.label: (one.kind, one.gate, one.steps, one.rows_axis) for one in check_memory().as_run}
    shown = {name: ("value", "", steps, 0) for name in ("f", "c", "h")}
    adjoints = {name: ("adjoint", "", steps, 0) for name in ("d_h", "d_c", "d_f")}
    gradients = {name: ("gradient", "", (), None) for name in "WVU"}
    inputs = {"d_x": ("d_input", "", steps, 0), "d_c_0": ("d_input", "", (), 0)}
    assert found == shown | adjoints | {"output": ("output", "", steps, 0)} | inputs | gradients


def test_a_probe_that_is_left_out_at_one_step_is_missing_there():
    report = check_memory(
        ('d_f = probe("d_f", d_c * c_prev)', 'd_f = d_c * c_prev\n        t != 2 and probe("d_f", d_f, t=t)')
    )
    missing = {one.name: one.missing for one in report.as_run if one.recorded}
    assert missing == {"f": (), "c": (), "h": (), "d_h": (), "d_c": (), "d_f": (2,)}


def test_without_axes_no_steps_and_rows_are_made_up():
    report = check_backward(lambda x: (np.sin(x), x), lambda x, d_y: d_y * np.sin(x), torch.sin, {"x": (T, B, H)})
    (fault,) = report.faults
    assert (fault.name, fault.steps, fault.rows) == ("d_x", (), ())
    assert "step" not in fault.where and "row" not in fault.where


def test_an_input_without_rows_gets_none_where_its_size_is_by_chance_that_of_the_batch():
    def report(*rows):
        return check_backward(
            lambda x, W: (x @ W, (x, W)),
            lambda tape, d_y: (2 * d_y @ tape[1].T, 2 * tape[0].T @ d_y),
            lambda x, W: x @ W,
            [{"x": (B, 3), "W": (3, 2)} for B in rows],
            axes="B",
        )

    assert [fault.rows for fault in report(3, 5).faults] == [(0, 1, 2), ()]
    assert [fault.rows for fault in report(3).faults] == [(0, 1, 2), (0, 1, 2)]


@pytest.mark.slow
def test_a_transposed_gradient_is_a_finding_and_all_else_is_still_checked():
    report = check_memory(
        ('grads["W"] += x.T @ d_c', 'grads["W"] = grads["W"].reshape(H, D) + d_c.T @ x'), ("d_c * c_prev)", "d_c)")
    )
    assert {*names(report)} == {"W", "d_f"}
    (fault,) = (fault for fault in report.faults if fault.name == "W")
    assert fault.problem == "shape (4, 2), expected (2, 4)"


@pytest.mark.slow
def test_an_intermediate_of_a_wrong_shape_is_a_finding():
    report = check_memory(('probe("d_f", d_c * c_prev)', 'probe("d_f", (d_c * c_prev)[:, :1])'))
    assert names(report) == ["d_f"]
    assert report.faults[0].problem == "shape (3, 1), expected (3, 4)"


@pytest.mark.slow
@pytest.mark.parametrize("value", ["np.nan", "np.inf"])
def test_a_number_that_is_not_finite_is_a_finding(value):
    report = check_memory(("d_c * c_prev)", f"d_c * c_prev * np.where(c_prev > 0, 1, {value}))"))
    assert names(report) == ["d_f"]


def test_a_reference_that_is_not_finite_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"reference: output: expected finite numbers, got (nan|-inf)"):
        check_backward(
            lambda x: (np.log(x), x), lambda x, d_y: d_y / x, torch.log, {"x": lambda rng: -np.abs(rng.normal(size=H))}
        )


# What may be returned and handed in.


def test_a_list_in_the_place_of_a_tuple_is_accepted():
    report = check_memory(
        ("return np.stack(hs), tape", "return [np.stack(hs), tape]"),
        ("np.stack(d_x[::-1]), d_c, grads", "[np.stack(d_x[::-1]), d_c, grads]"),
    )
    assert report.agrees, str(report)


def test_none_stands_for_a_gradient_that_was_not_derived():
    report = check_memory(("np.stack(d_x[::-1]), d_c, grads", 'None, d_c, grads | {"U": None}'))
    assert report.agrees
    assert report.left_out == ("d_x", "U")
    assert "d_x, U" in str(report)


@pytest.mark.slow
def test_a_gradient_that_is_missing_without_none_is_a_finding():
    report = check_memory(("d_c, grads", 'd_c, {name: grads[name] for name in "WV"}'))
    assert names(report) == ["U"]
    assert report.faults[0].problem == "missing"
    (missing,) = [one.difference() for one in report.as_run if one.problem == "missing"]
    assert (missing.name, missing.error, missing.tolerance, missing.index) == ("U", np.inf, 0, ())
    assert [one.kind for one in report.as_run if one.problem] == ["gradient"]


@pytest.mark.parametrize("returned", ["todo", [[1.0], [2.0, 3.0]], np.ones((4, 3), complex)])
def test_a_gradient_that_is_no_array_of_real_numbers_is_a_finding(returned):
    report = check_backward(
        lambda x: (x * x, x),
        lambda x, d: (returned,),
        lambda x: x * x,
        {"x": np.random.default_rng(0).normal(size=(4, 3))},
    )
    (fault,) = report.faults
    assert fault.name == "d_x"
    assert fault.problem.startswith("dtype ")
    json.dumps(report.as_json(), allow_nan=False)


def test_a_wrong_mask_is_a_finding():
    report = check_backward(
        lambda x: (x * probe("m", x < 0), x),
        lambda x, d: d * (x > 0),
        lambda x: x * probe("m", x > 0),
        {"x": (4, 3)},
    )
    assert names(report) == ["m"]


def test_whole_numbers_shown_in_the_place_of_others_are_the_only_finding():
    """What is fed back keeps its fractions."""
    report = check_backward(
        lambda x: (probe("y", (3 * x).astype(int)) ** 2, x),
        lambda x, d: 18 * x * d,
        lambda x: probe("y", 3 * x) ** 2,
        {"x": (4, 3)},
    )
    assert names(report) == ["y"]


def test_an_argument_s_gradient_is_told_from_the_probes_of_the_same_name():
    def forward(y, W):
        tape = [y]
        for _ in range(3):
            tape.append(probe("y", np.tanh(tape[-1] @ W)))
        return tape[-1], (tape, W)

    def backward(turned, sign):
        def run(given, d_y):
            (*tape, y), W = given
            d_W = 0
            for y_prev in reversed(tape):
                d_z = probe("d_y", d_y) * (1 - y * y)
                d_W, d_y, y = d_W + y_prev.T @ d_z, d_z @ (W if turned else W.T), y_prev
            return sign * d_y, d_W

        return run

    def reference(y, W):
        for _ in range(3):
            y = probe("y", torch.tanh(y @ W))
        return y

    def check(turned, sign):
        return check_backward(forward, backward(turned, sign), reference, {"y": (2, 3), "W": (3, 3)})

    assert check(False, 1).agrees
    assert check(False, -1).titles == ["d_y (returned)"]
    both = check(True, 1)
    assert [(fault.label, fault.code[:5]) for fault in both.faults] == [("d_y", "d_z ="), ("d_y (returned)", "")]
    assert {"d_y", "d_y (returned)"} <= both.as_json()["fed_back"].keys()


def test_names_with_different_numbers_of_steps_stand_next_to_each_other():
    def forward(x):
        total = probe("total", np.float64(x.sum()))
        for x_t in x:
            total = probe("s", total + np.sin(x_t).sum())
        return probe("y", total * total), (x, total)

    def backward(tape, d_y):
        x, total = tape
        d_total = 2 * total * probe("d_y", d_y)
        for _ in x:
            d_total = probe("d_s", d_total)
        d_first = probe("d_total", d_total)
        return d_first + d_total * np.sin(x)

    def reference(x):
        total = probe("total", x.sum())
        for x_t in x:
            total = probe("s", total + torch.sin(x_t).sum())
        return probe("y", total * total)

    report = check_backward(forward, backward, reference, {"x": (T, H)}, axes="T")
    assert names(report) == ["d_x"]
    steps = {one.name: one.steps for one in report.as_run}
    assert (steps["s"], steps["d_s"], steps["y"], steps["d_total"]) == (tuple(range(T)), tuple(range(T)), (), ())


# Where.


def test_the_worst_element_is_placed_by_step_row_and_unit():
    right, actual = [np.ones((3, 4))] * 2, [np.ones((3, 4)), np.ones((3, 4))]
    actual[1][2, 1] = 6
    limits = np.full(2, 1e-12)
    one = Compared("a", "", "value", (4, 5), actual, right, "", 0, np.array([0, 5.0]), limits, np.ones(2), (*limits,))
    assert one.where() == "step 5, row 2, unit 1"
    assert replace(one, rows_axis=None).where() == "step 5, [2, 1]"
    vector = replace(one, steps=(), actual=[actual[1][2]], right=[right[1][2]], errors=np.array([5.0]), rows_axis=None)
    assert vector.where() == "[1]"


def test_an_element_is_wrong_if_it_exceeds_its_own_limit():
    right, actual, allowed = [np.zeros(4)], [np.array([0.0, 2.0, 2.5, -2.5])], np.array([0.0, 2.0, 3.0, 2.0])
    one = Compared("a", "", "value", (), actual, right, "", None, np.ones(1), np.ones(1), np.ones(1), (allowed,))
    (wrong,) = one.wrong()
    assert wrong.tolist() == [False, False, False, True]
    assert one.difference().index == (3,)
    (wrong,) = replace(one, right=[np.zeros(3)]).wrong()
    assert wrong.tolist() == [True] * 4


def test_the_worst_element_has_the_problem_with_it():
    right, actual = [np.ones((3, 2))], [np.ones((3, 2))]
    actual[0][1, 1] = np.nan
    one = np.ones(1)
    one = Compared("a", "", "value", (), actual, right, "not finite", None, np.inf * one, one, one, (one,))
    worst = one.difference()
    assert (worst.index, worst.error, worst.problem) == ((1, 1), np.inf, "not finite")


@pytest.mark.slow
def test_a_fault_has_the_file_the_line_and_the_code_that_showed_it():
    report = check_memory(("d_c * c_prev)", "d_c * h_prev)"))
    (fault,) = report.faults
    source, first = inspect.getsourcelines(Memory.backward)
    line = first + next(n for n, text in enumerate(source) if '"d_f"' in text)
    assert (fault.file, fault.line) == (memory.__file__, line)
    assert fault.code == 'd_f = probe("d_f", d_c * c_prev)'  # the file as it is on disk
    assert f"{memory.__file__}:{line}: {fault.code}" in str(report)
    assert report.as_json()["faults"][0]["line"] == line


def test_a_fault_of_a_torch_function_has_its_line():
    def cubed(x):
        return probe("y", x * x) * x

    def backward(x, d_z):
        d_y = probe("d_y", d_z)
        return d_z * x * x + d_y * 2 * x

    report = check_function(function_of(cubed, backward), cubed, lambda rng: torch.tensor(rng.normal(size=(B, H))))
    (fault,) = report.faults
    assert fault.name == "d_y"
    assert fault.code == 'd_y = probe("d_y", d_z)'
    assert fault.file == __file__
