"""What is no statement of its own is searched like one: lambdas of a table, comprehensions, the cases of a match."""

import pytest
import torch
from edits import edited
from lines_programs import written

from compare import check_backward

TABLE = """\
import numpy as np

ACT = {"tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a))}
SLOPE = {"tanh": lambda y: 1 - y**2, "sigmoid": lambda y: y * (1 - y)}

def forward(p, x):
    tape = []
    for name, W in p.items():
        y = ACT[name](x @ W)
        tape.append((x, y, name))
        x = y
    return x, tape

def backward(p, tape, d):
    grads = {}
    for x, y, name in reversed(tape):
        d_z = d * SLOPE[name](y)
        grads[name] = x.T @ d_z
        d = d_z @ p[name].T
    return d, grads
"""
COMPREHENSIONS = """\
import numpy as np

def forward(p, x):
    hs = {name: np.tanh(x @ W) for name, W in p.items()}
    return sum(hs.values()), (x, hs)

def backward(p, tape, d):
    x, hs = tape
    d_zs = {name: d * (1 - h**2) for name, h in hs.items()}
    d_x = sum(d_z @ p[name].T for name, d_z in d_zs.items())
    return d_x, {name: x.T @ d_z for name, d_z in d_zs.items()}
"""
MATCH = """\
import numpy as np

def slope(name, a):
    match name:
        case "tanh":
            return 1 - np.tanh(a) ** 2
        case "relu":
            return (a > 0) * 1.0

def forward(p, x):
    a = x @ p["tanh"]
    b = np.tanh(a) @ p["relu"]
    return np.maximum(b, 0), (x, a, b)

def backward(p, tape, d):
    x, a, b = tape
    d_b = d * slope("relu", b)
    d_a = d_b @ p["relu"].T * slope("tanh", a)
    return d_a @ p["tanh"].T, {"tanh": x.T @ d_a, "relu": np.tanh(a).T @ d_b}
"""

REFERENCES = {
    TABLE: lambda p, x: torch.sigmoid(torch.tanh(x @ p["tanh"]) @ p["sigmoid"]),
    COMPREHENSIONS: lambda p, x: torch.tanh(x @ p["a"]) + torch.tanh(x @ p["b"]),
    MATCH: lambda p, x: torch.relu(torch.tanh(x @ p["tanh"]) @ p["relu"]),
}
PARAMETERS = {
    TABLE: {"tanh": (3, 4), "sigmoid": (4, 2)},
    COMPREHENSIONS: {"a": (3, 2), "b": (3, 2)},
    MATCH: {"tanh": (3, 4), "relu": (4, 2)},
}


def checked(program, text, folder):
    """The report on a program that should be this text."""
    module, inputs = written(program, folder), {"x": (5, 3)}
    return check_backward(module.forward, module.backward, REFERENCES[text], inputs, parameters=PARAMETERS[text])


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, right, wrong, words",
    [
        (TABLE, "lambda y: 1 - y**2", "lambda y: 1 - y", "y in the place of y**2"),
        (COMPREHENSIONS, "d * (1 - h**2)", "d * (1 - h)", "h in the place of h**2"),
        (MATCH, "return 1 - np.tanh(a) ** 2", "return np.tanh(a) ** 2", "in the place of"),
        (TABLE, "lambda y: y * (1 - y)", "lambda y: (1 - y)", "the factor y is missing"),
        (TABLE, "lambda a: 1 / (1 + np.exp(-a))", "lambda a: 1 / (1 + np.exp(a))", "the sign is wrong"),
        (COMPREHENSIONS, "d_z @ p[name].T", "2 * d_z @ p[name].T", "the factor 2 is too much"),
        (MATCH, "(a > 0) * 1.0", "(a < 0) * 1.0", ""),
    ],
)
def test_it_is_mended(text, right, wrong, words, tmp_path):
    program = edited(text, (right, wrong))
    (found,) = checked(program, text, tmp_path).wrong_lines
    line = program[: program.index(wrong)].count("\n") + 1
    (change,) = [change for change in found.changes if change.line == line]
    assert words in change.words
    assert change.code in program and change.repair


@pytest.mark.slow
@pytest.mark.parametrize("text", REFERENCES, ids=["table", "comprehensions", "match"])
def test_what_is_right_agrees(text, tmp_path):
    assert checked(text, text, tmp_path).agrees
