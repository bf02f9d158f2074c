"""Find the one known mistake that explains every difference of a cell's derivation.

Without probes, only consequences can be seen. So this project's own equations are run with one known mistake at a time:
those of ``mistakes.py``, substituted by a probe, and the faults of the catalogue, which change the source. A mistake
that reproduces every output and gradient of the derivation is the explanation.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from compare.diagnosis.catalogue import FAULTS, TextFault
from compare.diagnosis.derivations import Answer, Arrays, Problem
from compare.diagnosis.equations import equation
from compare.diagnosis.mistakes import INTERMEDIATES
from manual.arrays import Array, Probe
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel

#: By the file of ``manual`` that the catalogue's faults are made in.
KERNELS: dict[str, Any] = {
    "lstm.py": LSTMKernel,
    "lstm_variants.py": LSTMVariantKernel,
    "gru.py": GRUKernel,
    "rnn.py": RNNKernel,
}

#: The largest error, relative to the scale of each tensor, at which an answer matches.
MATCH = 1e-9


def explanation(
    cell: str, equations: str, problem: Problem, express: Callable[[Arrays], Arrays], answer: Answer
) -> str:
    """Return the equation and the words of a known mistake that gives this answer; "" if there is none.

    Args:
        cell: the name of the cell.
        equations: a key of ``equations.EQUATIONS``.
        problem: parameters in PyTorch's layout, x (T, B, D) and the initial state, (B, H) each.
        express: converts gradients from PyTorch's layout to that of the answer.
        answer: the outputs and gradients of the derivation.
    """
    turned = _with_z_negated if "renewing" in equations else dict
    problem = replace(problem, parameters=turned(problem.parameters))

    def reproduces(kernel: Any, probe: Probe | None) -> bool:
        x, *state = problem.inputs.values()
        d_output, *d_state = problem.d_outputs.values()
        output, last, tape = kernel.forward(x, tuple(state), problem.parameters, probe)
        d_x, d_initial, gradients = kernel.backward(tape, d_output, tuple(d_state), probe)
        outputs, d_inputs = zip(problem.d_outputs, (output, *last)), zip(problem.inputs, (d_x, *d_initial))
        made = Answer(dict(outputs), dict(d_inputs), express(turned(gradients))).tensors()
        return all(_same(array, made[name]) for name, array in answer.tensors().items())

    file, options = f"{cell}.py", {}
    if cell == "gru":
        options = {"reset_after": "reset before" not in equations}
    variant = {name: name in equations for name in ("peepholes", "coupled")}
    if any(variant.values()):
        file, options = "lstm_variants.py", variant
    right = KERNELS[file](**options)
    for name, mistakes in INTERMEDIATES.get(equations, {}).items():
        for words, formula in mistakes:
            with suppress(KeyError, AttributeError):  # the formula needs values of other steps
                if reproduces(right, _Mistaken(name, formula, problem, right.gates)):
                    number = equation(equations, name).number
                    return f"{f'({number}) ' if number else ''}{name}: {words}"
    own = [fault for fault in FAULTS if fault.cell == equations and fault.file == file and not fault.lengths]
    for fault in own:
        if "proj_size" not in fault.options and reproduces(_broken(fault)(**fault.options), None):
            numbers = dict.fromkeys(equation(equations, name.partition("[")[0]).number for name in fault.wrong)
            return f"({', '.join(filter(None, numbers))}) {fault.title}"
    return ""


def _with_z_negated(arrays: Arrays) -> Arrays:
    """Return a GRU's parameters or gradients for an update gate that is the other way round: 1 - σ(z) is σ(-z)."""
    split = {name: np.split(array, 3) for name, array in arrays.items()}
    return {name: np.concatenate([r, -z, n]) for name, (r, z, n) in split.items()}


class _Mistaken:
    """A probe that makes a mistake in one intermediate; its formula reads the values computed so far at that step."""

    def __init__(self, name: str, formula: Callable[[Any], Array], problem: Problem, gates: tuple[str, ...]):
        self.name, self.formula, self.problem, self.gates = name, formula, problem, gates
        self.seen: dict[tuple[str, int], Array] = {}
        self.t = 0

    def __call__(self, name: str, t: int, value: Array) -> Array:
        """Record and return the value, or the mistaken one for the chosen intermediate."""
        self.t = t
        self.seen[name, t] = value
        if name == self.name:
            self.seen[name, t] = np.asarray(self.formula(self))
        return self.seen[name, t]

    def __getitem__(self, name: str) -> Array:
        return self.seen[name, self.t]

    def __getattr__(self, name: str) -> Array:
        return self.problem.inputs["x"][self.t] if name == "x" else self[name]

    def parameter(self, name: str, gate: str) -> Array:
        """Return one gate's rows of a parameter."""
        gates = [own for own in self.gates if own != "g" or name != "weight_ch"]
        return np.split(self.problem.parameters[name], len(gates))[gates.index(gate)]

    def peephole(self, gate: str) -> Array:
        """Return the peephole weights of one gate, (H,)."""
        return self.parameter("weight_ch", gate)

    def carried_back(self, state: str) -> Array:
        """Return the gradient of a state carried back from the next step."""
        later = self.seen.get((f"d_{state}_prev", self.t + 1))
        return self.problem.d_outputs[f"{state}_n"] if later is None else later


def _broken(fault: TextFault) -> Any:
    """Return the kernel with the fault injected."""
    kernel = KERNELS[fault.file]
    path, module = Path(inspect.getfile(kernel)), ModuleType(kernel.__module__)
    exec(compile(fault.inject(path.read_text()), path, "exec"), vars(module))
    return getattr(module, kernel.__name__)


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= MATCH * np.abs(other).max())
