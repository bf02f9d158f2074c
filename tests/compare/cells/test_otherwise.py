"""A wrong LAYOUT or wrong OPTIONS: one question instead of many faults, and shapes instead of an error of NumPy."""

import pytest
from derived import write
from tiers import rarely

from compare.cells.check import check_file

STACKED = """
import numpy as np
CELL = "lstm"
LAYOUT = {"columns": True, "biases": 1}

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def forward(p, x, h, c, probe):
    output = []
    for x_t in x:
        z = x_t @ p["weight_ih"] + h @ p["weight_hh"] + p["bias"]
        f, i, g, o = np.split(z, 4, axis=1)
        f, i, o, g = probe("f", sigmoid(f)), probe("i", sigmoid(i)), probe("o", sigmoid(o)), probe("g", np.tanh(g))
        c = f * c + i * g
        h = o * np.tanh(c)
        output.append(h)
    return np.stack(output), h, c, output

def backward(p, tape, d_output, d_h_n, d_c_n, probe):
    return ...
"""


@pytest.mark.exhaustive
def test_a_wrong_order_of_the_gates_is_one_question(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(STACKED)
    report = check_file(path)
    assert (report.kinds, report.faults) == (["layout", "open"], [])
    assert str(report).startswith("LAYOUT: is the order f i g o?\n    with it nothing is wrong")
    path.write_text(STACKED.replace("i * g", "i * g * 1.5"))
    assert check_file(path).question == ""


@pytest.mark.parametrize(
    "cell, change, question",
    [
        ("rnn", ('"columns": True', '"columns": False'), "LAYOUT: is columns True?"),
        *rarely(
            ("rnn", ('"biases": 1', '"biases": 0'), "LAYOUT: is biases 1?"),
            ("rnn", ('"nonlinearity": "tanh"', '"nonlinearity": "relu"'), "OPTIONS: is nonlinearity 'tanh'?"),
        ),
    ],
)
@pytest.mark.slow
def test_what_makes_the_outputs_right_is_asked(cell, change, question, tmp_path):
    report = check_file(write(tmp_path / "mine.py", cell, change))
    assert (report.question, report.kinds, report.outcome) == (question, ["layout"], "disagree")


@pytest.mark.exhaustive
def test_a_mistake_in_the_forward_pass_alone_is_no_other_option(tmp_path):
    """As another option has it, but then more is wrong in the backward pass."""
    path = write(tmp_path / "mine.py", "gru", ("(1 - z) * n + z * h_prev", "z * n + (1 - z) * h_prev"))
    report = check_file(path)
    assert report.question == ""
    assert report.titles == ["(G7) h"], str(report)


def test_a_parameter_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = write(tmp_path / "mine.py", "rnn", ('p["weight_ih"] +', 'p["W"] +'))
    expected = r"p: expected one of weight_ih \(4, 5\), weight_hh \(5, 5\), bias \(5,\), as LAYOUT .* say; got 'W'"
    with pytest.raises(ValueError, match=expected):
        check_file(path)


@pytest.mark.slow
def test_one_that_does_not_fit_is_shown_beside_all_that_there_are(tmp_path):
    report = check_file(write(tmp_path / "mine.py", "rnn", ('@ p["weight_hh"] +', '@ p["weight_hh"][1:] +')))
    assert report.misfits[0].words.endswith("h_prev is (3, 5), p['weight_hh'][1:] is (4, 5)")
    assert report.notes[-1].endswith("D = 4 and H = 5: weight_ih (4, 5), weight_hh (5, 5), bias (5,)")
