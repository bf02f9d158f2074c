"""Which known mistake explains every difference of a cell's derivation at once.

Without probes, all that differs is a consequence. So known mistakes are made in this project's own equations, one at a
time: those of ``mistakes.py``, which a probe puts in the place of the right value, and the faults of the catalogue,
which are changes of the source. One that gives exactly the answer of the derivation is what is wrong there, too.
"""

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from compare.cells import CELLS
from compare.diagnosis.catalogue import FAULTS, TextFault
from compare.diagnosis.derivations import Answer, Arrays, Problem
from compare.diagnosis.equations import equation
from compare.diagnosis.mistakes import INTERMEDIATES
from manual.arrays import Array, Probe
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.rnn import RNNKernel

KERNELS: dict[str, Any] = {"lstm": LSTMKernel, "gru": GRUKernel, "rnn": RNNKernel}

#: How close, relative to its scale, an answer has to come.
MATCH = 1e-9


def explanation(
    cell: str, equations: str, problem: Problem, express: Callable[[Arrays], Arrays], answer: Answer
) -> str:
    """Return the equation and the words of a known mistake that gives this answer; "" if none does.

    Args:
        cell: its name.
        equations: the key of its equations.
        problem: its parameters in PyTorch's layout, x (T, B, D) and the initial state, (B, H) each.
        express: from gradients in PyTorch's layout to that of the answer.
        answer: the derivation's.
    """
    reset_after = "reset before" not in equations

    def gives_it(kernel: Any, probe: Probe | None) -> bool:
        x, *state = problem.inputs.values()
        d_output, *d_state = problem.d_outputs.values()
        output, last, tape = kernel.forward(x, tuple(state), problem.parameters, probe)
        d_x, d_initial, gradients = kernel.backward(tape, d_output, tuple(d_state), probe)
        outputs, d_inputs = zip(problem.d_outputs, (output, *last)), zip(problem.inputs, (d_x, *d_initial))
        made = Answer(dict(outputs), dict(d_inputs), express(gradients)).tensors()
        return all(_same(array, made[name]) for name, array in answer.tensors().items())

    right = KERNELS[cell](reset_after) if cell == "gru" else KERNELS[cell]()
    for name, mistakes in INTERMEDIATES.get(equations, {}).items():
        for words, formula in mistakes:
            with suppress(KeyError, AttributeError):  # it needs the values of other steps
                if gives_it(right, _Mistaken(name, formula, problem, CELLS[cell].gates)):
                    number = equation(equations, name).number
                    return f"{f'({number}) ' if number else ''}{name}: {words}"
    own = [fault for fault in FAULTS if fault.cell == equations and fault.file == f"{cell}.py" and not fault.lengths]
    for fault in own:
        if "proj_size" not in fault.options and gives_it(_broken(fault, cell)(**fault.options), None):
            numbers = dict.fromkeys(equation(equations, name.partition("[")[0]).number for name in fault.wrong)
            return f"({', '.join(filter(None, numbers))}) {fault.title}"
    return ""


class _Mistaken:
    """A probe that makes a mistake in one intermediate. The formula sees what has been computed so far at that step."""

    def __init__(self, name: str, formula: Callable[[Any], Array], problem: Problem, gates: tuple[str, ...]):
        self.name, self.formula, self.problem, self.gates = name, formula, problem, gates
        self.seen: dict[tuple[str, int], Array] = {}
        self.t = 0

    def __call__(self, name: str, t: int, value: Array) -> Array:
        """Keep the value, or the mistaken one in its place, and return it."""
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
        """A gate's block of rows of a parameter."""
        return np.split(self.problem.parameters[name], len(self.gates))[self.gates.index(gate)]

    def handed_back(self, state: str) -> Array:
        """The gradient of a state that the next step passed back."""
        later = self.seen.get((f"d_{state}_prev", self.t + 1))
        return self.problem.d_outputs[f"{state}_n"] if later is None else later


def _broken(fault: TextFault, cell: str) -> Any:
    """The kernel of a cell with a fault in it."""
    path = Path(str(import_module(f"manual.{cell}").__file__))
    module = ModuleType(f"manual.{cell}")
    exec(compile(fault.inject(path.read_text()), path, "exec"), vars(module))
    return getattr(module, f"{CELLS[cell].class_name}Kernel")


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= MATCH * np.abs(other).max())
