import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from runs_on_pages import SERIES, drag, lengthened, rows, shown_values

from compare.lockstep import run_folder
from compare.lockstep.lockstep import GROUPS
from compare.lockstep.training import CorrectSums
from compare.page import run as page
from compare.page.axis import duration
from compare.published.recipes import RECIPES


@pytest.mark.slow
def test_headings_sort_the_tensors(run, written, open_page):
    folder = written(run)
    tensors = json.loads((folder / "summary.json").read_text())["tensors"]
    tab = open_page(folder / "run.html")
    table = tab.locator("table.sortable")

    def column(number: int) -> list[str]:
        return table.locator(f"tbody tr > :nth-child({number})").all_inner_texts()

    worst_first = [f"{one['error']:.1e}" for one in sorted(tensors, key=lambda one: -one["of_tolerance"])]
    assert column(3) == worst_first
    assert table.get_by_role("columnheader", name="of tolerance").get_attribute("aria-sort") == "descending"

    table.get_by_role("button", name="tensor").click()
    assert column(2) == sorted(one["tensor"] for one in tensors)
    assert table.locator("[aria-sort]").all_inner_texts() == ["tensor"]

    steps = table.get_by_role("button", name="step")
    steps.focus()
    steps.press("Enter")
    assert [int(step) for step in column(6)] == sorted((one["step"] for one in tensors), reverse=True)
    steps.press("Enter")
    assert [int(step) for step in column(6)] == sorted(one["step"] for one in tensors)
    assert table.get_by_role("columnheader", name="step").get_attribute("aria-sort") == "ascending"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps(run, written, open_page, overlapping, width):
    tab = open_page(written(lengthened(run, 1000)) / "run.html", width=width)
    texts = "h1, h2, p:not(.aside), figcaption, .plot svg, .plot dl, .frame span, .controls > *, caption, .columns > *"
    drag(tab, 0.3, 0.4)
    assert overlapping(tab, texts) == ["svg / tolerance 1e-12"]  # which lies in the plot


@pytest.mark.slow
def test_no_rule_of_accessibility_is_broken(run, written, broken_rules):
    assert broken_rules(written(lengthened(run, 40)) / "run.html") == []


@pytest.mark.slow
def test_without_scripts_the_page_is_a_document(run, written, open_page):
    folder = written(lengthened(run, 40))
    tab, table = open_page(folder / "run.html", scripts=False), rows(folder)
    assert tab.locator(".finding").inner_text().startswith("AGREE: 4")
    assert shown_values(tab) == {name: f"{float(table[-1][name]):g}" for name in SERIES}
    assert all(tab.locator(f".zoomed .{name}").get_attribute("d").startswith("M") for name in SERIES)
    assert tab.locator("table.sortable tbody tr").count() == 26
    assert not tab.locator("#step").is_visible() and not tab.locator(".plot .cursor").first.is_visible()
    first = tab.locator(".plot").first
    assert first.locator(".x-axis span").all_inner_texts() == ["0", "10", "20", "30", "40"]
    assert len(first.locator(".y-axis span").all_inner_texts()) > 1


@pytest.mark.slow
def test_sums_examples_versions_and_arguments_are_those_of_the_run(run, written, open_page):
    folder = written(replace(run, correct_sums=[CorrectSums(5, 256, 0.75, 0.5), CorrectSums(1024, 9, 1.0, 1 / 3)]))
    summary = json.loads((folder / "summary.json").read_text())
    tab = open_page(folder / "run.html")

    counted = tab.locator("table", has=tab.locator("caption", has_text="every bit correct")).locator("tbody tr")
    assert [row.locator("th, td").all_inner_texts() for row in counted.all()] == [
        ["5", "256", "75.00%", "50.00%"],
        ["1,024", "9", "100.00%", "33.33%"],
    ]
    pairs = dict(zip(tab.locator(".pairs dt").all_inner_texts(), tab.locator(".pairs dd").all_inner_texts()))
    assert {name: pairs[name] for name in summary["versions"]} == summary["versions"]
    assert pairs["manual"] == duration(summary["seconds_per_step"]["manual"])
    arguments = {name: pairs[name] for name in page._flat(asdict(run.settings))}
    assert (arguments["hidden size"], arguments["bidirectional"], arguments["dtype"]) == ("3", "no", "float64")
    assert len(arguments) == 18
    examples = tab.locator(".example").all()
    for shown, example in zip(examples, summary["examples"], strict=True):
        numbers = shown.locator(".number").all_inner_texts()
        assert numbers == [str(int(bits, 2)) for bits in example.values()]
        assert [bits.replace(" ", "") for bits in shown.locator(".bits").all_inner_texts()] == list(example.values())
        assert ("right" in shown.locator("caption").inner_text()) is (example["predicted"] == example["true"])
        wrong = sum(a != b for a, b in zip(example["predicted"], example["true"]))
        assert shown.locator("mark").count() == wrong


@pytest.mark.slow
def test_the_derivation_with_the_trained_weights_is_one_click_away(run, tmp_path, monkeypatch, open_page):
    monkeypatch.setattr(run_folder, "_draw", lambda run, path: path.touch())
    run_folder.write(run, tmp_path)
    tab = open_page(tmp_path / "run.html")
    tab.get_by_role("link", name="The derivation with these weights").click()
    assert tab.url == (tmp_path / "derivation.html").as_uri()
    assert tab.get_by_text("trained for 4 steps of 6 sums").first.is_visible()


@pytest.mark.slow
def test_where_no_derivation_is_written_the_page_names_the_command_or_nothing(run, written, monkeypatch):
    assert "page --weights DIR" in (written(replace(run, interrupted=True)) / "run.html").read_text()
    monkeypatch.setattr(run_folder, "MOST_PARAMETERS", 10)
    folder = written(run)
    assert "page --weights DIR" in (folder / "run.html").read_text()
    assert not (folder / "derivation.html").exists()
    recipe = replace(run, settings=RECIPES["no-bias-lstm"])
    assert "derivation" not in (written(recipe) / "run.html").read_text()


@pytest.mark.slow
def test_an_interrupted_run_says_so(run, written, open_page):
    tab = open_page(written(replace(run, correct_sums=[], examples=None, interrupted=True)) / "run.html")
    assert tab.locator(".finding").inner_text().startswith("INTERRUPTED after 4 steps in float64")
    assert tab.get_by_text("The run was interrupted.").is_visible()
    assert tab.locator(".verdict").get_attribute("class") == "verdict doubt"
    assert tab.get_by_role("heading", name="Sums").count() == 0


@pytest.mark.slow
def test_a_disagreement_names_what_is_wrong_as_text(run, written, open_page):
    hostile = "manual: backward raised ValueError: </script><script>alert(1)</script>"
    run.lockstep.failures.append(hostile)
    key, finding = next(iter(run.lockstep.worst.items()))
    worse = replace(finding.difference, error=np.inf, problem="missing <b>")
    run.lockstep.worst[key] = replace(finding, difference=worse)
    tab = open_page(written(run) / "run.html")
    assert tab.locator(".verdict").first.inner_text() == "DISAGREE"
    assert tab.locator(".finding").inner_text() == "DISAGREE: 4 steps in float64"
    assert tab.get_by_role("listitem").all_inner_texts() == [f"{finding.group} {worse.name}", hostile]
    assert tab.locator(".exceeds").first.locator("td").last.inner_text() == "missing <b>"
    assert tab.locator(".exceeds").count() == 1


@pytest.mark.slow
def test_a_run_without_a_step_has_a_page(run, written, open_page, tmp_path):
    summary = json.loads((written(run) / "summary.json").read_text())
    page.write(summary, {}, {name: [] for name in ("step", *SERIES)}, None, tmp_path / "run.html")
    tab = open_page(tmp_path / "run.html")
    assert tab.get_by_text("No step was finished.").is_visible()


@pytest.mark.slow
def test_a_long_run_keeps_its_worst_steps_and_stays_small(run, written):
    count = 50_000
    lengthened(run, 3)
    steps = run.lockstep.steps
    steps *= count // 3
    worst = {group: 3e-13 for group in GROUPS}
    steps[31_234] = replace(steps[31_234], errors=worst)
    folder = written(run)
    text = (folder / "run.html").read_text()
    assert len(text.encode()) < 1_000_000
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    assert len(data["steps"]) == page.MOST_STEPS
    assert 31_235 in data["steps"] and data["steps"][-1] == len(steps)
    assert data["steps"] == sorted(set(data["steps"]))
    index = data["steps"].index(31_235)
    assert [data["series"][group][index] for group in GROUPS] == [3e-13] * 5
    assert "The page has 2,000 of the 49,998 steps" in text


def test_the_settings_of_a_recipe_are_written_out_by_both_names():
    nested = {"start": {"size": 0.5, "equal_gates": True}, "wanted": "sums", "engine": "numpy"}
    assert page._flat(nested) == {
        "start, size": "0.5",
        "start, equal gates": "yes",
        "wanted": "sums",
        "engine": "numpy",
    }
