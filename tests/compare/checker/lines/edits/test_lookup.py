"""Products that what is needed of a statement tells of."""

import pytest
import torch
from lines_programs import written

from compare.checker.derivations.pair import Pair
from compare.checker.lines.find import wrong_lines
from compare.checker.trials import Trials

PROGRAM = """\
def forward(x, w, v):
    return x * w * v + x * x, (x, w, v)

def backward(tape, d_y):
    x, w, v = tape
    d_x = 2 * x * d_y + d_y * w * v
    d_w = d_y * x * v
    d_v = d_y * x * w
    return d_x, d_w, d_v
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, words",
    [
        (" + d_y * w * v", "", "the term w * v is missing"),
        ("d_w = d_y * x * v", "d_w = d_y", "d_y in the place of"),
    ],
)
def test_a_product_of_three_factors_is_found(old, new, words, tmp_path):
    module = written(PROGRAM.replace(old, new), tmp_path)
    shapes = {"x": (4, 3), "w": (4, 3), "v": (4, 3)}
    drawn = list(Trials(lambda x, w, v: x * w * v + x * x, shapes, None, None, "", 0)("float64"))
    ((change,),) = (wrong.changes for wrong in wrong_lines(Pair(module.forward, module.backward, None), drawn))
    assert change.line == PROGRAM[: PROGRAM.index(old)].count("\n") + 1
    assert change.words.startswith(words)
    assert change.repair


NORMALISED = """\
import numpy as np

def forward(x, w):
    e = np.exp(x)
    a = e / e.sum(-1, keepdims=True)
    r = (x.var(-1, keepdims=True) + 1e-5) ** -0.5
    n = (x - x.mean(-1, keepdims=True)) * r
    return n * w + a, (a, r, n, w)

def backward(tape, d_y):
    a, r, n, w = tape
    d_n = d_y * w
    d_x = r * (d_n - d_n.mean(-1, keepdims=True) - n * (d_n * n).mean(-1, keepdims=True))
    d_x += a * (d_y - (d_y * a).sum(-1, keepdims=True))
    return d_x, (d_y * n).sum(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        (" - n * (d_n * n).mean(-1, keepdims=True)", ""),
        (" - d_n.mean(-1, keepdims=True) - n * (d_n * n).mean(-1, keepdims=True)", ""),
        ("(d_y - (d_y * a).sum(-1, keepdims=True))", "(1 - a) * d_y"),
    ],
)
def test_the_correction_terms_of_normalisers_are_found(old, new, tmp_path):
    module = written(NORMALISED.replace(old, new), tmp_path)

    def reference(x, w):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], w) + torch.softmax(x, -1)

    drawn = list(Trials(reference, {"x": (4, 3), "w": (3,)}, None, None, "", 0)("float64"))
    (found,) = wrong_lines(Pair(module.forward, module.backward, None), drawn)
    change = found.changes[0]
    assert change.line == NORMALISED[: NORMALISED.index(old)].count("\n") + 1
    assert change.repair and len(found.changes) <= 2
