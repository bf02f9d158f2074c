"""What a file may have meant: another LAYOUT or other OPTIONS, under which its forward pass is right."""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any

import numpy as np

from compare.cells.file import CellFile
from compare.cells.layout import BIASES, JOINED
from compare.checker.derivations.pair import Pair
from compare.checker.recorder import why_not_comparable

#: How far an output may be off, relative to its largest element, to count as right here. The check judges the rest.
NEAR = 1e-6


def meant(file: CellFile, says: Mapping[str, Any], derivation: Pair, seed: int) -> tuple[CellFile, str] | None:
    """Return the file with another value in LAYOUT or OPTIONS that makes all outputs right, and a question, or None."""
    for where, key, value in _others(file):
        try:
            other = CellFile({**says, where: {**says.get(where, {}), key: value}}, "")
            trial = other.trials("float64", seed)[0]
            got, right = derivation.solve(trial.problem, None).outputs, trial.reference().answer.outputs
        except Exception:  # the value does not go together with the others, or with the code
            continue
        if all(name in got and _near(got[name], array) for name, array in right.items()):
            return other, f"{where}: is " + (f"the order {value}?" if key == "gates" else f"{key} {value!r}?")
    return None


def _others(file: CellFile) -> Iterator[tuple[str, str, Any]]:
    """Yield each other value: the constant it stands in, its key and the value."""
    layout = file.layout
    values: dict[str, tuple[Any, ...]] = {
        "gates": tuple(map(" ".join, permutations(layout.gates.split()))),
        "columns": (True, False),
        "joined": JOINED,
        "stacked": (True, False),
        "biases": tuple(BIASES),
    }
    for key, several in values.items():
        yield from (("LAYOUT", key, value) for value in several if value != getattr(layout, key))
    for key, option in file.form.cell.options.items():
        now = file.form.options.get(key, option.values[0])
        yield from (("OPTIONS", key, value) for value in option.values if value != now and not isinstance(value, type))


def _near(got: Any, right: Any) -> bool:
    if why_not_comparable(got, right):
        return False
    return bool(np.abs(got - right).max(initial=0) <= NEAR * np.abs(right).max(initial=0))
