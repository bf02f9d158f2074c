import re

import pytest

from compare.page import sources
from compare.page.sources import DERIVATION, ROOT, Line, formulas, lines


def test_every_numbered_formula_is_found_and_is_mathml():
    numbers = re.findall(r"\\tag\{(\w+)\}", DERIVATION.read_text())
    found = formulas()
    assert list(found) == numbers
    for formula in found.values():
        assert formula.mathml.startswith("<math")
        assert "\\" not in formula.mathml + formula.text, formula.number
        assert "$" not in formula.text


def test_a_formula_has_the_text_that_leads_to_it():
    found = formulas()
    assert "is used twice, by" in found["L9"].text
    assert "whose derivative is (A2)" in found["L10"].text
    assert "the cell before this step" in found["L11"].text
    assert found["L3"].text == ""  # a definition
    assert "<code>d_h_prev</code>" in found["L8"].text


def test_a_sentence_that_goes_on_from_the_formula_above_is_left_out():
    text = formulas()["L28"].text
    assert "replaces (L9)" not in text
    assert text.endswith("as well:</p>")


def test_markup_in_a_derivation_is_escaped(tmp_path):
    path = tmp_path / "DERIVATION.md"
    path.write_text("# A\n\nIf <b> is **bold** & `a < b`:\n\n```math\na < b \\tag{Q1}\n```\n")
    formula = formulas(path)["Q1"]
    assert formula.text == "<p>If &lt;b&gt; is <strong>bold</strong> &amp; <code>a &lt; b</code>:</p>"
    assert "<mo>&lt;</mo>" in formula.mathml or "&#x0003C;" in formula.mathml


def test_lines_carry_their_numbers_without_comments():
    found = lines(ROOT / "manual" / "lstm.py")
    (line,) = found["L11"]
    text = (ROOT / "manual" / "lstm.py").read_text().splitlines()[line.number - 1]
    assert line == Line("manual/lstm.py", line.number, text.partition("  #")[0].strip())
    assert line.code == 'd_z_f = probe("d_z_f", t, d_c * c_prev * f * (1 - f))'


def test_a_line_may_carry_several_numbers_and_a_number_several_lines():
    variants, gru = lines(ROOT / "manual" / "lstm_variants.py"), lines(ROOT / "manual" / "gru.py")
    assert variants["L24"] == variants["L2"]
    assert [line.code[:3] for line in gru["G1"]] == ["z_r", "z_z"]


@pytest.mark.parametrize(
    "text", ["# (L1) alone in a comment", '"""(L1) in a docstring."""', "z = f(L1)", "z = f  # L1"]
)
def test_a_number_elsewhere_is_no_line(text, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "lstm.py").write_text(f"{text}\nc = f * c  # (L6)\n")
    assert lines(tmp_path / "lstm.py") == {"L6": [Line("lstm.py", 2, "c = f * c")]}
