"""The curves of a run: what can be read off, zoomed into and hidden, in a browser."""

import re
from dataclasses import replace

import numpy as np
import pytest
from runs_on_pages import SERIES, drag, lengthened, rows, shown_values, steps_on_axis

from compare.lockstep.lockstep import GROUPS

pytestmark = pytest.mark.slow


def test_the_values_read_off_are_those_of_the_run_to_the_digits_shown(run, written, open_page):
    folder = written(lengthened(run, 40))
    tab, table = open_page(folder / "run.html"), rows(folder)
    assert shown_values(tab) == {name: f"{float(table[-1][name]):g}" for name in SERIES}
    slider = tab.get_by_label("Step", exact=True)
    slider.focus()
    for key, step in [("Home", 1), ("ArrowRight", 2), ("End", 40), ("ArrowLeft", 39)]:
        slider.press(key)
        assert tab.locator("#at").inner_text() == str(step)
        expected = {name: f"{float(table[step - 1][name]):g}" for name in SERIES}
        assert shown_values(tab) == expected
        assert slider.get_attribute("aria-valuetext") == f"step {step}"
        spoken = tab.get_by_role("status").filter(has_text="loss manual").inner_text()
        assert spoken.startswith(f"step {step}, loss manual {expected['loss_manual']}, ")


def test_pointing_at_a_plot_reads_the_nearest_step_off(run, written, open_page):
    folder = written(lengthened(run, 40))
    tab = open_page(folder / "run.html")
    for svg, step in zip(tab.locator(".plot svg").all(), (17, 3, 40), strict=True):
        box = svg.bounding_box()
        svg.hover(position={"x": box["width"] * (step + 0.4) / 41, "y": 50})
        assert tab.locator("#at").inner_text() == str(step)
        assert shown_values(tab)["drift"] == f"{float(rows(folder)[step - 1]['drift']):g}"
        cursors = [one.bounding_box()["x"] - box["x"] for one in tab.locator(".cursor").all()]
        assert cursors == pytest.approx([box["width"] * step / 41] * 3, abs=1.5)


def test_zooming_changes_the_axis_and_moves_the_curves(run, written, open_page):
    tab = open_page(written(lengthened(run, 100)) / "run.html")
    all_steps = [0, 20, 40, 60, 80, 100]
    assert steps_on_axis(tab) == all_steps

    drag(tab, 0.25, 0.5, plot=1)
    assert steps_on_axis(tab) == [30, 35, 40, 45, 50]
    assert tab.locator("#range").inner_text() == "steps 26 to 50"
    box = tab.locator(".plot svg").first.bounding_box()
    drawn = tab.locator("path.drift").evaluate("(path) => path.getPointAtLength(0).matrixTransform(path.getCTM()).x")
    assert drawn < 0  # the first step is to the left of what is shown

    tab.locator(".plot svg").first.dblclick()
    assert steps_on_axis(tab) == all_steps and tab.locator("#range").inner_text() == ""

    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    tab.keyboard.down("Control")
    for _ in range(4):
        tab.mouse.wheel(0, -100)
    tab.keyboard.up("Control")
    tab.locator("#range", has_text="steps").wait_for()
    assert 20 < steps_on_axis(tab)[0] < 50 < steps_on_axis(tab)[-1] < 80

    tab.get_by_role("button", name="All steps").click()
    assert steps_on_axis(tab) == all_steps
    assert tab.get_by_role("button", name="All steps").is_disabled()


def test_a_drag_chooses_its_last_step_and_fits_the_axis_to_what_is_shown(run, written, open_page):
    tab = open_page(written(lengthened(run, 600)) / "run.html")
    labels = tab.locator(".plot").first.locator(".y-axis span")
    before = labels.all_inner_texts()
    drag(tab, 300.6 / 601, 500.7 / 601)
    assert tab.locator("#range").inner_text() == "steps 301 to 500"
    assert tab.locator("#at").inner_text() == "500"
    assert labels.all_inner_texts() != before
    curve = tab.locator("path.drift").bounding_box()
    frame = tab.locator(".plot svg").last.bounding_box()
    assert curve["height"] > 0.7 * frame["height"]  # of a drift that grows from 3.01e-13 to 5e-13


def test_what_is_shown_is_in_the_address(run, written, open_page):
    file = written(lengthened(run, 100)) / "run.html"
    tab = open_page(file)
    drag(tab, 0.25, 0.5)
    tab.wait_for_function("() => location.search.includes('from')")
    again = open_page(file, tab.evaluate("location.search"))
    assert again.locator("#range").inner_text() == "steps 26 to 50"
    assert again.locator("#at").inner_text() == tab.locator("#at").inner_text() == "50"


def test_another_run_is_laid_over_it(run, written, open_page, tmp_path):
    other = tmp_path / "other.html"
    (written(lengthened(run, 150)) / "run.html").rename(other)
    tab = open_page(written(lengthened(run, 100)) / "run.html")
    tab.set_input_files("#other", other)
    tab.locator("#compared", has_text="Dashed, and second: ").wait_for()
    assert steps_on_axis(tab)[-1] == 150
    assert tab.locator("path.other").count() == len(SERIES)
    slider = tab.get_by_label("Step", exact=True)
    slider.fill("39")
    assert tab.locator('[data-series="drift"]').inner_text().split() == ["4e-14", "4e-14"]
    assert (
        tab.locator("path.drift.other").bounding_box()["width"]
        > 1.4 * tab.locator("path.drift:not(.other)").bounding_box()["width"]
    )
    tab.set_input_files("#other", tmp_path / "run" / "summary.json")
    tab.locator("#compared", has_text="expected the run.html of another run").wait_for()
    assert tab.locator("path.other").count() == 0


def test_the_wheel_alone_scrolls_the_page_and_a_drag_that_begins_elsewhere_does_not_zoom(run, written, open_page):
    tab = open_page(written(lengthened(run, 100)) / "run.html")
    tab.locator(".plot svg").first.hover()
    tab.mouse.wheel(0, 200)
    tab.wait_for_function("window.scrollY > 0")
    assert steps_on_axis(tab) == [0, 20, 40, 60, 80, 100]
    tab.locator("h1").hover()
    tab.mouse.down()
    tab.locator(".plot svg").first.hover()
    tab.mouse.up()
    assert steps_on_axis(tab) == [0, 20, 40, 60, 80, 100]


def test_zooming_by_keyboard_and_the_window_follows_the_step(run, written, open_page):
    tab = open_page(written(lengthened(run, 100)) / "run.html")
    slider = tab.get_by_label("Step", exact=True)
    slider.focus()
    slider.press("Home")
    for _ in range(3):
        slider.press("+")
    assert max(steps_on_axis(tab)) <= 13
    slider.press("End")
    assert min(steps_on_axis(tab)) >= 87
    for _ in range(20):
        slider.press("+")
    assert tab.get_by_role("button", name="Zoom in").is_disabled()
    assert steps_on_axis(tab) == [97, 98, 99, 100, 101]
    slider.press("-")
    assert min(steps_on_axis(tab)) < 97
    slider.press("0")
    assert steps_on_axis(tab) == [0, 20, 40, 60, 80, 100]


def test_a_curve_can_be_hidden(run, written, open_page):
    tab = open_page(written(lengthened(run, 20)) / "run.html")
    tab.get_by_label("gradient").uncheck()
    assert [tab.locator(f"path.{group}").is_visible() for group in GROUPS] == [group != "gradient" for group in GROUPS]


def test_values_that_cannot_be_drawn_are_counted_and_read_off(run, written, open_page):
    lengthened(run, 12)
    steps, damaged = run.lockstep.steps, {2: 0.0, 4: np.nan, 6: np.inf, 8: -np.inf}
    for k, value in damaged.items():
        steps[k] = replace(steps[k], loss_manual=value)
    tab = open_page(written(run) / "run.html")
    path = tab.locator("path.loss_manual").get_attribute("d")
    assert re.fullmatch(r"([MLh0-9. ])+", path) and path.count("M") == 5
    assert tab.locator(".plot").first.locator(".undrawn").inner_text().startswith("4 values are 0 or not finite")
    slider = tab.get_by_label("Step", exact=True)
    read = []
    for k in damaged:
        slider.fill(str(k))
        read.append(shown_values(tab)["loss_manual"])
    assert read == ["0", "NaN", "Infinity", "-Infinity"]


def test_curves_of_nothing_but_damage_leave_a_page(run, written, open_page):
    lengthened(run, 3)
    run.lockstep.steps[:] = [
        replace(one, loss_manual=value, loss_autograd=value, errors=dict.fromkeys(GROUPS, value), drift=value)
        for one, value in zip(run.lockstep.steps, [0.0, np.nan, np.inf])
    ]
    tab = open_page(written(run) / "run.html")
    assert [tab.locator(f"path.{name}").get_attribute("d") for name in SERIES] == [""] * 8
    assert steps_on_axis(tab) == [0, 1, 2, 3, 4]


def test_one_step_is_drawn_as_a_dot(run, written, open_page):
    tab = open_page(written(lengthened(run, 1)) / "run.html")
    assert re.fullmatch(r"M500\.00 [\d.]+h0", tab.locator("path.drift").get_attribute("d"))
    assert shown_values(tab)["drift"] == "1e-15"
    for key in ("+", "-", "0", "End"):
        tab.get_by_label("Step", exact=True).press(key)
    assert steps_on_axis(tab) == [0, 1, 2]
