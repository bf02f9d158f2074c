"""Hold a derivation against autograd: a layer of ``manual``, or somebody's own in a file of theirs.

A file says what it derives: ``CELL``, ``LAYOUT`` and ``OPTIONS``, as the starter files do, or, against a torch module
of the user's own, ``INPUTS``, the shapes of the inputs by name, and ``OUTPUTS``, the names of the outputs.
"""

import copy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

import torch_impl
from compare.agreement import TOLERANCES
from compare.cells import CELLS
from compare.diagnosis.derivations import Answer, Layer, Problem, Reference, call_recurrent, layer_problem, reference
from compare.diagnosis.diagnose import Checked, diagnose
from compare.diagnosis.equations import form_of
from compare.diagnosis.fast_kernels import fast_against_text
from compare.diagnosis.layouts import Layout
from manual.arrays import Array, Probe, as_state, state_parts
from manual.recurrent import Recurrent

#: The sizes a derivation is tried at: all different, so that nothing that is transposed or swapped fits.
T, B, D, H = 6, 3, 4, 5


def check_layer(
    layer: Recurrent, twin: nn.Module, cell: str, lengths: list[int] | None = None, seed: int = 0
) -> Checked:
    """Check a layer of ``manual`` against its twin in ``torch_impl``, and its fast kernels against its text.

    Args:
        layer: what is checked. It stays as it is.
        twin: the same layer for autograd. It stays as it is.
        cell: a key of ``equations.EQUATIONS``.
        lengths: of the rows, where they differ, at most T.
        seed: of the random weights and arguments.
    """
    layer, twin = copy.deepcopy(layer), copy.deepcopy(twin).eval()
    problem = layer_problem(layer, T, len(lengths) if lengths else B, np.random.default_rng(seed))
    right = reference(twin, problem, call_recurrent(twin, lengths))
    gates = layer.kernel.gates

    def blocks(name: str, array: Array) -> dict[str, Array]:
        """By gate; a projection has none, nor has a cell of one block."""
        if len(gates) == 1 or name.startswith("weight_hr"):
            return {"": array}
        return dict(zip(gates, np.split(array, len(gates))))

    tolerance = TOLERANCES[layer.dtype.name]
    checked = diagnose(
        f"manual.{type(layer).__name__}",
        Layer(layer, lengths),
        problem,
        right,
        cell=cell,
        gates=gates,
        blocks=blocks,
        d_state={name: problem.d_outputs[f"{name}_n"] for name in layer.state_sizes},
        lengths=lengths,
        tolerance=tolerance,
    )
    return replace(checked, fast=fast_against_text(layer, problem, lengths, tolerance))


class FileDerivation:
    """The derivation in a user's file: its ``forward(p, *inputs, probe)`` and ``backward(p, tape, *d_outputs, probe)``.

    Args:
        name: of the file, as the user wrote it.
        module: the file, loaded.

    Raises:
        ValueError: a function is missing.
    """

    def __init__(self, name: str, module: ModuleType):
        for function in ("forward", "backward"):
            if not callable(getattr(module, function, None)):
                raise ValueError(f"{name}: expected a function {function}, got none")
        self.name, self.module = name, module

    def solve(self, problem: Problem, probe: Probe | None) -> Answer:
        """Run both passes, on copies of all that is passed in."""

        def copies(arrays: dict[str, Array]) -> list[Array]:
            return [array.copy() for array in arrays.values()]

        p = dict(zip(problem.parameters, copies(problem.parameters)))
        *outputs, tape = self._returned("forward", self.module.forward(p, *copies(problem.inputs), probe))
        names = self._named("forward", outputs, [*problem.d_outputs], "and what backward needs")
        returned = self._returned("backward", self.module.backward(p, tape, *copies(problem.d_outputs), probe))
        *d_inputs, gradients = returned
        d_names = self._named("backward", d_inputs, [*problem.inputs], "and the gradients", "d_")
        if not isinstance(gradients, dict):
            raise ValueError(f"backward: expected a dict of gradients at the end, got {type(gradients).__name__}")
        return Answer(names, d_names, {name: np.asarray(array) for name, array in gradients.items()})

    @staticmethod
    def _returned(function: str, returned: object) -> tuple[Any, ...]:
        if not isinstance(returned, tuple):
            raise ValueError(f"{function}: expected several values to be returned, got {type(returned).__name__}")
        return returned

    @staticmethod
    def _named(function: str, values: list[Any], names: list[str], more: str, prefix: str = "") -> dict[str, Array]:
        if len(values) != len(names):
            expected = ", ".join(prefix + name for name in names)
            raise ValueError(f"{function}: expected {expected} {more}, got {len(values) + 1} values")
        return {name: np.asarray(value) for name, value in zip(names, values)}


def load(path: Path) -> ModuleType:
    """Run a user's file.

    Raises:
        ValueError: it is not there. Whatever running it raises passes through.
    """
    if not path.is_file():
        raise ValueError(f"FILE: expected a Python file, got {path}, which is not there")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    # Not by import, which would take a file changed within the last second for the one it has compiled before.
    exec(compile(path.read_bytes(), path, "exec"), vars(module))
    return module


def check_file(path: Path, reference_class: tuple[Path, str] | None = None, seed: int = 0) -> Checked:
    """Check the derivation in a file.

    Args:
        path: the file.
        reference_class: the file and the name of the torch module to check it against; that of its ``CELL`` if None.
        seed: of weights and arguments.

    Raises:
        ValueError: the file does not say what it derives, or returns what cannot be compared. Whatever its own code
            raises passes through.
    """
    module = load(path)
    derivation = FileDerivation(str(path), module)
    rng = np.random.default_rng(seed)
    if reference_class is not None:
        return _check_against(derivation, *reference_class, rng)
    cell = getattr(module, "CELL", None)
    if cell not in CELLS:
        raise ValueError(f"CELL: expected one of {', '.join(CELLS)} in {path}, got {cell!r}")
    return _check_cell(derivation, cell, rng)


def _check_cell(derivation: FileDerivation, cell: str, rng: np.random.Generator) -> Checked:
    """Against the written-out twin, whose weights come from the user's layout, and its gradients go into it."""
    file, gates, states = derivation.module, CELLS[cell].gates, CELLS[cell].states
    try:
        layout = Layout(**{"gates": " ".join(gates)} | getattr(file, "LAYOUT", {}))
        layout.check_gates(gates)
        twin = CELLS[cell].of(torch_impl)(D, H, dtype=torch.float64, **getattr(file, "OPTIONS", {}))
    except TypeError as error:  # a key that neither knows
        raise ValueError(f"LAYOUT, OPTIONS: {error}") from None
    inputs = {"x": rng.normal(size=(T, B, D))} | {f"{name}_0": rng.normal(size=(B, H)) for name in states}
    d_outputs = {"output": rng.normal(size=(T, B, H))} | {f"{name}_n": rng.normal(size=(B, H)) for name in states}
    theirs = Problem(layout.draw(D, H, rng), inputs, d_outputs)
    canonical = layout.to_torch(theirs.parameters, gates)
    ours = Problem({f"{name}_l0": array for name, array in canonical.items()}, inputs, d_outputs)

    def call(x: torch.Tensor, *state: torch.Tensor, probe: Any) -> tuple[torch.Tensor, ...]:
        """One layer: no axis for layers in the state, no suffix to the names."""
        output, last = twin(
            x,
            as_state(s[None] for s in state),
            probe=lambda name, t, value: probe(name.removesuffix("_l0"), t, value),
        )
        return output, *(s[0] for s in state_parts(last))

    right = reference(twin, ours, call)

    def express(gradients: dict[str, Array]) -> dict[str, Array]:
        return layout.from_torch({name.removesuffix("_l0"): array for name, array in gradients.items()}, gates)

    answer = right.answer
    right = Reference(right.record, Answer(answer.outputs, answer.d_inputs, express(answer.gradients)))
    return diagnose(
        derivation.name,
        derivation,
        theirs,
        right,
        cell=form_of(cell, getattr(file, "OPTIONS", {}).get("reset_after", True)),
        gates=gates,
        blocks=layout.blocks,
        parameters=canonical,
        express=express,
        d_state={name: d_outputs[f"{name}_n"][None] for name in states},
    )


def _check_against(derivation: FileDerivation, path: Path, name: str, rng: np.random.Generator) -> Checked:
    """Against a torch module of the user's own, of which nothing is known but its parameters and its probes."""
    file = derivation.module
    shapes = getattr(file, "INPUTS", None)
    if not isinstance(shapes, dict) or not shapes:
        raise ValueError(f"INPUTS: expected the shapes of the inputs by name in {derivation.name}, got {shapes!r}")
    module_class = getattr(load(path), name, None)
    if not (isinstance(module_class, type) and issubclass(module_class, nn.Module)):
        raise ValueError(f"--reference: expected a torch module {name} in {path}, got {module_class!r}")
    module = module_class().double()
    inputs = {name: np.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    parameters = {name: np.asarray(0.5 * rng.normal(size=tuple(p.shape))) for name, p in module.named_parameters()}
    returned = module(*map(torch.tensor, inputs.values()), probe=lambda name, t, value: value)
    outputs = state_parts(returned)
    names = getattr(file, "OUTPUTS", tuple(f"output {k}" for k in range(len(outputs))))
    if len(names) != len(outputs):
        raise ValueError(f"OUTPUTS: expected {len(outputs)} names in {derivation.name}, got {names!r}")
    problem = Problem(parameters, inputs, {n: rng.normal(size=tuple(o.shape)) for n, o in zip(names, outputs)})
    return diagnose(derivation.name, derivation, problem, reference(module, problem))
