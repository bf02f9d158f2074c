"""A traced run tells the uses of a value apart, even where a program writes into an array by a second name."""

import pytest
import torch
from lines_programs import written

from compare.checker.derivations.pair import Pair
from compare.checker.lines.case import Case
from compare.checker.lines.find import wrong_lines
from compare.checker.lines.trace.sensitivity import traced
from compare.checker.trials import Trials

GATED = """\
import numpy as np

def forward(p, x):
    a, q = x @ p["W"], x @ p["U"] + p["c"]
    n = np.tanh(a + q)
    return n * p["s"], (x, n)

def backward(p, tape, d_y):
    x, n = tape
    G = {k: np.zeros_like(v) for k, v in p.items()}
    d_W = G["W"]
    d_a = d_y * p["s"] * (1 - n**2)
    d_q = d_a
    d_W += x.T @ d_a
    G["U"] += x.T @ d_q
    G["c"] += d_q.sum(0)
    G["s"] += (d_y * n).sum(0)
    return d_a @ p["W"].T + d_q @ p["U"].T, G
"""


def gated(p, x):
    return torch.tanh(x @ p["W"] + x @ p["U"] + p["c"]) * p["s"]


def drawn(tmp_path, old="", new=""):
    module = written(GATED.replace(old, new), tmp_path)
    trials = Trials(gated, {"x": (4, 3)}, {"W": (3, 5), "U": (3, 5), "c": (5,), "s": (5,)}, None, "", 0)
    return Pair(module.forward, module.backward, trials.nested), [*trials("float64")]


def test_only_what_is_written_into_by_two_names_is_not_copied(tmp_path):
    case = Case(*drawn(tmp_path))
    run = traced(case, case.trials[0].problem, {})
    lines = [GATED.splitlines()[case.program.by_number[number].line - 1].split()[0] for number in run.shared]
    assert sorted(lines) == ["G", "d_W"]


@pytest.mark.slow
def test_two_names_of_one_adjoint_are_told_apart(tmp_path):
    (wrong,) = wrong_lines(*drawn(tmp_path, "d_q = d_a", "d_q = d_a * n"))
    assert list(wrong.lines) == [GATED[: GATED.index("d_q = ")].count("\n") + 1]
    assert [change.repair for change in wrong.changes] == ["d_q = d_a"]
