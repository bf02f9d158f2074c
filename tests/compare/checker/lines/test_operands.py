"""Operands that are no variables: constants of the forward pass, counts of a mask; and indices that repeat."""

import pytest
import torch
from edits import edited
from lines_programs import written

from compare import check_backward, check_function

EMBEDDING = """\
import numpy as np

def forward(p, index, w):
    v = p["E"][index]
    return v * w, (index, w, v)

def backward(p, tape, d):
    index, w, v = tape
    d_E = np.zeros_like(p["E"])
    np.add.at(d_E, index, d * w)
    return None, (d * v).sum((0, 1)), {"E": d_E}
"""
GELU = """\
import numpy as np

def forward(p, x):
    a = x @ p["W"]
    s = 1 / (1 + np.exp(-1.702 * a))
    return a * s, (x, a, s)

def backward(p, tape, d):
    x, a, s = tape
    d_s = d * a
    d_a = d * s + d_s * s * (1 - s) * 1.702
    return d_a @ p["W"].T, {"W": x.T @ d_a}
"""
MASKED = """\
import numpy as np

def forward(p, x, mask):
    e = (x @ p["w"] - 1) * mask
    return (e**2).sum() / mask.sum(), (x, mask, e)

def backward(p, tape, d):
    x, mask, e = tape
    d_e = 2 * e * d / mask.sum()
    return np.outer(d_e, p["w"]), None, {"w": x.T @ d_e}
"""
VARIANCE = """\
import numpy as np

def forward(p, x):
    e, n = x - x.mean(), len(x)
    return (e**2).sum() / (n - 1) * p["w"], (e, n, p["w"])

def backward(p, tape, d):
    e, n, w = tape
    return 2 * e * (d * w).sum() / (n - 1), {"w": d * (e**2).sum() / (n - 1)}
"""

GIVEN = {
    EMBEDDING: (lambda p, index, w: p["E"][index] * w, {"index": lambda rng: rng.integers(0, 5, (4, 6)), "w": (3,)}),
    GELU: (lambda p, x: x @ p["W"] * torch.sigmoid(1.702 * (x @ p["W"])), {"x": (5, 2)}),
    MASKED: (
        lambda p, x, mask: (((x @ p["w"] - 1) * mask) ** 2).sum() / mask.sum(),
        {"x": (7, 3), "mask": lambda rng: rng.permutation([0, 0, 1, 1, 1, 1, 1])},
    ),
    VARIANCE: (lambda p, x: x.var() * p["w"], {"x": (6,)}),
}
PARAMETERS = {EMBEDDING: {"E": (5, 3)}, GELU: {"W": (2, 3)}, MASKED: {"w": (3,)}, VARIANCE: {"w": (4,)}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, right, wrong, words",
    [
        (EMBEDDING, "np.add.at(d_E, index, d * w)", "d_E[index] += d * w", "an index that repeats counts once"),
        (GELU, "(1 - s) * 1.702", "(1 - s)", "the factor 1.702 is missing"),
        (MASKED, "d / mask.sum()", "d / len(mask)", "mask.sum()"),
        (VARIANCE, "(d * w).sum() / (n - 1)", "(d * w).sum() / n", "n in the place of"),
        (EMBEDDING, "np.add.at(d_E, index, d * w)", "d_E[index] = d * w", "an index that repeats counts once"),
        (GELU, "(1 - s) * 1.702", "(1 - s) * 1.7", "1.7 in the place of 1.702"),
        (MASKED, "d / mask.sum()", "d", "mask.sum()"),
    ],
)
def test_it_is_mended(text, right, wrong, words, tmp_path):
    program = edited(text, (right, wrong))
    module, (reference, inputs) = written(program, tmp_path), GIVEN[text]
    report = check_backward(module.forward, module.backward, reference, inputs, parameters=PARAMETERS[text])
    ((change,),) = [one.changes for one in report.wrong_lines]
    assert wrong in change.code
    assert words in change.words
    assert right in change.repair


#: A gradient whose operand is an attribute of the context, and requires a gradient.
SQUARE = """\
import torch

def slope(x, d):
    return 3 * x * d

class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, d):
        return slope(ctx.saved_tensors[0], d)
"""


@pytest.mark.slow
def test_a_tensor_that_requires_a_gradient_is_an_operand(tmp_path):
    x = torch.randn(4, 3, dtype=torch.float64)
    (fault,) = check_function(written(SQUARE, tmp_path).Square, torch.square, x).faults
    assert fault.repair == "return 2 * x * d"
