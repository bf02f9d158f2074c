"""Check a recurrent layer against its written-out twin: a layer of ``manual``, or a derivation in a file."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from compare.agreement import TOLERANCES
from compare.cells import CELLS
from compare.cells import form as forms
from compare.cells.fast_kernels import fast_against_text
from compare.cells.hints.cell_hints import cell_hints
from compare.cells.layer import Layer, layer_problem
from compare.cells.layout import FILE_KEYS, Layout
from compare.checker.arguments import as_dtype
from compare.checker.check import check_against
from compare.checker.compare import Blocks, Compared
from compare.checker.derivations.file import load
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Answer, Arrays, Derivation, Problem
from compare.checker.diagnose import K, Subject, diagnose
from compare.checker.expected import Expected
from compare.checker.general_hints import general_hint
from compare.checker.localise import Localiser
from compare.checker.recorder import Record
from compare.checker.reference import Autograd, Reference, call_recurrent, of_module
from compare.checker.report.report import Report
from compare.checker.trials import Trial
from manual.arrays import Array, as_state, state_parts
from manual.recurrent import Recurrent

#: The sizes at which faults are located: all different, so that a transposed or swapped array does not fit.
T, B, D, H = 6, 3, 4, 5

#: T, B, D, H and the scale of x for each trial of a file: the usual sizes, one step, one row, many steps, and
#: pre-activations far into saturation.
SIZES = ((T, B, D, H, 1.0), (1, 2, 3, 4, 1.0), (5, 1, 2, 3, 1.0), (64, 2, 3, 4, 1.0), (4, 3, 2, 5, 20.0))


def check_layer(
    layer: Recurrent, twin: nn.Module, cell: str, lengths: list[int] | None = None, seed: int = 0
) -> Report:
    """Check a layer of ``manual`` against its twin in ``torch_impl``, and its fast kernels against its text.

    Args:
        layer: the layer to check; it is not changed.
        twin: the same layer for autograd; it is not changed.
        cell: a key of ``equations.EQUATIONS``.
        lengths: the number of steps in each row, at most T, if they differ.
        seed: the seed of weights and arguments.
    """
    layer, twin = copy.deepcopy(layer), copy.deepcopy(twin).eval()
    rows = len(lengths) if lengths else B
    problem = layer_problem(layer, T, rows, np.random.default_rng(seed))
    gates, blocks = layer.kernel.gates, _blocks(layer)

    def d_state(trial: Trial) -> Arrays:
        return {name: trial.problem.d_outputs[f"{name}_n"] for name in layer.state_sizes}

    trial = _trial(layer, twin, problem, lengths)
    report = diagnose(
        Subject(
            f"manual.{type(layer).__name__}",
            Layer(layer, lengths),
            lambda dtype: [trial],
            gates,
            blocks,
            cell,
            hint=cell_hints(cell, gates, blocks, d_state, lengths=lengths),
            dtype="float64",
            tolerance=TOLERANCES[layer.dtype.name],
        )
    )
    report.fast = fast_against_text(layer, problem, lengths, TOLERANCES[layer.dtype.name])
    return report


def compare_layer(layer: Recurrent, twin: nn.Module, problem: Problem) -> list[Compared]:
    """Compare a layer of ``manual`` with its twin on a given problem, as the code runs.

    Args:
        layer: the layer to compare; it is not changed.
        twin: the same layer for autograd; it is not changed.
        problem: the arguments of both.
    """
    trial = _trial(layer, twin, problem)
    expected = Expected(trial, "float64", K, TOLERANCES[layer.dtype.name])
    return Localiser(Layer(copy.deepcopy(layer)), trial, expected, layer.kernel.gates, _blocks(layer)).run().compared


def _trial(layer: Recurrent, twin: nn.Module, problem: Problem, lengths: list[int] | None = None) -> Trial:
    T, B, D = problem.inputs["x"].shape
    return Trial(
        f"T = {T}, B = {B}, D = {D}, H = {layer.hidden_size}",
        problem,
        Autograd(of_module(twin, call_recurrent(lengths)), problem).run,
        {"T": T, "B": B},
    )


def _blocks(layer: Recurrent) -> Blocks:
    gates = layer.kernel.gates

    def blocks(name: str, array: Array) -> dict[str, Array]:
        """Split by gate; a projection has none, nor has a cell with one block; an LSTM's candidate has no peephole."""
        if len(gates) == 1 or name.startswith("weight_hr"):
            return {"": array}
        own = [gate for gate in gates if gate != "g" or not name.startswith("weight_ch")]
        return dict(zip(own, np.split(array, len(own))))

    return blocks


class CellForm:
    """The cell that a file derives: its CELL, LAYOUT and OPTIONS.

    Raises:
        ValueError: one of them is unknown.
    """

    def __init__(self, cell: Any, layout: Mapping[str, Any], options: Mapping[str, Any], where: str):
        if cell not in CELLS:
            other = "; anything else needs --reference FILE:NAME" if cell is None else ""
            raise ValueError(f"CELL: expected one of {', '.join(CELLS)} in {where}, got {cell!r}{other}")
        self.cell, self.options = cell, dict(options)
        self.gates = tuple(gate for gate in CELLS[cell].gates if gate != "f" or not self.options.get("coupled"))
        self.states = CELLS[cell].states
        known = dict.fromkeys(FILE_KEYS)
        for key in layout:
            if key not in known:
                raise ValueError(forms.unknown_key("LAYOUT", key, known))
        given: dict[str, Any] = {"gates": " ".join(self.gates)}
        given |= {key: tuple(value) if isinstance(value, list) else value for key, value in layout.items()}
        self.layout = Layout(**given, peepholes=bool(self.options.get("peepholes")))
        self.layout.check_gates(self.gates)
        forms.form(cell, self.options, 1, 1)

    @property
    def equations(self) -> str:
        """The key of its equations in ``EQUATIONS``."""
        return forms.equations_key(self.cell, self.options)

    def trial(self, size: tuple[int, int, int, int, float], dtype: str, seed: int) -> Trial:
        """Make a problem in the file's layout, and its reference."""
        T, B, D, H, scale = size
        rng = np.random.default_rng(seed)

        def normal(*shape: int) -> Array:
            return np.asarray(rng.normal(size=shape))

        inputs = {"x": scale * normal(T, B, D)} | {f"{name}_0": normal(B, H) for name in self.states}
        d_outputs = {"output": normal(T, B, H)} | {f"{name}_n": normal(B, H) for name in self.states}
        theirs = as_dtype(self.layout.draw(D, H, rng), dtype)
        inputs, d_outputs = (as_dtype(arrays, dtype) for arrays in (inputs, d_outputs))
        canonical = self.layout.parameters(theirs)
        ours = Problem({f"{name}_l0": array for name, array in canonical.items()}, inputs, d_outputs)
        twin = forms.form(self.cell, self.options, D, H)

        def call(run: Callable[..., Any], inputs: list[Any], recorder: Any) -> tuple[Any, ...]:
            """Run one layer, without a layer axis in the state and without a suffix on the names."""
            x, *state = inputs
            output, last = run(
                x,
                as_state(s[None] for s in state),
                probe=lambda name, t, value: recorder(name.removesuffix("_l0"), t, value),
            )
            return output, *(s[0] for s in state_parts(last))

        autograd = Autograd(of_module(twin, call), ours)

        def reference(*arguments: Any, **options: Any) -> Reference:
            return self._translated(autograd.run(*arguments, **options))

        label = f"T = {T}, B = {B}, D = {D}, H = {H}" + (", large values" if scale > 1 else "")
        problem = Problem(theirs, self._all_turned(inputs), self._all_turned(d_outputs))
        axes = {"T": T, "B": B}
        return Trial(label, problem, reference, axes, rows_last=self.layout.vectors == "columns")

    @property
    def hint(self) -> Callable[[Trial, Expected, Compared], str]:
        """The function that describes a fault."""
        if self.layout.vectors == "columns":
            return general_hint

        def d_state(trial: Trial) -> Arrays:
            return {name: trial.problem.d_outputs[f"{name}_n"][None] for name in self.states}

        return cell_hints(self.equations, self.gates, self.layout.blocks, d_state, self.express, self.layout.parameters)

    def express(self, gradients: Arrays) -> Arrays:
        """Convert gradients from PyTorch's layout to the file's."""
        return self.layout.of_gradients({n.removesuffix("_l0"): a for n, a in gradients.items()})

    def _turned(self, array: Array) -> Array:
        """Swap the last two axes if vectors are columns."""
        return array.swapaxes(-1, -2).copy() if self.layout.vectors == "columns" and array.ndim > 1 else array

    def _all_turned(self, arrays: Arrays) -> Arrays:
        return {name: self._turned(array) for name, array in arrays.items()}

    def _translated(self, right: Reference) -> Reference:
        record: Record = {key: self._turned(value) for key, value in right.record.items()}
        answer = right.answer
        outputs, d_inputs = self._all_turned(answer.outputs), self._all_turned(answer.d_inputs)
        return Reference(record, Answer(outputs, d_inputs, self.express(answer.gradients)))


def check_cell(derivation: Derivation, form: CellForm, name: str, seed: int, dtype: str | None) -> Report:
    """Check a derivation of a cell, in any layout, at several sizes.

    Args:
        derivation: the derivation to check.
        form: the cell, layout and options.
        name: names the derivation in messages.
        seed: the seed of weights and arguments.
        dtype: the precision of the derivation; read from what it returns if None.
    """
    return diagnose(
        Subject(
            name,
            derivation,
            lambda dtype: [form.trial(size, dtype, seed) for size in SIZES],
            form.gates,
            form.layout.blocks,
            form.equations,
            hint=form.hint,
            dtype=dtype,
        )
    )


def check_file(path: Path | str, reference: tuple[Path | str, str] | None = None, seed: int = 0) -> Report:
    """Check the derivation in a file, as ``python -m compare check`` does.

    The file defines ``forward(p, *inputs, probe)`` and ``backward(p, tape, *d_outputs, probe)``, and says what it
    derives: CELL, LAYOUT and OPTIONS for a cell; for any other reference INPUTS and, if needed, OUTPUTS, AXES,
    PARAMETERS and TOLERANCE. DTYPE gives its precision if that differs from the precision of what it returns.

    Args:
        path: the file.
        reference: file and name of the torch module or function to check it against; the file's CELL if None.
        seed: the seed of weights and arguments.

    Raises:
        ValueError: the file does not say what it derives, or returns something that cannot be compared. Exceptions
            raised by its code propagate.
    """
    path = Path(path)
    module = load(path)
    for function in ("forward", "backward"):
        if not callable(getattr(module, function, None)):
            raise ValueError(f"{path}: expected a function {function}, got none")
    if reference is not None:
        return check_against(module, path, Path(reference[0]), reference[1], seed)
    form = CellForm(
        getattr(module, "CELL", None), getattr(module, "LAYOUT", {}), getattr(module, "OPTIONS", {}), str(path)
    )
    pair = Pair(module.forward, module.backward, dict, str(path))
    return check_cell(pair, form, str(path), seed, getattr(module, "DTYPE", None))
