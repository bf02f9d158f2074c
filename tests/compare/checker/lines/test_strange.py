"""Of several lines in which a change makes everything right, which one is wrong."""

import pytest
import torch
from edits import edited
from lines_programs import written
from tiers import rarely

from compare.checker.derivations.pair import Pair
from compare.checker.lines.find import wrong_lines
from compare.checker.lines.strange import ADJOINT
from compare.checker.trials import Trials

#: Stages, with an index that is computed and a loop over names.
STAGES = """\
import numpy as np

STEP = 2

def forward(p, x):
    u, v = x @ p["a"], x @ p["b"]
    s = u / 3
    y = np.tanh(s) * v
    out = np.zeros((len(x), y.shape[1] // STEP))
    for i in range(out.shape[1]):
        out[:, i] = y[:, STEP * i]
    return out, (x, v, s)

def backward(p, tape, dout):
    x, v, s = tape
    dy = np.zeros_like(v)
    for i in range(dout.shape[1]):
        start = i * STEP
        dy[:, start] += dout[:, i]
    dv = dy * np.tanh(s)
    dt = dy * v
    ds = dt * (1 - np.tanh(s) ** 2)
    du = ds / 3
    grads = {}
    for name, d in [("a", du), ("b", dv)]:
        grads[name] = x.T @ d
    return du @ p["a"].T + dv @ p["b"].T, grads
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("start = i * STEP", "start = i"),
        ('("a", du), ("b", dv)', '("a", dv), ("b", du)'),
        *rarely(
            ("du = ds / 3", "du = ds"),  # as right where ds is divided, which is then no adjoint of s
            ("dt = dy * v", "dt = dy"),
            ("dv = dy * np.tanh(s)", "dv = dy * np.tanh(v)"),
        ),
    ],
)
def test_of_lines_in_which_a_change_is_right_the_one_that_leaves_none_strange_is_named(old, new, tmp_path):
    module = written(edited(STAGES, (old, new)), tmp_path)
    trials = Trials(lambda p, x: (torch.tanh(x @ p["a"] / 3) * (x @ p["b"]))[:, ::2], {"x": (5, 4)},
                    {"a": (4, 8), "b": (4, 8)}, None, "", 0)  # fmt: skip
    (wrong,) = wrong_lines(Pair(module.forward, module.backward, trials.nested), [*trials("float64")], seconds=60)
    line = next(k for k, text in enumerate(STAGES.splitlines(), 1) if old in text)
    assert line in wrong.lines and len(wrong.lines) <= 2
    assert (line, STAGES.splitlines()[line - 1].strip()) in {(one.line, one.repair) for one in wrong.changes}


@pytest.mark.parametrize(
    "name", ["d_h", "dh", "grad_h", "gradh", "h_grad", "hgrad", "dL_dh", "dLdh", "d_loss_d_h", "delta_h"]
)
def test_how_people_name_an_adjoint(name):
    found = ADJOINT.fullmatch(name)
    assert (found[1] or found[2]) == "h"
