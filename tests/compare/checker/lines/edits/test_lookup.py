"""Products that what is needed of a statement tells of."""

import pytest
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
