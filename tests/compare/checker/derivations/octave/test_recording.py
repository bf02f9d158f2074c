"""Plain assignments are recorded without a probe: three published programs, and each of their mistakes at its line.

The formulas are those of the authors, the code is not.
"""

import re
import shutil
from pathlib import Path

import pytest
from extras import needs_octave
from tiers import first

from compare.cells.check import check_file
from compare.checker.derivations.octave.recording import assignments

PROGRAMS = Path(__file__).parent / "programs"
pytestmark = [needs_octave, pytest.mark.slow]

#: By program: what is wrong, and the beginning of its line.
MISTAKES = {
    "no_bias": {
        "d_h": "d_h = d_y(t, 1) * p.readout' .* sigmoid_slope(s.h)",  # no carry; and no sigmoid made h
        "d_c": "d_c = d_h .* s.o .* tanh_slope(s.c)",  # no carry; and the slope takes tanh(c)
        **{f"d_{a}_{g}": f"d_{a}_{g} = " for g in "iof" for a in "UW"},  # slopes of the weights
        **{f"d_{a}_g": f"d_{a}_g = " for a in "UW"},
    },
    "scalar_bias": {
        "d_h": "d_h = d_y(t, 1) * p.readout'",
        "d_c": "d_c = d_h .* s.o .* tanh_slope(s.c)",
        **{f"d_b_{gate}": f"d_b_{gate} = d_z_{gate}" for gate in "iofg"},  # not summed: a row for one number
    },
    "lstm_class": {
        "d_h_prev": "d_h_prev = p.U_f' * (d_h .* s.f .* (1 - s.f)) + ...",  # four shares, each of h and not of its gate
        "d_c_prev": "d_c_prev = given .* before.f",  # its own share is left out, and the gate is of the step before
    },
}


def check(folder, fast=False):
    return check_file(folder, (folder / "reference.py", "reference"), fast=fast)


@pytest.mark.exhaustive
@pytest.mark.parametrize("program", first(1, MISTAKES))
def test_each_mistake_of_a_published_program_is_named_at_its_line(program):
    report = check(PROGRAMS / program, fast=True)
    assert report.outcome == "disagree" and report.titles == list(MISTAKES[program])
    lines = (PROGRAMS / program / "backward.m").read_text().splitlines()
    for fault in report.faults:
        assert Path(fault.file) == (PROGRAMS / program / "backward.m").absolute()
        assert fault.code == lines[fault.line - 1].strip() and fault.code.startswith(MISTAKES[program][fault.name])


def _mended(text, *changes):
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    return text


#: What makes the programs right.
CARRY = [
    (r"for t = ", "d_h_next = zeros(size(p.readout'));\nd_c_next = d_h_next;\nfor t = "),
    (r"(d_h = d_y\(t, 1\) \* p.readout');", r"\1 + d_h_next;"),
    (r"tanh_slope\(s.c\);", "tanh_slope(tanh(s.c)) + d_c_next;"),
    (r"\nend\nend\n", "\nd_c_next = d_c .* s.f;\nd_h_next = d_z_i * p.W_i' + d_z_f * p.W_f' + d_z_o * p.W_o' + ...\n"
     "    d_z_g * p.W_g';\nend\nend\n"),
]  # fmt: skip
MENDED = {
    "no_bias": [(r" \.\* \w+_slope\((p\.\w+|s\.h)\)", ""), *CARRY],
    "scalar_bias": [(r"(d_b_\w = )(d_z_\w)", r"\1sum(\2)"), *CARRY],
    "lstm_class": [
        (r"\(d_h \.\* s\.([fig]) .*?\)\)", r"d_z_\1"),
        (r"\(d_h .*?\)\)", "d_z_o"),
        (r"given \.\* before\.f", "d_c .* s.f"),
        (r"\[d_z_f, d_z_i, d_z_g, d_z_o\]", "[d_z_f, d_z_i, d_z_g, d_z_o, d_c]"),
    ],
}


@pytest.mark.parametrize("program", MENDED)
def test_the_program_without_its_mistakes_is_accepted(program, tmp_path):
    folder = shutil.copytree(PROGRAMS / program, tmp_path / program)
    text = (folder / "backward.m").read_text()
    (folder / "backward.m").write_text(_mended(text, *MENDED[program]))
    report = check(folder)
    assert report.agrees and len(report.as_run) >= 10, report


@pytest.mark.exhaustive
def test_a_name_that_means_something_else_is_left_alone(tmp_path):
    """Here ``d_i`` and its like are the gradients of pre-activations, in the reference those of the gates."""
    folder = shutil.copytree(PROGRAMS / "lstm", tmp_path / "lstm")
    for name in ("forward.m", "backward.m"):
        text = re.sub(r"probe\('\w+', t, (.*)\);", r"\1;", (folder / name).read_text())
        (folder / name).write_text(text.replace("(1 - tanh(s.c) .^ 2)", "(1 - s.c .^ 2)").replace("+ d_h_prev", ""))
    assert {"d_i", "d_f", "d_g", "d_o"} < set(assignments(folder, ["d_i", "d_f", "d_g", "d_o", "d_h", "d_c"]))
    report = check_file(folder, cell="lstm", fast=True)
    assert report.titles == ["(L8) d_h", "(L9) d_c"]


def test_only_what_is_computed_in_one_place_is_recorded(tmp_path):
    (tmp_path / "backward.m").write_text(
        """function d_x = backward(tape)
        a = 0; b = 1;
        for t = 1:2
            a = a + t;
            b = b * 2; b = b + 1;
            c = tape{t};
            e = probe('e', 2 * t);
        end
        d_x = a + b;
        end"""
    )
    (tmp_path / "forward.m").write_text("function c = forward(x)\\nc = 2 * x(1, 1:2);\\nf = x \\ 2;\\nend")
    found = assignments(tmp_path, ["a", "b", "c", "e", "d_x", "f", "t"])
    assert set(found) == {"a", "d_x", "c"}  # forward.m is not understood, so c is what backward.m calls so
    assert found["a"].in_loop and found["a"].file == tmp_path / "backward.m"
