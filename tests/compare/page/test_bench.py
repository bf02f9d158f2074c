import json
from itertools import product

import numpy as np
import pytest

from compare.benchmark.case import TimedCase
from compare.benchmark.contenders import CONTENDERS
from compare.benchmark.measure import Measured, Timing, as_json
from compare.page import bench as page
from compare.page.axis import duration

MACHINE = {"processor": "<b>P</b>", "cores": 2, "load": 0.5, "numpy": "2.4.6", "torch": "2.13.0"}
SIZES = ((8, 1, 2, 16), (8, 64, 2, 16), (32, 64, 64, 128))
ROUNDS = 5


def measured(case: TimedCase, sweep: str = "", seed: int = 0) -> Measured:
    """Return measurements of all contenders, each by its own factor slower or faster than the first."""
    rng = np.random.default_rng([seed, *case.size, case.threads])
    timings = {
        name: Timing(name, (2e-4 * (0.5 + k) * rng.lognormal(0, 0.2, ROUNDS)).tolist(), 0.1 + k, 2**20 * k, 0.01 * k)
        for k, name in enumerate(CONTENDERS)
    }
    if case.T > 16:
        timings["compiled"] = Timing("compiled", problem="left out above T = 16")
    products = {name: Timing(name, (5e-5 * rng.lognormal(0, 0.1, ROUNDS)).tolist()) for name in ("numpy", "torch")}
    return Measured(case, sweep, 0.7, timings, products if case.task == "layer" else {})


@pytest.fixture(scope="module")
def results() -> dict:
    cells, dtypes, threads = ("LSTM", "GRU"), ("float64", "float32"), (1, 2)
    cases = [
        measured(TimedCase("layer", cell, *size, dtype, count))
        for count, dtype, cell, size in product(threads, dtypes, cells, SIZES)
    ]
    cases += [measured(TimedCase("step", "LSTM", 8, 64, 2, 16, "float64", 1))]
    cases += [measured(TimedCase("layer", "LSTM", 16, 32, 16, H, "float64", 1), "H") for H in (16, 64)]
    return json.loads(json.dumps(as_json(MACHINE, cases)))


@pytest.fixture
def file(results, tmp_path):
    page.write(results, tmp_path / "bench.html")
    return tmp_path / "bench.html"


def shown(tab) -> list[tuple[str, str]]:
    """Return the title and the size of each case that is visible."""
    return [
        (section.get_by_role("heading").inner_text(), size)
        for section in tab.locator("main section:visible").all()
        for size in section.locator("tbody:visible .size").all_inner_texts()
    ]


@pytest.mark.slow
def test_no_rule_of_accessibility_is_broken(file, broken_rules):
    assert broken_rules(file) == []


@pytest.mark.slow
def test_the_numbers_and_the_dots_are_those_of_the_measurements(results, file, open_page):
    tab = open_page(file)
    case = results["cases"][1]
    seconds = {name: np.array(timing["seconds"]) for name, timing in case["timings"].items()}
    body = tab.locator("main section").first.locator("tbody").nth(1)
    rows = body.locator("tr").all()[1:]
    assert len(rows) == len(CONTENDERS) + 1
    one = tab.locator(".one").first.evaluate("(line) => line.getBBox().x")
    decades = []
    for row, (name, contender) in zip(rows, CONTENDERS.items()):
        lower, median, upper = np.quantile(seconds[name] / seconds["manual"], [0.25, 0.5, 0.75])
        cells = row.locator("th, td").all_inner_texts()
        assert cells[:2] == [contender.label.format(cell="LSTM"), f"{median:.2f}"]
        assert cells[3] == f"{lower:.2f} to {upper:.2f}"
        assert cells[4] == duration(np.median(seconds[name]))
        if name != "manual":
            dot = row.locator(".median").evaluate("(dot) => dot.getBBox().x")
            bar = row.locator(".spread").evaluate("(bar) => [bar.getBBox().x, bar.getBBox().x + bar.getBBox().width]")
            decades += ((np.array([dot, *bar]) - one) / np.log10([median, lower, upper])).tolist()
    assert decades == pytest.approx([decades[0]] * len(decades), rel=0.02) and decades[0] > 0
    bound = rows[-1].locator("th, td").all_inner_texts()
    best = min((p["seconds"] for p in case["products"].values()), key=np.median)
    assert bound[:2] == ["lower bound", f"{np.median(np.array(best) / seconds['manual']):.2f}"]


@pytest.mark.slow
def test_a_place_on_the_axis_is_that_of_its_tick(file, open_page):
    tab = open_page(file)
    labels = [label for label in tab.locator(".axis").first.locator("span").all() if label.inner_text() == "1"]
    box, one = labels[0].bounding_box(), tab.locator(".one").first.bounding_box()
    assert box["x"] + box["width"] / 2 == pytest.approx(one["x"] + one["width"] / 2, abs=1)


@pytest.mark.slow
def test_choosing_filters(results, file, open_page):
    tab = open_page(file)
    sizes = ["T 8, B 1, D 2, H 16", "T 8, B 64, D 2, H 16", "T 32, B 64, D 64, H 128"]
    assert shown(tab) == [("LSTM, forward + backward, float64, one thread", size) for size in sizes]
    assert tab.get_by_role("status").inner_text() == "3 of 27 cases"

    def choose(name: str, option: str) -> None:
        tab.get_by_role("combobox", name=name, exact=True).select_option(option)

    choose("size", sizes[1])
    choose("threads", "2")
    choose("cell", "GRU")
    assert shown(tab) == [("GRU, forward + backward, float64, 2 threads", sizes[1])]

    choose("dtype", "all")
    assert [title.split(", ")[2] for title, _ in shown(tab)] == ["float64", "float32"]

    choose("timed", "one training step on binary addition")
    assert shown(tab) == []
    assert tab.get_by_role("status").inner_text() == "nothing was measured for this choice"

    for name in ("cell", "size", "threads", "dtype"):
        choose(name, "all")
    assert shown(tab) == [("LSTM, one training step on binary addition, float64, one thread", sizes[1])]

    choose("timed", "forward + backward, H varies")
    title = "LSTM, forward + backward, float64, one thread, H varies"
    assert shown(tab) == [(title, f"T 16, B 32, D 16, H {H}") for H in (16, 64)]


@pytest.mark.slow
def test_without_scripts_all_tables_are_in_the_document(results, file, open_page):
    tab = open_page(file, scripts=False)
    assert len(shown(tab)) == len(results["cases"])
    assert not tab.locator("form").is_visible()
    assert tab.get_by_text("<b>P</b>, 2 cores, load 0.50 at the start").is_visible()
    assert tab.get_by_text("numpy 2.4.6, torch 2.13.0").is_visible()
    assert tab.locator("thead").first.locator("th[scope=col]").count() == 7


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps(file, open_page, overlapping, width):
    tab = open_page(file, width=width)
    assert overlapping(tab, "h1, h2, p, form label, select, output, th, td, .axis span") == []


@pytest.mark.slow
def test_what_disagrees_has_a_reason_and_no_dot(results, tmp_path, open_page):
    one = measured(TimedCase("layer", "LSTM", *SIZES[0], "float64", 1))
    one.timings["jax"] = Timing("jax", used=3.0, problem="disagrees with autograd in d_x: <b>error 1.0e-09")
    page.write(as_json(MACHINE, [one]), tmp_path / "bench.html")
    tab = open_page(tmp_path / "bench.html")
    assert tab.locator(".finding").inner_text() == "DISAGREE: in 1 of 1 cases; what disagrees is not timed"
    row = tab.locator("tbody tr").filter(has_text="JAX jit")
    assert row.locator("td").all_inner_texts() == ["disagrees with autograd in d_x: <b>error 1.0e-09"]
    assert row.locator("svg").count() == 0
    assert tab.locator("select").count() == 0  # there is one case


def test_a_first_contender_that_is_not_timed_leaves_times_without_ratios(tmp_path):
    one = measured(TimedCase("layer", "LSTM", *SIZES[0], "float64", 1))
    one.timings["manual"] = Timing("manual", used=3.0, problem="disagrees with autograd in d_x: missing")
    page.write(as_json(MACHINE, [one]), tmp_path / "bench.html")
    text = (tmp_path / "bench.html").read_text()
    assert 'class="median"' not in text and "disagrees with autograd in d_x: missing" in text


@pytest.mark.slow
def test_the_usual_benchmark_is_below_a_megabyte(tmp_path):
    from compare.commands.bench import SIZES

    cases = [
        measured(TimedCase("layer", cell, *size, dtype, threads))
        for threads, dtype, cell, size in product((1, 2), ("float64", "float32"), ("LSTM", "GRU", "RNN"), SIZES)
    ]
    page.write(as_json(MACHINE, cases), tmp_path / "bench.html")
    assert len(cases) > 100 and (tmp_path / "bench.html").stat().st_size < 1_000_000
