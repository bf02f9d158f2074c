"""Random configurations of every layer against torch: all outputs, all gradients, all arguments random.

Each trial also holds that no argument is changed, that backward gives the same bits twice, and that a run that
overwrites the memory of an earlier one has the same results.
"""

from copy import copy, deepcopy
from typing import Any

from reporter import Failed, soak  # isort: skip - it prepares the search path

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import manual
import torch_impl
from compare.agreement import TOLERANCES
from compare.lockstep.rounding import DRAWS

Arrays = dict[str, Any]

#: How many times the error of torch's layer the error may be, where the difference is above the tolerance.
FACTOR = 32

#: The forms of each layer, and whether ``torch.nn`` has them.
LAYERS: list[tuple[str, dict[str, Any], bool]] = [
    ("LSTM", {}, True),
    ("LSTM", {"proj_size": 2}, True),
    ("LSTM", {"peepholes": True}, False),
    ("LSTM", {"coupled": True}, False),
    ("LSTM", {"peepholes": True, "coupled": True}, False),
    ("GRU", {}, True),
    ("GRU", {"reset_after": False}, False),
    ("RNN", {}, True),
    ("RNN", {"nonlinearity": "relu"}, True),
    ("RNN", {"nonlinearity": "sigmoid"}, False),
]


class Case:
    """One configuration, with its arguments."""

    def __init__(self, rng: np.random.Generator):
        self.kind, own, nn_has_it = LAYERS[rng.integers(len(LAYERS))]
        largest = (100, 70, 40, 70) if rng.random() < 0.05 else (12, 8, 6, 12)
        self.T, self.B, self.D, self.H = (int(rng.integers(1, most + 1)) for most in largest)
        self.H = max(self.H, own.get("proj_size", 0) + 1)
        self.dtype = str(rng.choice(list(TOLERANCES)))
        self.options = own | {
            "num_layers": int(rng.integers(1, 4)),
            "bidirectional": bool(rng.integers(2)),
            "bias": bool(rng.random() < 0.8),
            "batch_first": bool(rng.integers(2)),
            "dropout": float(rng.choice([0, 0, 0, 0.3, 1])),
        }
        self.own = {"engine": str(rng.choice(["numpy", "compiled"])), "threads": int(rng.choice([1, 1, 2, 3]))}
        self.layer = getattr(manual, self.kind)(self.D, self.H, **self.options, **self.own, dtype=self.dtype, rng=rng)
        self.masked = bool(self.options["dropout"]) and self.options["num_layers"] > 1
        self.unbatched = bool(rng.random() < 0.1)
        if self.unbatched:
            self.B = 1
        has_lengths = not self.unbatched and rng.random() < 0.4
        self.lengths = rng.integers(1, self.T + 1, self.B).tolist() if has_lengths else None
        self.package = torch.nn if nn_has_it and not self.masked and rng.random() < 0.7 else torch_impl
        self.arguments = self._arguments(rng)

    def _arguments(self, rng: np.random.Generator) -> Arrays:
        """Draw parameters, x, the state and the incoming gradients, at scales from tiny to saturating."""

        def normal(*shape: int) -> Any:
            scale = rng.choice([1e-3, 0.3, 1, 1, 1, 5])
            return (scale * rng.normal(size=shape)).astype(self.dtype)

        K, names = len(self.layer.sweeps), self.layer.state_sizes
        time = (self.T,) if self.unbatched else (self.T, self.B)
        if self.options["batch_first"]:
            time = time[::-1]
        rows = (K,) if self.unbatched else (K, self.B)
        if rng.random() < 0.5:
            for name, array in self.layer.parameters.items():
                array[...] = normal(*array.shape) / np.sqrt(self.H) - 10 * ("bias" in name) * (rng.random() < 0.1)
        arrays = dict(self.layer.parameters) | {"x": normal(*time, self.D)}
        arrays |= {f"{name}_0": normal(*rows, size) for name, size in names.items()}
        arrays |= {"d_output": normal(*time, self.layer.output_size)}
        arrays |= {f"d_{name}_n": normal(*rows, size) for name, size in names.items()}
        if self.masked:
            arrays["masks"] = self.layer.draw_masks(self.T, self.B, rng)
        return arrays

    def __str__(self) -> str:
        words = {"lengths": self.lengths, "unbatched": self.unbatched, "masked": self.masked}
        return f"{self.layer!r} T={self.T} B={self.B} {words} against {self.package.__name__}"

    def by_hand(self, probe: Any = None, out: Any = None) -> tuple[Arrays, Any]:
        """Run the hand-derived layer; return all results by name, and the tape."""
        a, names = self.arguments, self.layer.state_sizes
        state, d_state = (tuple(a[form.format(n)] for n in names) for form in ("{}_0", "d_{}_n"))
        output, last, tape = self.layer.forward(
            a["x"],
            state if len(state) > 1 else state[0],
            lengths=self.lengths,
            training=self.masked,
            masks=a.get("masks"),
            probe=probe,
            out=out,
        )
        return self._named(output, last) | self.backward(tape, d_state, probe), tape

    def backward(self, tape: Any, d_state: Any = None, probe: Any = None) -> Arrays:
        """Run the backward pass."""
        d_state = d_state or tuple(self.arguments[f"d_{name}_n"] for name in self.layer.state_sizes)
        d_last = d_state if len(d_state) > 1 else d_state[0]
        d_x, d_first, gradients = self.layer.backward(tape, self.arguments["d_output"], d_last, probe)
        d_firsts = d_first if isinstance(d_first, tuple) else (d_first,)
        names = [f"d_{name}_0" for name in self.layer.state_sizes]
        return {"d_x": d_x} | dict(zip(names, d_firsts, strict=True)) | gradients

    def by_torch(self) -> Arrays:
        """Run the layer of torch; return all results by name."""
        options = {"dtype": getattr(torch, self.dtype), **self.options}
        if self.package is torch.nn:
            options["dropout"] = 0.0  # no mask, no dropout; without this nn warns of a single layer
        module = getattr(self.package, self.kind)(self.D, self.H, **options).train(self.masked)
        t = {name: torch.tensor(array) for name, array in self.arguments.items()}
        module.load_state_dict({name: t[name] for name in self.layer.parameters})
        names = list(self.layer.state_sizes)
        leaves = [t[name].requires_grad_() for name in ["x", *(f"{name}_0" for name in names)]]
        x, *state = leaves
        hx = tuple(state) if len(state) > 1 else state[0]
        if self.package is torch.nn and self.lengths:
            first = self.options["batch_first"]
            packed = pack_padded_sequence(x, torch.tensor(self.lengths), first, enforce_sorted=False)
            output, last = module(packed, hx)
            output, _ = pad_packed_sequence(output, first, total_length=self.T)
        elif self.package is torch.nn:
            output, last = module(x, hx)
        else:
            output, last = module(x, hx, lengths=self.lengths, masks=t.get("masks"))
        lasts = last if isinstance(last, tuple) else (last,)
        d_lasts = [t[f"d_{name}_n"] for name in names]
        torch.autograd.backward([output, *lasts], [t["d_output"], *d_lasts])
        gradients = {"d_x": x.grad} | {f"d_{name}_0": part.grad for name, part in zip(names, state)}
        gradients |= {name: parameter.grad for name, parameter in module.named_parameters()}
        results = self._named(output, last) | gradients
        return {name: tensor.detach().numpy() for name, tensor in results.items()}

    def truth(self) -> Arrays:
        """Run the written-out equations in long double; return all results by name."""
        other, wide = copy(self), np.longdouble
        other.arguments = {name: array.astype(wide) for name, array in self.arguments.items()}
        other.layer = getattr(manual, self.kind)(self.D, self.H, **self.options, dtype=wide)
        for name, array in other.layer.parameters.items():
            array[...] = other.arguments[name]
        return other.by_hand(probe=lambda name, t, value: value)[0]

    def movement(self, name: str) -> float:
        """Return how far a unit of rounding of every argument moves a result of torch's layer."""
        rng, eps, found = np.random.default_rng(0), np.finfo(self.dtype).eps, []
        for _ in range(DRAWS):
            other = copy(self)
            other.arguments = {
                argument: array if argument == "masks" else array * (1 + eps * rng.choice([-1, 1], array.shape))
                for argument, array in self.arguments.items()
            }
            other.arguments = {argument: array.astype(self.dtype) for argument, array in other.arguments.items()}
            found.append(_error(other.by_torch()[name], self.by_torch()[name]))
        return max(found)

    def _named(self, output: Any, last: Any) -> Arrays:
        lasts = last if isinstance(last, tuple) else (last,)
        return {"output": output} | {f"{name}_n": part for name, part in zip(self.layer.state_sizes, lasts)}


def trial(seed: int) -> str:
    """Compare one random configuration with torch."""
    rng = np.random.default_rng(seed)
    case = Case(rng)
    before = deepcopy(case.arguments)
    mine, tape = case.by_hand()
    kept = deepcopy(mine)
    theirs = case.by_torch()
    if not all(np.isfinite(array).all() for array in theirs.values()):
        return "not finite on torch's side either"
    ended = _compare(case, mine, theirs)
    _same(case, "backward a second time", case.backward(tape), {name: kept[name] for name in kept if name in mine})
    if rng.random() < 0.2:
        _compare(case, case.by_hand(probe=lambda name, t, value: value)[0], theirs)
    _same(case, "a run over the memory of another", case.by_hand(out=tape)[0], kept)
    _same(case, "what was returned before, after that", mine, kept)
    _same(case, "the arguments", case.arguments, before)
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
