"""A wrong line of forward is sought among those whose values the reference does not compute."""

import pytest
import torch
from lines_programs import written

from compare.checker.derivations.pair import Pair
from compare.checker.lines.find import wrong_lines
from compare.checker.trials import Trials

CELL = """\
import numpy as np

def forward(p, x, c_0):
    c, tape = c_0, []
    for x_t in x:
        before = c
        a = np.tanh(x_t @ p["W"])
        f = 1 / (1 + np.exp(-x_t @ p["U"]))
        c = f * before + a * p["s"]
        tape.append((x_t, before, a, f))
    return c, tape

def backward(p, tape, d_c):
    G = {k: np.zeros_like(v) for k, v in p.items()}
    d_x = []
    for x_t, before, a, f in reversed(tape):
        d_f = d_c * before * f * (1 - f)
        d_a = d_c * p["s"] * (1 - a**2)
        G["s"] += (d_c * a).sum(0)
        G["W"] += x_t.T @ d_a
        G["U"] += x_t.T @ d_f
        d_x.insert(0, d_a @ p["W"].T + d_f @ p["U"].T)
        d_c = d_c * f
    return np.stack(d_x), d_c, G
"""


def cell(p, x, c):
    for x_t in x:
        c = torch.sigmoid(x_t @ p["U"]) * c + torch.tanh(x_t @ p["W"]) * p["s"]
    return c


@pytest.mark.slow
@pytest.mark.parametrize(
    "new, repair",
    [
        ('a * before + f * p["s"]', 'c = f * before + a * p["s"]'),
        ('a * p["s"]', 'c = a * p["s"] + c * f'),
        ('before + a * p["s"]', 'c = before * f + a * p["s"]'),
    ],
)
def test_a_wrong_line_of_forward_and_the_right_one(new, repair, tmp_path):
    module = written(CELL.replace('f * before + a * p["s"]', new), tmp_path)
    trials = Trials(cell, {"x": (4, 3, 2), "c_0": (3, 5)}, {"W": (2, 5), "U": (2, 5), "s": (5,)}, None, "", 0)
    (wrong,) = wrong_lines(Pair(module.forward, module.backward, trials.nested), [*trials("float64")], seconds=60)
    assert [(change.line, change.repair) for change in wrong.changes] == [(9, repair)]
