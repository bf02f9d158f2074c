"""Somebody's own file with weights in another layout: stacked, joined, transposed, with one bias, two or none.

A wrong LAYOUT or wrong OPTIONS are one question instead of many faults, or shapes instead of an error of NumPy.
"""

import pytest
from derived import write
from edits import edited
from tiers import rarely

from compare.cells.check import check_file

pytestmark = pytest.mark.usefixtures("tried_until_found")

STACKED = """
import numpy as np

CELL = "lstm"
LAYOUT = dict(gates="f i o g", stacked=True, columns={columns}, joined="hx", biases={biases})


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(p, x, h_0, c_0, probe):
    h, c, output, tape = h_0, c_0, [], []
    W = p["weight"] if {columns} else p["weight"].T
    bias = {bias}
    for t in range(len(x)):
        joined, c_prev = np.concatenate([h, x[t]], axis=1), c
        z_f, z_i, z_o, z_g = np.split(joined @ W + bias, 4, axis=1)
        f, i, o, g = sigmoid(z_f), sigmoid(z_i), sigmoid(z_o), np.tanh(z_g)
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        output.append(h)
        tape.append((joined, c_prev, f, i, o, g, c))
    return np.stack(output), h, c, tape


def backward(p, tape, d_output, d_h_n, d_c_n, probe):
    H = d_h_n.shape[1]
    W = p["weight"] if {columns} else p["weight"].T
    d_W, d_bias = np.zeros_like(W), np.zeros(4 * H)
    d_x, d_h, d_c = [], d_h_n, d_c_n
    for t in reversed(range(len(tape))):
        joined, c_prev, f, i, o, g, c = tape[t]
        d_h = probe("d_h", t, d_h + d_output[t])
        d_c = d_c + d_h * o * (1 - np.tanh(c) ** 2)
        d_z_f = probe("d_z_f", t, d_c * c_prev * f * (1 - f))
        d_z_i = probe("d_z_i", t, d_c * g * i * (1 - i))
        d_z_o = probe("d_z_o", t, d_h * np.tanh(c) * o * (1 - o))
        d_z_g = probe("d_z_g", t, d_c * i * (1 - g**2))
        d_z = np.concatenate([d_z_f, d_z_i, d_z_o, d_z_g], axis=1)
        d_W += joined.T @ d_z
        d_bias += d_z.sum(axis=0)
        d_joined = d_z @ W.T
        d_h, d_c = d_joined[:, :H], d_c * f
        d_x.append(d_joined[:, H:])
    gradients = dict(weight=d_W if {columns} else d_W.T)
    {gradients}
    return np.stack(d_x[::-1]), d_h, d_c, gradients
"""
BIASES = {
    1: ('p["bias"]', 'gradients["bias"] = d_bias'),
    2: ('p["bias_ih"] + p["bias_hh"]', 'gradients["bias_ih"] = gradients["bias_hh"] = d_bias'),
    '"scalar"': ('np.repeat(p["bias"], len(p["weight"]) // 4 if not {columns} else p["weight"].shape[1] // 4)',
                 'gradients["bias"] = d_bias.reshape(4, H).sum(axis=1)'),
    0: ("0", ""),
}  # fmt: skip


def stacked(biases, columns):
    bias, gradients = (text.format(columns=columns) for text in BIASES[biases])
    return STACKED.format(columns=columns, biases=biases, bias=bias, gradients=gradients)


@pytest.mark.parametrize(
    "biases, columns", [(1, True), (1, False), (2, True), ('"scalar"', True), ('"scalar"', False), (0, False)]
)
@pytest.mark.slow
def test_any_layout_will_do(biases, columns, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(stacked(biases, columns))
    assert check_file(path).agrees


@pytest.mark.slow
@pytest.mark.parametrize("biases, columns", [(1, False), ('"scalar"', True)])
def test_a_mistake_is_named_in_any_layout(biases, columns, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(stacked(biases, columns).replace("d_c * g * i * (1 - i)", "d_c * f * i * (1 - i)"))
    assert check_file(path).titles == ["(L10) d_z_i"]


@pytest.mark.slow
def test_the_gru_whose_reset_gate_comes_first(tmp_path):
    changes = [
        ('"reset_after": True}', '"reset_after": False}'),
        ('probe("q", t, from_h["n"])', 'probe("q", t, r * h_prev)'),
        ('from_x["n"] + r * q', 'from_x["n"] + q @ p["weight_hh_n"] + p["bias_hh_n"]'),
        ('probe("d_q", t, d_z_n * r)', 'probe("d_q", t, d_z_n @ p["weight_hh_n"].T)'),
        ('probe("d_r", t, d_z_n * q)', 'probe("d_r", t, d_q * h_prev)'),
        (' + d_q @ p["weight_hh_n"].T', " + d_q * r"),
        ('("n", d_z_n, d_q)', '("n", d_z_n, d_z_n)'),
        ("+= h_prev.T @ d_from_h", '+= (q if gate == "n" else h_prev).T @ d_from_h'),
    ]
    path = write(tmp_path / "mine.py", "gru", *changes)
    assert check_file(path).agrees
    path.write_text(path.read_text().replace(" + d_q * r", ""))
    report = check_file(path)
    assert report.titles == ["(G23) d_h_prev"]


TUTORIAL_GRU = """
import numpy as np

CELL = "gru"
LAYOUT = {"gates": "z r n", "stacked": ["z r", "n"], "joined": "hx", "biases": 1, "vectors": "columns"}
OPTIONS = {"update_gate": "renews", "reset_after": False}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(p, x, h_0):
    h, hs, tape = h_0, [], []
    for x_t in x:
        z, r = np.split(sigmoid(p["weight_zr"] @ np.concatenate([h, x_t]) + p["bias_zr"]), 2)
        n = np.tanh(p["weight_n"] @ np.concatenate([r * h, x_t]) + p["bias_n"])
        tape.append((x_t, h, z, r, n))
        h = (1 - z) * h + z * n
        hs.append(h)
    return np.stack(hs), h, tape


def backward(p, tape, d_output, d_h):
    d = {name: np.zeros_like(array) for name, array in p.items()}
    for (x, h, z, r, n), d_h_t in zip(tape[::-1], d_output[::-1]):
        d_h = d_h + d_h_t
        d_n = d_h * z * (1 - n * n)
        d_q = (p["weight_n"].T @ d_n)[: len(h)]
        d_zr = np.concatenate([d_h * (n - h) * z * (1 - z), d_q * h * r * (1 - r)])
        d["weight_zr"] += d_zr @ np.concatenate([h, x]).T
        d["weight_n"] += d_n @ np.concatenate([r * h, x]).T
        d["bias_zr"] += d_zr.sum(axis=1, keepdims=True)
        d["bias_n"] += d_n.sum(axis=1, keepdims=True)
        d_h = d_h * (1 - z) + d_q * r + (p["weight_zr"].T @ d_zr)[: len(h)]
    return d
"""


@pytest.mark.slow
def test_a_gru_as_in_tutorials_agrees(tmp_path):
    (tmp_path / "mine.py").write_text(TUTORIAL_GRU)
    report = check_file(tmp_path / "mine.py")
    assert report.agrees, str(report)
    assert report.left_out == ("d_x", "d_h_0")
    assert {one.label: one.rows_axis for one in report.as_run if one.kind == "output"} == {"output": 1, "h_n": 1}


@pytest.mark.exhaustive
def test_a_wrong_order_of_the_gates_is_one_question(tmp_path):
    path = tmp_path / "mine.py"
    changes = ('gates="f i o g"', 'gates="i f g o"'), ("    H = d_h_n.shape[1]\n", "    return ...\n")
    path.write_text(edited(stacked(1, True), *changes))
    report = check_file(path)
    assert (report.kinds, report.faults) == (["layout", "open"], [])
    assert str(report).startswith("LAYOUT: is the order f i o g?\n    with it nothing is wrong")
    path.write_text(edited(stacked(1, True), *changes, ("+ i * g\n", "+ i * g * 1.5\n")))
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
