"""``derivation.html`` of every form, and what it shows in a browser."""

import json
import re

import numpy as np
import pytest

import manual
from compare.binary_addition import Sums, digits
from compare.page import derivation
from compare.page.sources import lines

#: Each form with the numbers of its equations.
LAYERS = {
    "lstm": (manual.LSTM, {}, "L1-20"),
    "projection": (manual.LSTM, {"proj_size": 3}, "L1-23"),
    "peepholes": (manual.LSTM, {"peepholes": True}, "L1 L4 L6-8 L10-13 L15-20 L24-31"),
    "coupled": (manual.LSTM, {"coupled": True}, "L1-2 L4-9 L12-20 L32-33"),
    "both": (manual.LSTM, {"peepholes": True, "coupled": True}, "L1 L4 L6-8 L12-13 L15-20 L24 L26-27 L29 L31-34"),
    "gru": (manual.GRU, {}, "G1-18"),
    "gru, reset before": (manual.GRU, {"reset_after": False}, "G1-3 G6-10 G14-15 G17 G19-25"),
    "rnn": (manual.RNN, {}, "R1-10"),
    "rnn, relu": (manual.RNN, {"nonlinearity": "relu"}, "R1-10"),
    "rnn, sigmoid": (manual.RNN, {"nonlinearity": "sigmoid"}, "R1-10"),
}


def numbers(form: str) -> set[str]:
    """Return the numbers of a form's equations."""
    runs = [(run[0], *map(int, run[1:].split("-"))) for run in LAYERS[form][2].split()]
    return {f"{letter}{n}" for letter, *ends in runs for n in range(ends[0], ends[-1] + 1)}


def network(kind: type, **options) -> manual.Model:
    rng = np.random.default_rng(3)
    layer = kind(2, 6, rng=rng, **options)
    return manual.Model(layer, manual.Linear(layer.output_size, 1, rng=rng))


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Write the page of a form, once."""
    written = {}

    def page_of(form):
        if form not in written:
            kind, options, _ = LAYERS[form]
            written[form] = tmp_path_factory.mktemp("page") / "derivation.html"
            derivation.write(network(kind, **options), "not trained", written[form])
        return written[form]

    return page_of


def data_of(file):
    return json.loads(re.search(r'id="data">(.*?)</script>', file.read_text(), re.DOTALL)[1])


@pytest.mark.parametrize("form", LAYERS)
@pytest.mark.slow
def test_every_equation_of_a_form_has_a_row_with_formula_code_value_and_error(form, page_of):
    text = page_of(form).read_text()
    assert len(text) < 1e6
    rows = re.findall(r'<article class="row (\w+)" id="(\w+)">(.*?)</article>', text, re.DOTALL)
    assert sorted(number for _, number, _ in rows) == sorted(numbers(form))
    for way, number, row in rows:
        assert row.count('<div class="formula wide"><math') == 1, number
        files = re.findall(r"<dt>(\w+)/\w+.py:\d+</dt>", row)
        assert set(files) == ({"manual", "torch_impl"} if way == "forward" else {"manual"}), number
        assert '<table class="strip"' in row
        error = float(re.search(r"against autograd</span> <strong data-error>(.*?)</strong>", row)[1])
        assert 0 <= error < 1e-12


@pytest.mark.parametrize("number, file", [("L14", "manual/lstm.py"), ("L6", "torch_impl/lstm.py")])
def test_a_number_without_a_line_is_an_error_and_leaves_no_page(number, file, tmp_path, monkeypatch):
    monkeypatch.setattr(
        derivation,
        "lines",
        lambda path: {n: l for n, l in lines(path).items() if not (path.match(file) and n == number)},
    )
    with pytest.raises(ValueError, match=rf"^\({number}\): expected a line in {file}, got none"):
        derivation.write(network(manual.LSTM), "", tmp_path / "derivation.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_of_a_stack_the_first_layer_is_shown(tmp_path):
    model = network(manual.LSTM, num_layers=2, bidirectional=True)
    derivation.write(model, "", tmp_path / "derivation.html")
    text = (tmp_path / "derivation.html").read_text()
    assert "Of its 4\nlayers and directions, the page shows the first" in text
    quantities = data_of(tmp_path / "derivation.html")["quantities"]
    assert "c" in quantities and not any("_l" in name for name in quantities)


def test_the_sums_are_what_they_are_called(page_of):
    carries = {sum["name"]: sum["bits"]["carry"] for sum in data_of(page_of("rnn"))["sums"]}
    assert [sum(carry) for carry in carries.values()] == [0, 1, 7]


def values_of(model, row):
    """Run the equations on the sums of the page with the loss of the last bit; by name and step, one row."""
    found = {}

    def record(name, t, value):
        found[name.removesuffix("_l0"), t] = value[row]
        return value

    a, b = (digits(np.array(side), 8) for side in zip(*derivation.SUMS.values()))
    sums = Sums.adding(a, b)
    logits, _, tape = model.forward(sums.inputs(np.float64), probe=record)
    d_logits = np.zeros_like(logits)
    p = 1 / (1 + np.exp(-logits[-1]))
    d_logits[-1] = (p - sums.targets(np.float64)[-1]) / 3
    model.backward(tape, d_logits, probe=record)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lstm", "gru"])
def test_a_sum_and_a_step_change_the_numbers_to_those_of_manual(form, page_of, open_page):
    kind, options, _ = LAYERS[form]
    page = open_page(page_of(form))
    name, number = ("c", "L6") if form == "lstm" else ("n", "G6")
    backward, equation = ("d_z_f", "L11") if form == "lstm" else ("d_q", "G11")
    for row, step in ((2, 3), (0, 3), (0, 6), (1, 1)):
        right = values_of(network(kind, **options), row)
        page.click(f"button[data-row='{row}']")
        page.click(f"button[data-step='{step}']")
        for quantity, of in ((name, number), (backward, equation)):
            page.click(f".named[data-label='{quantity}']")
            page.wait_for_selector(f"#{of}.selected")
            shown = page.locator(f"#{of} td[data-numbers='{quantity}']").all_inner_texts()
            np.testing.assert_allclose([float(text) for text in shown], right[quantity, step], rtol=1e-4, atol=1e-300)
            assert shown == [f"{value:.5g}" for value in right[quantity, step]]


@pytest.mark.slow
def test_the_table_of_a_sum_has_its_bits_and_the_unit_that_follows_the_carry(page_of, open_page):
    page = open_page(page_of("gru"))
    (unit,) = re.findall(r"^h\[(\d+)\]$", page.locator(".sum tr.memory th").inner_text())
    for row, (a, b) in enumerate(derivation.SUMS.values()):
        page.click(f"button[data-row='{row}']")
        for name, number in (("a", a), ("b", b), ("sum", a + b)):
            bits = page.locator(f".sum tr.{name} td").all_inner_texts()
            assert int("".join(reversed(bits)), 2) == number
        right = values_of(network(manual.GRU), row)
        shown = [float(text) for text in page.locator(".sum tr.memory td").all_inner_texts()]
        np.testing.assert_allclose(shown, [right["h", t][int(unit)] for t in range(8)], rtol=0.05)
        lengths = [np.linalg.norm(right["d_h", t]) for t in range(8)]
        reach = [float(text) for text in page.locator(".sum tr.reach td").all_inner_texts()]
        np.testing.assert_allclose(reach, np.array(lengths) / lengths[-1], rtol=0.4)


@pytest.mark.slow
def test_a_name_selects_its_equation_and_an_equation_its_name(page_of, open_page):
    page = open_page(page_of("lstm"))
    for clicked, number, name in (
        (".named[data-label='d_c']", "L9", "d_c"),
        ("#L7 h2 a", "L7", "h"),
        ("#L17 h2 a", "L17", "weight_ih"),
    ):
        page.click(clicked)
        page.wait_for_selector(f"#{number}.selected")
        assert page.evaluate("location.hash") == f"#{number}"
        assert page.locator(".row.selected").get_attribute("id") == number
        assert page.locator(".named[aria-current='true'] text").all_text_contents() == [name]


@pytest.mark.slow
def test_the_address_has_equation_sum_and_step(page_of, open_page):
    page = open_page(page_of("gru"), "#G9")
    assert page.locator(".row.selected").get_attribute("id") == "G9"
    assert page.locator("#G9 .numbers td").count() == 6
    page.click("button[data-row='0']")
    page.click("button[data-step='6']")
    shown = page.locator("#G9 .numbers").inner_text()
    again = open_page(page_of("gru"), page.evaluate("location.search + location.hash"))
    assert again.locator("#G9 .numbers").inner_text() == shown
    assert again.locator("button[data-row='0']").get_attribute("aria-pressed") == "true"
    cells = ".strip[data-label='n'] td"
    again.locator("#G6").scroll_into_view_if_needed()
    page.locator("#G6").scroll_into_view_if_needed()
    again.wait_for_selector("#G6 td.now")
    assert again.locator(cells).all_text_contents() == page.locator(cells).all_text_contents()


@pytest.mark.slow
def test_pointing_at_a_cell_moves_nothing(page_of, open_page):
    page = open_page(page_of("lstm"), "#L9")
    before = page.evaluate("document.querySelector('#L10').offsetTop")  # however far the page is scrolled
    page.locator("#L9 .strip td").nth(20).hover()
    assert "unit" in page.locator("#L9 .reading").inner_text()
    assert page.evaluate("document.querySelector('#L10').offsetTop") == before


@pytest.mark.slow
def test_of_a_large_network_a_part_is_drawn_and_what_is_seen_is_painted(tmp_path, open_page):
    rng = np.random.default_rng(3)
    model = manual.Model(manual.LSTM(2, 64, rng=rng), manual.Linear(64, 1, rng=rng))
    derivation.write(model, "", tmp_path / "derivation.html")
    page = open_page(tmp_path / "derivation.html")
    assert page.evaluate("document.querySelectorAll('*').length") < 7000
    page.click("button[data-step='6']")
    painted = page.locator(".row:has(td.now)").count()
    assert 0 < painted < page.locator(".row").count() / 2
    assert page.locator("#L20 .strip").count() > 0
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    painted = page.locator(".row:has(.strip[aria-label*=steps])")
    assert painted.count() == page.locator(".row:has(td.now)").count() >= 16


@pytest.mark.slow
def test_it_works_by_keyboard(page_of, open_page):
    page = open_page(page_of("rnn"))
    page.focus(".named[data-label='d_z_h']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#R4.selected")
    page.focus("#R4 .strip")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    value = values_of(network(manual.RNN), 2)["d_z_h", 1][1]
    reading = page.locator("#R4 .reading").inner_text()
    assert reading.startswith(f"d_z_h, step 1, unit 1: {value:.5g}; relative error at this step ")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("form", ["lstm", "both", "gru", "rnn"])
def test_nothing_overlaps(form, width, page_of, open_page, overlapping):
    page = open_page(page_of(form), "#L9" if form == "lstm" else "", width=width)
    assert overlapping(page, ".page-header, .row, .controls, .sum, .diagram, .key, .note, .page-footer") == []
    assert overlapping(page, ".row > *, .strip-figure, .numbers") == []
    assert overlapping(page, ".node, .named text, .named [data-cell]") == []


@pytest.mark.slow
def test_no_rule_of_accessibility_is_broken(page_of, broken_rules):
    assert broken_rules(page_of("lstm")) == []


@pytest.mark.slow
def test_without_a_script_it_is_a_document(page_of, open_page, overlapping):
    page = open_page(page_of("lstm"), scripts=False)
    assert page.locator(".row").count() == 20
    assert not page.locator(".controls").first.is_visible()
    colours = page.locator("#L6 .strip td").evaluate_all("all => new Set(all.map((one) => one.style.cssText)).size")
    assert colours > 10
    least, most = page.locator("#L4 .strip").evaluate(
        """table => {
          const cells = [...table.querySelectorAll("td")].sort((a, b) => a.textContent - b.textContent);
          return [cells[0], cells.at(-1)].map((cell) => [cell.textContent, getComputedStyle(cell).backgroundColor]);
        }"""
    )
    assert float(least[0]) < 0 < float(most[0])
    assert least[1] != most[1]
    assert overlapping(page, ".row, .pane, .page-header") == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme, dark", [("light", False), ("dark", True)])
def test_it_is_light_or_dark_as_the_reader_has_it(scheme, dark, page_of, open_page):
    page = open_page(page_of("rnn"), scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(int(part) for part in re.findall(r"\d+", colour)) < 60) == dark
