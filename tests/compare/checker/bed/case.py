"""A program with faults, how it is checked, and an oracle for its gradients that owes nothing to the checker.

A text has the program, after ``#### REF`` the reference if that is a file of its own, and after ``#### SPEC`` what is
known of it: ``MODE`` and ``KIND``, the names of its functions, the sizes to check it at, ``FRESH`` ones for the oracle,
and ``FAULTS``, each a kind with what it replaces by what; a ``"pair"`` replaces twice.
"""

import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

import compare

#: What the oracle draws with at each of the fresh sizes.
SEEDS = range(11, 15)

#: The largest error of a right gradient, relative to its largest element.
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Fault:
    """A program with a fault, and the numbers of its wrong lines."""

    kind: str
    program: str
    lines: set[int]


class Case:
    """A right program, and the same one with each of its faults."""

    def __init__(self, file: Path):
        program, spec = file.read_text().split("#### SPEC\n")
        self.name = file.stem
        self.program, _, self.reference = program.partition("#### REF\n")
        self.spec = {"np": np, "torch": torch, "FORWARD": "forward", "BACKWARD": "backward", "REF": "reference"}
        exec(compile(spec, file, "exec"), self.spec)
        self.mode, self.kind = self.spec["MODE"], self.spec["KIND"]
        self.faults = [self._fault(kind, *edits) for kind, *edits in self.spec["FAULTS"]]

    def _fault(self, kind, *edits):
        program = self.program
        for old, new in edits[0] if kind == "pair" else [edits]:
            assert self.program.count(old) == 1, (self.name, old)
            program = program.replace(old, new)
        pairs = enumerate(zip(self.program.splitlines(), program.splitlines(), strict=True), 1)
        return Fault(kind, program, {number for number, (right, wrong) in pairs if right != wrong})

    def write(self, program: str, folder: Path) -> Path:
        """Write the program, or one with a fault, and its reference beside it."""
        path = folder / f"{self.name}.py"
        path.write_text(program)
        path.with_name("reference.py").write_text(self.reference)
        return path

    def check(self, path: Path):
        """Return the report of the check that the program is written for."""
        if self.mode == "file":
            return compare.check_file(path, reference=(path.with_name("reference.py"), self.spec["REF"]))
        if self.mode == "function":
            (function,), reference = self._loaded(path, "FUNCTION")
            return compare.check_function(function, reference, *self.spec["ARGS"](torch.Generator().manual_seed(0)))
        pair, reference = self._loaded(path, "FORWARD", "BACKWARD")
        return compare.check_backward(*pair, reference, self.spec["INPUTS"], parameters=self.spec["PARAMETERS"])

    def is_right(self, path: Path) -> bool:
        """Return whether all outputs and gradients are autograd's at the fresh sizes; what raises is not right."""
        both = self._function_and_autograd if self.mode == "function" else self._pair_and_autograd
        try:
            runs = (both(path, sizes, seed) for sizes in self.spec["FRESH"] for seed in SEEDS)
            return all(_error(*one) < TOLERANCE for run in runs for one in zip(*run, strict=True))
        except Exception:
            return False

    def _loaded(self, path, *names):
        module = _load(path)
        reference = _load(path.with_name("reference.py")) if self.reference else module
        return [getattr(module, self.spec[name]) for name in names], getattr(reference, self.spec["REF"])

    def _function_and_autograd(self, path, draw, seed):
        (function,), reference = self._loaded(path, "FUNCTION")
        drawn = draw(torch.Generator().manual_seed(seed))
        tensors = [one for one in drawn if isinstance(one, torch.Tensor) and one.is_floating_point()]
        leaves = {id(one) for one in tensors if one.requires_grad} or {*map(id, tensors)}
        copies = ([_leaf(one) if id(one) in leaves else one for one in drawn] for _ in range(2))
        return [_autograd(one, copy, seed) for one, copy in zip((function.apply, reference), copies)]

    def _pair_and_autograd(self, path, sizes, seed):
        (forward, backward), reference = self._loaded(path, "FORWARD", "BACKWARD")
        rng = np.random.default_rng(seed)

        def drawn(size):
            return np.asarray(rng.normal(size=size) if isinstance(size, tuple) else size(rng))

        inputs, parameters = sizes if isinstance(sizes, tuple) else (sizes, sys.modules[path.stem].PARAMETERS)
        inputs = _each(drawn, inputs)
        parameters = parameters(inputs) if callable(parameters) else parameters
        first = [_each(drawn, parameters)] if parameters else []
        arguments = [*first, *inputs.values()]
        *outputs, tape = forward(*deepcopy(arguments))
        gradients = _tuple(backward(*first, tape, *_incoming(outputs, seed)))
        got = [*outputs, *gradients[len(inputs) :], *gradients[: len(inputs)]]  # autograd's come in order of arguments
        return got, _autograd(reference, [_each(_leaf, one) for one in arguments], seed)


def _load(path):
    sys.modules[path.stem] = module = ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), vars(module))  # a cache tells no two files of a second
    return module


def _tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _each(function, value):
    """Apply a function to a value, or to each in a dict of dicts."""
    return {key: _each(function, one) for key, one in value.items()} if isinstance(value, dict) else function(value)


def _leaf(value):
    tensor = torch.as_tensor(value).detach().clone()
    return tensor.requires_grad_(tensor.is_floating_point())


def _incoming(outputs, seed):
    """Return an incoming gradient for each output, a plain number for a scalar one."""
    rng = np.random.default_rng([seed, 1])
    return [rng.normal(size=np.shape(one)) if np.ndim(one) else rng.normal() for one in outputs]


def _autograd(function, arguments, seed):
    """Return the outputs of a function, and the gradient of each argument, None if it has none."""
    outputs = _tuple(function(*arguments))
    sum((one * torch.as_tensor(d)).sum() for one, d in zip(outputs, _incoming(outputs, seed))).backward()
    return [*outputs, *(_each(lambda leaf: getattr(leaf, "grad", None), one) for one in arguments)]


def _error(got, want):
    """Return the largest error of an array or a dict of them, relative to the largest element of what it should be."""
    if isinstance(want, dict):
        return max(_error(got[key], want[key]) for key in want)
    if want is None:
        return 0.0
    got = got.copy() if isinstance(got, np.ndarray) else got  # torch takes no negative strides
    got, want = torch.as_tensor(got, dtype=torch.float64).detach(), want.detach()
    if got.shape != want.shape or not got.isfinite().all():
        return np.inf
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-30))
