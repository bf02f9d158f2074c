"""Forms that a derivation of a cell may have: a bias in the matrix, one row, a loss of the last h, and means."""

import pytest
from tiers import first

from compare.cells.check import check_file
from compare.lockstep.own import OwnAdding
from compare.lockstep.settings import Settings
from compare.lockstep.training import train

FORWARD = """
import numpy as np
CELL = "rnn"
LAYOUT = {"columns": True, "joined": "1xh"}
{constants}

def joined(x, h):
    return np.concatenate([np.ones_like(x[..., :1]), x, h], axis=-1)

def forward(p, x, h_0):
    h, output, tape = h_0, [], []
    for x_t in x:
        v = joined(x_t, h)
        h = np.tanh(v @ p["weight"])
        output.append(h)
        tape.append((v, h))
    return {returned}

def backward(p, tape, {incoming}):
    d_h, d_x, d_W = d_h_n, [], 0
    for t in reversed(range(len(tape))):
        v, h = tape[t]
        d_h = d_h{more}
        d_z = d_h * (1 - h * h)
        d_W = d_W + {product}
        d_v = d_z @ p["weight"].T
        D = v.shape[-1] - 1 - h.shape[-1]
        d_x.append(d_v[..., 1 : 1 + D])
        d_h = d_v[..., 1 + D :]
    return np.stack(d_x[::-1]), d_h, {gradients}
"""
ALL = {"returned": "np.stack(output), h, tape", "incoming": "d_output, d_h_n", "more": " + d_output[t]"}
LAST = {"returned": "h, tape", "incoming": "d_h_n", "more": ""}
SUM = {"product": "v.T @ d_z", "gradients": '{"weight": d_W}', "constants": ""}


def check(folder, **parts):
    text = FORWARD
    for name, part in (ALL | SUM | parts).items():
        text = text.replace("{" + name + "}", part)
    (folder / "mine.py").write_text(text)
    return check_file(folder / "mine.py")


FORMS = {
    "bias in the matrix": {},
    "last h": LAST | {"constants": 'OUTPUTS = ["h_n"]'},
    "mean": {"constants": 'GRADIENTS = "mean"', "gradients": '{"weight": d_W / len(v)}'},
    "one row": {"constants": "BATCH = 1\n", "product": "v[0][:, None] * d_z"},
    "flat": {"constants": 'LAYOUT["vectors"] = "flat"', "product": "v[:, None] * d_z"},
}


@pytest.mark.parametrize("form", first(1, FORMS))
@pytest.mark.slow
def test_the_form_is_right_as_it_is_said_and_a_mistake_in_it_is_found(form, tmp_path):
    assert check(tmp_path, **FORMS[form]).agrees
    wrong = FORMS[form].get("product", SUM["product"]).replace("d_z", "d_h")
    report = check(tmp_path, **FORMS[form] | {"product": wrong})
    assert [fault.name for fault in report.faults] == ["weight"]


@pytest.mark.slow
def test_it_is_wrong_if_it_is_not_said(tmp_path):
    with pytest.raises(ValueError, match="forward: expected output, h_n and what backward needs, got 2 values"):
        check(tmp_path, **LAST)
    assert check(tmp_path, gradients=FORMS["mean"]["gradients"]).faults[0].hint == "1/B times the right value"


@pytest.mark.parametrize(
    "constants, message",
    [
        ('OUTPUTS = ["h"]', r"OUTPUTS: expected some of output, h_n, got \['h'\]"),
        ("BATCH = 2", "BATCH: expected 1, for code that takes one row only, got 2"),
        ('GRADIENTS = "max"', "GRADIENTS: expected 'sum' or 'mean', over the rows of the batch, got 'max'"),
        ('LAYOUT["biases"] = 2', "biases: expected 1 with joined '1xh', got 2"),
        ('LAYOUT["joined"] = "x1h"', "joined: expected one of '', 'xh', .*, got 'x1h'"),
    ],
)
def test_what_cannot_be_is_named(constants, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check(tmp_path, constants=constants)


@pytest.mark.slow
def test_parameters_follow_the_inputs_and_means_are_one_finding(tmp_path):
    (tmp_path / "mine.py").write_text("""
import torch
INPUTS = [{"x": (3, 2)}, {"x": (1, 5)}]
PARAMETERS = lambda inputs: {"W": (inputs["x"].shape[1], 4), "b": (4,)}

def forward(p, x):
    return x @ p["W"] + p["b"], x

def backward(p, x, d_y):
    return d_y @ p["W"].T, {"W": x.T @ d_y / len(x), "b": d_y.sum(axis=0) / len(x)}

def reference(p, x):
    return x @ p["W"] + p["b"]
""")
    path = tmp_path / "mine.py"
    report = check_file(path, (path, "reference"))
    assert report.titles == ["the gradients of all parameters: 1/len(x) times the right ones, as a mean of len(x) is"]
    path.write_text(path.read_text().replace(" / len(x)", ""))
    assert check_file(path, f"{path}:reference").agrees
    with pytest.raises(ValueError, match=r"^reference: expected FILE:NAME, got mine\.py$"):
        check_file(path, "mine.py")


@pytest.mark.slow
def test_the_passes_may_be_methods_of_a_class(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("""
import numpy as np
CELL = "rnn"
LAYOUT = {"columns": True, "biases": 1}

class Layer:
    def __init__(self, p):
        self.p = p

    def forward(self, x, h):
        self.x, self.hs = x, [h]
        for x_t in x:
            self.hs.append(np.tanh(x_t @ self.p["weight_ih"] + self.hs[-1] @ self.p["weight_hh"] + self.p["bias"]))
        return np.stack(self.hs[1:]), self.hs[-1]

    def backward(self, d_output, d_h, probe):
        d_x, d = np.zeros_like(self.x), {name: np.zeros_like(array) for name, array in self.p.items()}
        for t in reversed(range(len(self.x))):
            d_z = probe("d_z_h", t, (d_output[t] + d_h) * (1 - self.hs[t + 1] ** 2))
            d["weight_ih"] += self.x[t].T @ d_z
            d["weight_hh"] += self.hs[t].T @ d_z
            d["bias"] += d_z.sum(axis=0)
            d_x[t], d_h = d_z @ self.p["weight_ih"].T, d_z @ self.p["weight_hh"].T
        return d_x, d_h, d
""")
    assert check_file(path).agrees
    assert train(OwnAdding(path, Settings(hidden_size=4, bits=4, steps=3, batch_size=6))).agrees
    path.write_text(path.read_text().replace("hs[t + 1] ** 2", "hs[t + 1]"))
    assert check_file(path).titles == ["(R4) d_z_h"]
