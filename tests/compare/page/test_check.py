"""``check.html``: what is wrong, what is only a consequence, and the user's own line, in a browser."""

import re
from pathlib import Path

import pytest
from derived import THREE_MISTAKES, write

from compare.cells.check import check_file
from compare.checker.report.quantities import displayed
from compare.cli import main
from compare.page import check

ZOO = Path(__file__).parent.parent / "checker" / "zoo" / "files"


def page_of(folder: Path, file: Path, reference=None) -> Path:
    report = check_file(file, reference)
    check.write(file.name, report.as_json(), displayed(report), folder / "check.html")
    return folder / "check.html"


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    return page_of(folder, write(folder / "my_lstm.py", "lstm", *THREE_MISTAKES))


@pytest.fixture(scope="module")
def squeeze(tmp_path_factory):
    """A derivation with a reference of its own, and two mistakes."""
    folder = tmp_path_factory.mktemp("squeeze")
    source = (ZOO / "squeeze_excitation.py").read_text()
    file = folder / "gate.py"
    file.write_text(source.replace("(d_y * x).sum(axis=2)", "(d_y * x).mean(axis=2)").replace("h.T @ d_z", "h.T @ d_s"))
    return page_of(folder, file, (file, "reference"))


@pytest.fixture
def one_fault(tmp_path):
    """A report, what it is as JSON, and the fault in that."""
    report = check_file(write(tmp_path / "mine.py", "rnn", ("d_h * (1 - h * h)", "d_h * (1 - h)")))
    return report, (found := report.as_json()), found["faults"]


def names(page, judgement):
    return page.locator(f".named[data-judgement='{judgement}'] text").all_text_contents()


@pytest.mark.slow
def test_the_switch_shows_exactly_the_three_faults_and_the_broken_arrows(three, open_page):
    page = open_page(three)
    assert sorted(names(page, "wrong")) == ["d_c", "d_z_f", "weight_ih"]
    assert names(page, "consequence") == []
    page.click("button[data-mode='as_run']")
    assert sorted(names(page, "wrong")) == ["d_c", "d_z_f", "weight_ih"]
    assert {"d_i", "d_x", "weight_hh", "bias"} <= {*names(page, "consequence")}
    assert {"z_i", "i", "c", "h"} <= {*names(page, "right")}
    page.click("button[data-mode='fed_back']")
    wrong = page.locator(".row[data-judgement='wrong']").evaluate_all("all => all.map((a) => a.id)")
    assert wrong == ["L9", "L11", "L17"]
    assert page.locator(".row[data-judgement='consequence']").count() == 0
    page.click("button[data-mode='as_run']")
    assert "d_x" in names(page, "consequence")
    page.click("button[data-mode='fed_back']")
    broken = page.locator(".edge[data-judgement='wrong']").evaluate_all("all => all.map((a) => a.dataset.edge)")
    assert sorted(broken) == ["c h", "f c"]


@pytest.mark.slow
def test_an_address_opens_a_fault_with_its_equation_and_line(three, open_page):
    page = open_page(three, "#L11")
    row = page.locator(".row.selected")
    assert row.get_attribute("id") == "L11"
    text = row.inner_text()
    for words in (
        'probe("d_z_f", t, d_f)',
        "my_lstm.py:62",
        "d_c ∘ c_prev ∘ f (1 - f)",
        "expected 0.0818274 at step 3, row 2, unit 1",
    ):
        assert words in text, words
    assert row.locator(".faulty code").all_inner_texts() == ['"f": probe("d_z_f", t, d_f),']
    assert row.locator("math").count() >= 1
    assert row.locator("figcaption", has_text="difference").count() >= 1


def relative_error(text):
    return float(re.search(r"relative error\D*([\d.e+-]+)", text)[1])


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False])
def test_it_opens_on_the_run_that_its_text_is_of_and_can_be_read_without_a_script(three, open_page, scripts):
    page = open_page(three, scripts=scripts)
    for number in ("L9", "L11", "L17"):
        row = page.locator(f"#{number}")
        said, measured = (relative_error(row.locator(part).first.inner_text()) for part in (".fault", ".error"))
        assert said == pytest.approx(measured, rel=0.06)
        assert "with the reference fed back" in row.locator(".error").inner_text()
    assert page.locator(".fault").count() == 3
    assert 'probe("d_z_f", t, d_f)' in page.locator("#L11").inner_text()


@pytest.mark.slow
def test_lines_that_could_be_changed_as_well_stand_below(one_fault, tmp_path):
    report, found, (fault,) = one_fault
    change = {"label": "line 9", "code": "d_a = d_h", "repair": "d_a = 2 * d_h", "line": 9, "hint": "a factor of 2"}
    other = change | {"code": "return d_a", "repair": "return 2 * d_a", "line": 10}
    found["faults"] = [fault | change | {"alternatives": [fault | other | {"alternatives": []}]}]
    check.write("mine.py", found, displayed(report), tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert page.index("line 9: a factor of 2") < page.index("d_a = d_h") < page.index("or line 10: a factor of 2")
    assert "mine.py:10" in page and 'data-copy="return 2 * d_a"' in page


@pytest.mark.slow
def test_the_line_stands_beside_the_right_one_which_a_button_copies(one_fault, open_page, tmp_path):
    report, found, (fault,) = one_fault
    fault["repair"] = fault["code"].replace("(1 - h)", "(1 - h * h)")
    check.write("mine.py", found, displayed(report), tmp_path / "check.html")
    page = open_page(tmp_path / "check.html")
    left, right = page.locator(".sides figure").all()
    assert left.locator("code").inner_text() == fault["code"]
    assert right.locator("code").inner_text() == fault["repair"]
    assert left.bounding_box()["x"] < right.bounding_box()["x"]
    assert right.locator("mark").all_inner_texts() == [" * h"]
    assert left.locator("mark").count() == 0
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == fault["repair"]


@pytest.mark.slow
def test_next_and_previous_mistake_by_button_and_key_and_the_address_has_what_is_chosen(three, open_page):
    page = open_page(three)

    def selected():
        return page.locator(".row.selected").get_attribute("id")

    found = [selected()]
    for key in "nnnp":
        page.keyboard.press(key)
        page.wait_for_function("(before) => document.querySelector('.row.selected').id !== before", arg=found[-1])
        found.append(selected())
    assert found == ["L9", "L11", "L17", "L9", "L17"]
    page.get_by_role("button", name="previous mistake").click()
    page.wait_for_selector("#L11.selected")
    page.click("button[data-mode='as_run']")
    page.click("button[data-step='2']")
    page.click("button[data-row='1']")
    again = open_page(three, page.evaluate("location.search + location.hash"))
    assert again.locator(".row.selected").get_attribute("id") == "L11"
    pressed = "button[aria-pressed='true']"
    assert again.locator(pressed).all_inner_texts() == page.locator(pressed).all_inner_texts()
    assert again.locator("#L11 .numbers").inner_text() == page.locator("#L11 .numbers").inner_text()


NAMES = ["nul\0", "cr\r", "__proto__", "constructor", "$\\frac{$", "half\ud800", "\x1b[31m", "a b"]


@pytest.mark.slow
def test_whatever_a_name_holds_there_is_a_verdict_and_a_page(tmp_path, monkeypatch, capsys, open_page):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        f"""
import numpy as np

NAMES = {NAMES!r}
INPUTS = {{"x": (3, 4)}}
PARAMETERS = {{name: (4,) for name in NAMES}}


def forward(p, x):
    return x * sum(p.values()), x


def backward(p, x, d_y):
    return d_y * sum(p.values()), {{name: (d_y * x).mean(axis=0) for name in p}}


def reference(p, x):
    return x * sum(p.values())
"""
    )
    assert main(["check", "mine.py", "--reference", "mine.py:reference", "--out", "out"]) == 1
    assert "DISAGREE" in capsys.readouterr().out
    page = open_page(Path("out/check.html"))
    shown = page.locator(".named title").all_text_contents()
    assert {"nul\\x00", "cr\\r", "__proto__", "constructor", "$\\frac{$", "half\\ud800", "\\x1b[31m"} <= {*shown}
    page.click("button[data-mode='as_run']")
    assert page.locator(".row:not([data-judgement='right'])").count() == len(NAMES)


@pytest.mark.slow
def test_value_reference_and_difference_are_those_of_the_report(three, open_page, tmp_path):
    report = check_file(write(tmp_path / "my_lstm.py", "lstm", *THREE_MISTAKES))
    page = open_page(three, "#L11")
    for mode, run in (("as_run", report.as_run), ("fed_back", report.fed_back)):
        page.click(f"button[data-mode='{mode}']")
        (one,) = (one for one in run if one.label == "d_z_f")
        for step, row in ((0, 0), (4, 2)):
            page.click(f"button[data-step='{step}']")
            page.click(f"button[data-row='{row}']")
            for part, values in (
                ("actual", one.actual[step][row]),
                ("right", one.right[step][row]),
                ("difference", one.actual[step][row] - one.right[step][row]),
            ):
                shown = page.locator(f"#L11 td[data-numbers='d_z_f'][data-part='{part}']").all_inner_texts()
                assert shown == [f"{float(f'{v:.2g}' if part == 'difference' else f'{v:.5g}'):.5g}" for v in values]


@pytest.mark.slow
def test_of_any_other_derivation_the_nodes_are_the_probes_in_their_order(squeeze, open_page):
    page = open_page(squeeze)
    nodes = page.locator(".node").evaluate_all("all => all.map((a) => a.dataset.node)")
    assert nodes[:3] == ["mean", "h", "s"]
    assert sorted(names(page, "wrong")) == ["d_s", "up"]
    assert names(page, "consequence") == []
    page.click("button[data-mode='as_run']")
    assert sorted(names(page, "wrong")) == ["d_s", "up"]
    assert "d_mean" in names(page, "consequence")
    page.click(".named[data-label='d_s']")
    page.wait_for_selector("#d_s.selected")
    assert page.locator(".row.selected").get_attribute("id") == "d_s"
    assert "(d_y * x).mean(axis=2)" in page.locator(".row.selected").inner_text()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["three", "squeeze"])
def test_nothing_overlaps(which, width, open_page, overlapping, request):
    page = open_page(request.getfixturevalue(which), width=width)
    assert overlapping(page, ".page-header, .row, .controls, .diagram, .key, .judgements, .page-footer") == []
    assert overlapping(page, ".row > *, .strip-figure, .numbers, .fault > *") == []
    assert overlapping(page, ".node, .named text, .named [data-cell]") == []
    assert megabytes(request.getfixturevalue(which)) < 1


def megabytes(file: Path) -> float:
    return file.stat().st_size / 1e6


@pytest.mark.slow
@pytest.mark.parametrize("which", ["three", "squeeze"])
def test_no_rule_of_accessibility_is_broken(which, request, broken_rules):
    assert broken_rules(request.getfixturevalue(which)) == []


@pytest.mark.slow
def test_a_long_name_does_not_widen_the_page(tmp_path, open_page, overlapping):
    file = write(tmp_path / f"{'long' * 20}.py", "rnn", ("d_h * (1 - h * h)", "d_h"))
    assert overlapping(open_page(page_of(tmp_path, file), width=390), ".page-header, .row, .diagram") == []


@pytest.mark.slow
def test_a_derivation_called_script_stays_text(tmp_path, open_page):
    name = "<script>alert(1)<"  # no slash in a file's name
    file = tmp_path / f"{name}.py"
    write(file, "rnn", ("d_h * (1 - h * h))", 'd_h * len("<script>alert(2)</script>"))'))
    page = open_page(page_of(tmp_path, file))
    assert page.title() == f"{name}.py: disagree"
    assert page.locator("h1").inner_text() == f"{name}.py disagrees"
    assert '"<script>alert(2)</script>"' in page.locator("#R4 .faulty").inner_text()
    assert page.locator("script").count() == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, words",
    [
        (("d_h * (1 - h * h)", "d_h * np.nan"), "not finite"),
        (("d_h * (1 - h * h)", "(d_h * (1 - h * h))[:2]"), "shape (2, 5), expected (3, 5)"),
        (("d_h_prev = d_h_n", "d_h_prev = d_h_n.copy(); p['bias'][...] = 0"), "changed"),
    ],
)
def test_whatever_is_wrong_there_is_a_page(change, words, tmp_path, open_page):
    page = open_page(page_of(tmp_path, write(tmp_path / "mine.py", "rnn", change)))
    assert words in page.locator("body").inner_text()


@pytest.mark.slow
def test_of_a_right_derivation_everything_is_right(tmp_path, open_page):
    page = open_page(page_of(tmp_path, write(tmp_path / "mine.py", "gru")))
    assert page.locator("h1").inner_text() == "mine.py agrees"
    assert page.locator(".row:not([data-judgement='right'])").count() == 0
    assert names(page, "wrong") == names(page, "consequence") == []


@pytest.mark.slow
def test_of_large_arrays_and_many_steps_the_beginning_is_shown(tmp_path, open_page):
    source = (ZOO / "squeeze_excitation.py").read_text()
    file = tmp_path / "large.py"
    file.write_text(
        source.replace('"x": (3, 4, 7)', '"x": (70, 200, 9)')
        .replace("(4, 2)", "(200, 90)")
        .replace("(2, 4)", "(90, 200)")
        .replace("(d_y * x).sum(axis=2)", "(d_y * x).mean(axis=2)")
    )
    page = open_page(page_of(tmp_path, file, (file, "reference")))
    assert megabytes(tmp_path / "check.html") < 1
    assert "the beginning" in page.locator("#mean figcaption").first.inner_text()
    page.click("button[data-row='3']")
    page.click(".named[data-label='d_s']")
    page.wait_for_selector("#d_s.selected")
    assert page.locator("#d_s td[data-part='difference']").count() > 2


@pytest.mark.slow
def test_a_fault_after_the_steps_shown_opens_at_the_last_of_them(tmp_path, open_page):
    change = ("d_h_prev = d_h_n", "d_h_prev = d_h_n * (len(tape) < 64)")
    page = open_page(page_of(tmp_path, write(tmp_path / "mine.py", "rnn", change)))
    assert page.locator("button[data-step][aria-pressed='true']").inner_text() == "63"
    assert page.locator(".row[data-judgement='wrong']").count() >= 1
    assert megabytes(tmp_path / "check.html") < 1
