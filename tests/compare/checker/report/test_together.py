"""Gradients that are wrong in one way are one finding: those of a layer or direction, swapped ones, other gates."""

import numpy as np
import pytest
import torch

from compare import check_backward

SUFFIXES = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
SHAPES = {"W" + suffix: (2, 8) for suffix in SUFFIXES} | {"b" + suffix: (8,) for suffix in SUFFIXES}
SLOPES = np.arange(1.0, 9)


def forward(p, x):
    return sum(k * ((x @ p["W" + s] + p["b" + s]) * SLOPES).sum() for k, s in enumerate(SUFFIXES, 1)), x


def reference(p, x):
    slopes = torch.tensor(SLOPES)
    return sum(k * ((x @ p["W" + s] + p["b" + s]) * slopes).sum() for k, s in enumerate(SUFFIXES, 1))


def titles(change):
    """The titles of what is found if the gradients are changed so."""

    def backward(p, x, d):
        found = {"W" + s: d * k * x.sum(0)[:, None] * SLOPES for k, s in enumerate(SUFFIXES, 1)}
        found |= {"b" + s: d * k * len(x) * SLOPES for k, s in enumerate(SUFFIXES, 1)}
        return None, change(found)

    return check_backward(forward, backward, reference, {"x": (3, 2)}, parameters=SHAPES).titles


def only(part, change):
    return lambda found: {name: change(value) if part in name else value for name, value in found.items()}


def in_other_places(found):
    return {name: found[name.translate(str.maketrans("01", "10"))] for name in found}


@pytest.mark.parametrize(
    "change, says",
    [
        (only("", lambda d: d / 3), "the gradients of all parameters: 1/3 times the right ones, as a mean of 3 is"),
        (only("reverse", lambda d: 2 * d), "all gradients with reverse in their names, and no others: 2 times"),
        (only("l1", lambda d: d + d**2), "all gradients with l1 in their names, and no others: W_l1, W_l1_reverse, b"),
        (only("l0", lambda d: d[..., [2, 3, 0, 1, 4, 5, 6, 7]]), "have their 4 blocks in the order 1, 0, 2, 3"),
        (in_other_places, "the gradients are in each other's place: that of W_l1 in the place of that of W_l0"),
    ],
    ids=["all", "direction", "layer", "gates", "swapped"],
)
def test_it_is_one_finding(change, says):
    (found,) = titles(change)
    assert says in found


def test_what_has_nothing_in_common_is_not_one_finding():
    assert len(titles(lambda found: found | {name: found[name] ** 3 for name in ("W_l0", "b_l1")})) == 2


def test_nothing_to_report_is_no_finding():
    assert titles(lambda found: found) == []
