"""Somebody's own file against autograd, from the starters that ``new`` writes."""

import re

import pytest
from derived import FILLED, STARTERS, THREE_MISTAKES, write
from tiers import first_of_each

from compare.cells.check import check_file

pytestmark = pytest.mark.usefixtures("tried_until_found")


def found(report):
    """Number and gates of each fault."""
    return {(fault.name, fault.gate) for fault in report.faults}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.slow
def test_a_starter_filled_in_agrees(cell, tmp_path):
    report = check_file(write(tmp_path / "mine.py", cell))
    assert report.agrees
    assert max(one.errors.max() for one in report.as_run) < 1e-13


@pytest.mark.slow
def test_all_that_differs_is_listed_where_the_code_takes_no_arrays_but_its_own(tmp_path):
    own = 'own = d_output[t] + d_h_prev\n        d_h = probe("d_h", t, own)\n        assert d_h is own'
    edits = ('d_h = probe("d_h", t, d_output[t] + d_h_prev)', own), ("d_f * f * (1 - f)", "d_f")
    report = check_file(write(tmp_path / "mine.py", "lstm", *edits))
    assert {"(L8) d_h", "(L11) d_z_f", "(L17) weight_ih"} <= {*report.titles}


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_starter_is_short_and_says_what_is_missing(cell):
    assert len((STARTERS / f"{cell}.py").read_text().splitlines()) < 80
    report = check_file(STARTERS / f"{cell}.py")
    assert (report.outcome, len(report.progress.open)) == ("open", len(FILLED[cell]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("guard, also", [("1e-12", set()), ("1e-10", {"i", "f", "o"})])
def test_a_guard_against_nothing_in_forward_hides_no_wrong_adjoint(guard, also, tmp_path):
    edits = ("np.exp(-z)", f"np.exp(-(z + {guard}))"), ("d_g * (1 - g * g)", "d_g * (1 - g * g) + 0.2")
    assert {name for name, _ in found(check_file(write(tmp_path / "mine.py", "lstm", *edits)))} == {"d_z_g"} | also


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_adjoints_of_the_gates_need_no_probes(cell, tmp_path):
    path = write(tmp_path / "mine.py", cell)
    path.write_text(re.sub(r'probe\("d_[ifgozrn]", t, ', "(", path.read_text()))
    report = check_file(path)
    assert report.agrees
    path.write_text(path.read_text().replace("* (1 - g * g)" if cell == "lstm" else "* (1 - n * n)", ""))
    assert check_file(path).titles == ["(L12) d_z_g" if cell == "lstm" else "(G10) d_z_n"]


GATES = [
    ("lstm", "d_c * g)", "(L10) d_i"),
    ("lstm", "d_c * c_prev)", "(L11) d_f"),
    ("lstm", "d_c * i)", "(L12) d_g"),
    ("lstm", "d_h * np.tanh(c))", "(L13) d_o"),
    ("gru", "d_h * (h_prev - n))", "(G9) d_z"),
    ("gru", "d_h * (1 - z))", "(G10) d_n"),
    ("gru", "d_z_n * q)", "(G12) d_r"),
]


@pytest.mark.slow
@pytest.mark.parametrize("cell, equation, title", first_of_each(lambda gate: gate[0], GATES))
def test_the_adjoint_of_a_gate_is_named_with_its_equation(cell, equation, title, tmp_path):
    path = write(tmp_path / "mine.py", cell, (equation, f"-{equation}"))
    (fault,) = check_file(path).faults
    assert fault.title == title
    assert fault.formula


#: A layout in which the gates come in another order.
REORDERED = ('"gates": "i f g o"', '"gates": "o g f i"')


@pytest.mark.slow
def test_three_independent_mistakes_are_named_and_nothing_else(tmp_path):
    report = check_file(write(tmp_path / "mine.py", "lstm", REORDERED, *THREE_MISTAKES))
    assert report.titles == ["(L9) d_c", "(L11) d_z_f", "(L17) weight_ih"]
    assert found(report) == {("d_c", ""), ("d_z_f", "f"), *((f"weight_ih_{gate}", gate) for gate in "ifgo")}
    by_name = {fault.name: fault for fault in report.faults}
    assert (by_name["d_z_f"].steps, by_name["d_z_f"].rows) == ((0, 1, 2, 3, 4, 5), (0, 1, 2))
    gradients = [one for one in report.as_run if one.kind == "gradient"]  # as the code runs, nearly all is spoilt
    assert len(gradients) == 12
    assert all((one.errors > 1e-3).all() for one in gradients)


def without_probes(path):
    path.write_text(re.sub(r'probe\("\w+", t, ', "(", path.read_text()))
    return check_file(path)


@pytest.mark.slow
def test_without_probes_a_fault_in_the_last_sum_is_its_own(tmp_path):
    path = write(tmp_path / "mine.py", "lstm", ("+= x.T @ d_z[gate]", "= x.T @ d_z[gate]"))
    assert without_probes(path).titles == ["(L17) weight_ih"]


REFERENCE = STARTERS / "derivation_reference.py", "reference"


def test_the_starter_with_a_reference_filled_in_agrees(tmp_path):
    report = check_file(write(tmp_path / "mine.py", "derivation"), REFERENCE)
    assert report.agrees, report
    assert len(report.as_run) == 11
    assert max(one.errors.max() for one in report.as_run) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, name",
    [
        (" + d_s_carried", "", "d_s"),
        ("s_prev - x", "s_prev", "d_a"),
        ("d_s * (1 - a)", "d_s", "d_x"),
        ("d_y[t].sum(axis=0)", "d_y[t].sum(axis=1)[:2]", "bias"),
        ("d_a * a * (1 - a)", "d_a * a", "rate"),
    ],
)
def test_a_mistake_in_it_is_named(old, new, name, tmp_path):
    report = check_file(write(tmp_path / "mine.py", "derivation", (old, new)), REFERENCE)
    assert [fault.name for fault in report.faults] == [name], report


@pytest.mark.parametrize(
    "change, message",
    [
        (('CELL = "lstm"', 'CELL = "lstn"'), "CELL: expected one of lstm, gru, rnn in .*, got 'lstn'"),
        (('CELL = "lstm"', ""), "CELL: expected one of .*, got None; anything else needs --reference FILE:NAME"),
        (('"gates": "i f g o"', '"gates": "i f g"'), "gates: expected 'i f g o' in any order, got 'i f g'"),
        (('"biases": 1', '"biases": 3'), "biases: expected one of 0, 1, 2, 'scalar', 'stacked', 'candidate', got 3"),
        (('"joined": ""', '"joint": ""'), "LAYOUT: expected keys gates, .*; got 'joint'; did you mean 'joined'"),
        (('probe("d_z_f"', 'probe("dzf"'), "probe: expected one of h_prev, .*; got 'dzf'; did you mean 'd_z_f'"),
        (
            ("d_c_prev, gradients\n", "gradients\n"),
            "backward: expected d_x, d_h_0, d_c_0 and the gradients, got 3 values",
        ),
        (("h, c, tape\n", "h, tape\n"), "forward: expected output, h_n, c_n and what backward needs, got 3 values"),
        (
            ("d_c_prev, gradients\n", "d_c_prev, d_c\n"),
            "backward: expected a dict of gradients at the end, got ndarray",
        ),
        (('gradients[f"bias_{gate}"] +=', 'gradients[f"b_{gate}"] ='), "gradients: expected .*bias_i.*; got .*b_i"),
        (("def forward(", "def forwards("), "expected a function forward, got none"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_compared_is_named(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check_file(write(tmp_path / "mine.py", "lstm", change))


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, name, problem",
    [
        (
            "return np.stack(output), h, c,",
            "return np.stack(output), h, p,",
            "c_n",
            "dtype object, expected real numbers",
        ),
        ("return d_x, d_h_prev", "return d_x[:2], d_h_prev", "d_x", "shape (2, 3, 4), expected (6, 3, 4)"),
        ("d_g * (1", "d_g * np.nan * (1", "d_z_g", "not finite"),
    ],
)
def test_what_is_no_array_of_numbers_of_its_shape_is_a_finding_and_all_else_is_checked(
    old, new, name, problem, tmp_path
):
    report = check_file(write(tmp_path / "mine.py", "lstm", (old, new)))
    assert not report.agrees and len(report.as_run) == 42
    assert [(fault.name, fault.problem) for fault in report.faults] == [(name, problem)]
    assert report.faults[0].code in ("", '"g": probe("d_z_g", t, d_g * np.nan * (1 - g * g)),')
