"""Random configurations of every layer against torch: all outputs, all gradients, all arguments random.

Each trial also holds that no argument is changed, that backward gives the same bits twice, and that a run that
overwrites the memory of an earlier one has the same results.
"""

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

from reporter import Failed, soak  # isort: skip - it prepares the search path

import numpy as np
import torch
from forms import backward, forward
from test_against_torch import CELLS, TORCH_HAS_NOT, Trial

import manual
import torch_impl
from compare.agreement import TOLERANCES
from compare.lockstep.rounding import DRAWS

Arrays = dict[str, Any]

#: How many times the error of torch's layer the error may be, where the difference is above the tolerance.
FACTOR = 32

#: Forms that ``torch.nn`` has not.
VARIANTS = {
    "lstm, peepholes": ("LSTM", {"peepholes": True}),
    "lstm, coupled": ("LSTM", {"coupled": True}),
    "lstm, peepholes, coupled": ("LSTM", {"peepholes": True, "coupled": True}),
}
CELLS |= VARIANTS


class Case(Trial):
    """One configuration, with arguments at scales from tiny to saturating."""

    def __init__(self, rng: np.random.Generator):
        cell = str(rng.choice(list(CELLS)))
        largest = (100, 70, 40, 70) if rng.random() < 0.05 else (12, 8, 6, 12)
        T, B, D, H = (int(rng.integers(1, most + 1)) for most in largest)
        layers, unbatched = int(rng.integers(1, 4)), bool(rng.random() < 0.1)
        dropout = float(rng.choice([0, 0, 0, 0.3, 1])) if layers > 1 else 0.0
        has_lengths = not unbatched and rng.random() < 0.4
        super().__init__(
            cell,
            options={
                "num_layers": layers,
                "bidirectional": bool(rng.integers(2)),
                "bias": bool(rng.random() < 0.8),
                "batch_first": bool(rng.integers(2)),
                "dropout": dropout,
            },
            shape=(T, 1 if unbatched else B, D, max(H, CELLS[cell][1].get("proj_size", 0) + 1)),
            lengths=rng.integers(1, T + 1, B).tolist() if has_lengths else None,
            unbatched=unbatched,
            masked=bool(dropout),
            dtype=str(rng.choice(list(TOLERANCES))),
            own={"engine": str(rng.choice(["numpy", "compiled"])), "threads": int(rng.choice([1, 1, 2, 3]))},
        )
        nn_has_it = cell not in TORCH_HAS_NOT and cell not in VARIANTS
        self.package = torch.nn if nn_has_it and not self.masked and rng.random() < 0.7 else torch_impl
        if rng.random() < 0.5:
            for name, array in self.layer.parameters.items():
                array[...] = rng.normal(size=array.shape) / np.sqrt(H) - 10 * ("bias" in name) * (rng.random() < 0.1)
        for array in self.arrays().values():
            array *= rng.choice([1e-3, 0.3, 1, 1, 1, 5])

    def arrays(self) -> Arrays:
        """All arguments and parameters by name."""
        states = {
            f"{k} of {name}": array for name in ("state", "d_state") for k, array in enumerate(getattr(self, name))
        }
        return {"x": self.x, "d_output": self.d_output} | states | self.layer.parameters

    def changed(self, change: Callable[[Any], Any]) -> "Case":
        """Return the same with each array changed."""
        other = copy(self)
        other.x, other.d_output = change(self.x), change(self.d_output)
        other.state, other.d_state = (list(map(change, arrays)) for arrays in (self.state, self.d_state))
        other.layer = copy(self.layer)
        other.layer.parameters = {name: change(array) for name, array in self.layer.parameters.items()}
        return other

    def __str__(self) -> str:
        words = {"lengths": self.lengths, "unbatched": self.unbatched, "masked": self.masked}
        return f"{self.layer!r} T={self.shape[0]} B={self.shape[1]} {words} against {self.package.__name__}"

    def truth(self) -> Arrays:
        """Run the written-out equations in long double; return all results by name."""
        other, wide = self.changed(lambda array: array.astype(np.longdouble)), self.build(manual, dtype=np.longdouble)
        wide.parameters = other.layer.parameters
        other.layer, other.masks = wide, self.masks if self.masks is None else self.masks.astype(np.longdouble)
        return other.by_hand(probe=lambda name, t, value: value)

    def movement(self, name: str) -> float:
        """Return how far a unit of rounding of every argument moves a result of torch's layer."""
        rng, eps = np.random.default_rng(0), np.finfo(self.dtype).eps

        def moved(array: Any) -> Any:
            return (array * (1 + eps * rng.choice([-1, 1], array.shape))).astype(self.dtype)

        right = self.by_autograd(self.package)[name]
        return max(_error(self.changed(moved).by_autograd(self.package)[name], right) for _ in range(DRAWS))


def trial(seed: int) -> str:
    """Compare one random configuration with torch."""
    rng = np.random.default_rng(seed)
    case = Case(rng)
    before = deepcopy(case.arrays())
    mine, tape = forward(case.layer, case, **case.called_with)
    gradients = backward(case.layer, tape, case)
    mine |= gradients
    kept = deepcopy(mine)
    theirs = case.by_autograd(case.package)
    if not all(np.isfinite(array).all() for array in theirs.values()):
        return "not finite on torch's side either"
    ended = _compare(case, mine, theirs)
    _same(case, "backward a second time", backward(case.layer, tape, case), gradients)
    if rng.random() < 0.2:
        _compare(case, case.by_hand(probe=lambda name, t, value: value), theirs)
    _same(case, "a run over the memory of another", case.by_hand(out=tape), kept)
    _same(case, "what was returned before, after that", mine, kept)
    _same(case, "the arguments", case.arrays(), before)
    return ended


def _compare(case: Case, mine: Arrays, theirs: Arrays) -> str:
    """Compare results with torch's; above the tolerance, hold the errors of both in long double against each other."""
    if mine.keys() != theirs.keys():
        raise Failed(f"{case}: expected {sorted(theirs)}, got {sorted(mine)}")
    truth: Arrays = {}
    for name, reference in theirs.items():
        actual = mine[name]
        if (actual.shape, actual.dtype) != (reference.shape, reference.dtype):
            raise Failed(f"{case}: {name} is {actual.dtype} {actual.shape}, not {reference.dtype} {reference.shape}")
        distance, scale = np.abs(actual - reference).max(), np.abs(reference).max()
        if distance <= TOLERANCES[case.dtype] * scale:
            continue
        truth = truth or case.truth()
        # A tensor that saturated gates leave next to nothing of may be exact by chance, not all of a layer's.
        alike = [other for other in theirs if other.partition("_l")[2] == name.partition("_l")[2]]
        error, torchs = _error(actual, truth[name]), max(_error(theirs[other], truth[other]) for other in alike)
        if not error <= FACTOR * torchs and not error <= case.movement(name):
            scale = np.abs(truth[name]).max()
            raise Failed(f"{case}: error of {name} {error:.1e}, of torch's {torchs:.1e}, largest element {scale:.1e}")
    return "agree by their errors in long double" if truth else "agree within the tolerance"


def _error(actual: Any, truth: Any) -> float:
    return float(np.abs(actual - truth).max())


def _same(case: Case, what: str, arrays: Arrays, expected: Arrays) -> None:
    for name, array in arrays.items():
        if array.tobytes() != expected[name].tobytes():
            raise Failed(f"{case}: {what}: other bits in {name}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.seterr(over="ignore")
    soak(trial)
