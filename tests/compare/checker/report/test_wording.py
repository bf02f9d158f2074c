import re
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from compare import check_backward, probe
from compare.checker.lines.wrong_line import Change, WrongLine

T = 14


def forward(w, x):
    h, hs = 0.0, []
    for t in range(len(x)):
        h = probe("h", np.tanh(w * h + x[t]), t=t)
        hs.append(h)
    return np.stack(hs), (w, x, hs)


def backward(tape, d_y):
    w, x, hs = tape
    d_w, d_x, d_h = 0.0, np.zeros_like(x), 0.0
    for t in reversed(range(len(x))):
        d_h = probe("d_h", d_h + d_y[t], t=t)
        d_z = d_h * (1 - hs[t] ** 2) * (0.5 if t > 1 else 1.0)
        d_w = d_w + d_z * (hs[t - 1] if t else 0.0)
        d_x[t] = d_z
        d_h = d_z * w
    return d_w.sum(keepdims=True), d_x


def reference(w, x):
    h, hs = torch.zeros(x.shape[1:], dtype=x.dtype), []
    for t in range(len(x)):
        h = probe("h", torch.tanh(w * h + x[t]), t=t)
        hs.append(h)
    return torch.stack(hs)


def checked(steps):
    generator = np.random.default_rng(1)
    w, x = generator.standard_normal(1), generator.standard_normal((T, 3))
    return check_backward(forward, backward, reference, {"w": w, "x": x[:steps]})


@pytest.mark.slow
def test_a_table_that_leaves_steps_out_says_so():
    assert "Relative error by step (10 of 14 steps): as the code runs" in str(checked(T))
    assert "Relative error by step: as the code runs" in str(checked(10))


@pytest.mark.slow
def test_no_name_and_no_number_of_a_table_is_cut():
    report = checked(T)
    for columns, tables in [(60, 2), (80, 2), (120, 2), (200, 1)]:
        text = StringIO()
        report.show(Console(file=text, width=columns, color_system=None))
        lines = text.getvalue().splitlines()
        titles = [k for k, line in enumerate(lines) if line.startswith("Relative error by step")]
        assert len(titles) == tables
        for title in titles:
            heading, *rows = lines[title + 1 : title + 4]
            assert "…" not in heading + "".join(rows) and max(map(len, [heading, *rows])) <= columns
            assert all(re.fullmatch(r"d_\w+( +(·|\de-?\d+|inf|\|))+ *", row) for row in rows[:2])


@pytest.mark.slow
def test_a_report_is_one_line_to_a_shell_a_table_to_a_notebook_and_begins_with_its_verdict_as_a_message():
    report = checked(5)
    assert re.fullmatch(r"<Report: DISAGREE: forward: wrong: .*>", repr(report))
    assert "<pre>" in report._repr_html_() and "Relative error by step" in report._repr_html_()
    first, *rest = report.message.splitlines()
    assert first == report.verdict().plain and [*rest, first] == str(report).splitlines()


def test_a_missing_line_is_shown_with_the_next_as_deep_as_it_is():
    report = check_backward(lambda x: (x, 0), lambda tape, d: 2 * d, lambda x: x + 0, {"x": (2, 3)})
    change = Change("mine.py", (7, 8, 7, 20), "", "d_x[t] = d_z", "d = w * d_z\n        d_x[t] = d_z", "missing")
    report.search = lambda: [WrongLine((change,))]
    assert "\n    - d_x[t] = d_z\n    + d = w * d_z\n    + d_x[t] = d_z\n" in str(report)


def test_values_that_differ_are_printed_with_as_many_digits_as_show_it():
    inputs = {"x": np.full((2, 3), 1.42111)}
    report = check_backward(lambda x: (x, 0), lambda tape, d: d * (1 + 1e-9), lambda x: x + 0, inputs)
    (got, expected), *_ = re.findall(r"got (\S+), expected (\S+?)[; ]", str(report))
    assert got != expected and float(got) == pytest.approx(float(expected))


@pytest.mark.parametrize("most, kinds", [(2, ["equation", "size"]), (9, ["equation"])])
def test_a_size_is_a_kind_of_verdict_only_if_another_agrees(most, kinds):
    def backward(x, d):
        return d * (2 if len(x) <= most else 1)

    report = check_backward(lambda x: (x, x), backward, lambda x: x + 0, [{"x": (2, 3)}, {"x": (5, 3)}])
    assert report.kinds == kinds


@pytest.mark.parametrize(
    "wrong, says",
    [("8 * {}", "8"), ("len(x) * {}", "len(x)"), ("{} / len(x)", "1/len(x)"), ("8 / len(x) * {}", "")],
)
def test_a_number_is_told_from_a_size_by_the_sizes_that_are_tried(wrong, says):
    def backward(tape, d):
        x, w = tape
        return d @ w.T, eval(wrong.format("x.T @ d"), {"x": x, "d": d})

    inputs = [{"x": (N, D), "w": (D, 2)} for N, D in ((8, 3), (5, 4))]
    report = check_backward(lambda x, w: (x @ w, (x, w)), backward, lambda x, w: x @ w, inputs)
    assert [fault.hint for fault in report.faults] == [says and f"{says} times the right value"]
