"""Gradients of parameters that are wrong in one way: as means, in another order, of one layer or direction."""

import re
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from compare.checker.compare import Compared
from manual.arrays import Array

#: How many gates a parameter may hold side by side.
GATES = (2, 3, 4)


#: What people call the directions of a layer.
DIRECTIONS = {"forward", "fwd", "fw", "backward", "bwd", "bw", "reverse", "rev"}


def together(compared: Sequence[Compared], factors: set[str]) -> str:
    """Say in what all that is wrong is alike; "" if something else than gradients is wrong, or only one.

    Args:
        compared: everything compared.
        factors: what the wrong ones are multiplied by.
    """
    gradients = [one for one in compared if one.kind == "gradient"]
    wrong = [one for one in compared if not one.agrees]
    if len(wrong) < 2 or any(one.kind != "gradient" or len(one.actual) != 1 for one in wrong):
        return ""
    factor = next(iter(factors)) if len(factors) == 1 else ""
    times = f"{factor} times the right ones" if factor else ""
    if len(wrong) == len(gradients) and times:
        return f"the gradients of all parameters: {times}" + (f", as a mean of {factor[2:]} is" * ("1/" in factor))
    places = {one.label: next((b.label for b in wrong if _same(one.actual[0], b.right[0])), "") for one in wrong}
    if {*places} == {*places.values()}:
        pairs = [f"that of {b} in the place of that of {a}" for a, b in places.items()]
        return f"the gradients are in each other's place: {', '.join(pairs)}"
    for count in GATES:
        for order in list(permutations(range(count)))[1:]:
            if all(_reordered(one, order) for one in wrong):
                return f"the gradients of {_names(wrong)} have their {count} blocks in the order {_listed(order)}"
    for part in sorted({part for one in wrong for part in _parts(one.label)}, key=len, reverse=True):
        if [one for one in gradients if part in _parts(one.label)] == wrong and len(wrong) < len(gradients):
            return f"all gradients with {part} in their names, and no others: {times or _names(wrong)}"
    return ""


def _same(actual: Array, right: Array) -> bool:
    near = 1e-9 * np.abs(right).max(initial=0)
    return actual.shape == right.shape and bool(np.abs(actual - right).max(initial=0) <= near)


def _reordered(one: Compared, order: tuple[int, ...]) -> bool:
    """Whether a gradient is right with the blocks of an axis in another order."""
    actual, right = one.actual[0], one.right[0]
    for axis in range(right.ndim) if actual.shape == right.shape else ():
        if right.shape[axis] % len(order) == 0:
            blocks = np.split(right, len(order), axis)
            if _same(actual, np.concatenate([blocks[k] for k in order], axis)):
                return True
    return False


def _parts(name: str) -> set[str]:
    """Return what names a layer or a direction: where a name is in nested dicts, its numbers, and a direction."""
    words = re.split(r"[\W_]+", name)
    numbered = {part for word in words if (digits := re.search(r"\d+$", word)) for part in (word, digits[0])}
    return {*name.split(".")[:-1]} | numbered | ({*words} & DIRECTIONS)


def _names(compared: Sequence[Compared]) -> str:
    return _listed([one.label for one in compared])


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))
