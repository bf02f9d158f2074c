"""A derivation of a cell in a user's file: its CELL, LAYOUT and OPTIONS."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compare.cells import CELLS, Form
from compare.cells.cell import unknown_key
from compare.cells.layout import FILE_KEYS, LaidOut, Layout
from compare.cells.twins import twin
from compare.checker.derivations.octave.engine import Engine
from compare.checker.derivations.problem import Answer, Arrays, Problem, in_precision
from compare.checker.reference import Autograd, Reference, of_module
from compare.checker.trials import Trial
from manual.arrays import Array, as_state, state_parts

#: T, B, D, H and the scale of x for each trial: the usual sizes, all different, so that a transposed or swapped array
#: does not fit; one step; one row; many steps; and pre-activations far into saturation.
SIZES = ((6, 3, 4, 5, 1.0), (1, 2, 3, 4, 1.0), (5, 1, 2, 3, 1.0), (64, 2, 3, 4, 1.0), (4, 3, 2, 5, 20.0))


class UnknownParameterError(KeyError, ValueError):
    """A file reads a parameter that its LAYOUT does not have."""

    __str__ = Exception.__str__


class Parameters(dict[str, Any]):
    """The parameters by name, as a file's passes receive them."""

    def __missing__(self, name: str) -> Any:
        """Raise UnknownParameterError, with the names and shapes that there are."""
        raise UnknownParameterError(f"p: expected one of {shapes(self)}, as LAYOUT and OPTIONS say; got {name!r}")


def shapes(arrays: Mapping[str, Any]) -> str:
    """Return the names of arrays with their shapes."""
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items())


class CellFile:
    """The cell that a file derives, how its weights lie, and what its passes take and return.

    Args:
        says: its CELL, LAYOUT, OPTIONS, OUTPUTS, BATCH and GRADIENTS, by name.
        where: names the file in messages.
    """

    def __init__(self, says: Mapping[str, Any], where: str):
        cell = says.get("CELL")
        if cell not in CELLS:
            other = "; anything else needs --reference FILE:NAME, a folder --cell" if cell is None else ""
            raise ValueError(f"CELL: expected one of {', '.join(CELLS)} in {where}, got {cell!r}{other}")
        form = Form(CELLS[cell], says.get("OPTIONS", {}))
        if form.options.get("proj_size"):
            raise ValueError("OPTIONS: proj_size: expected 0, since LAYOUT has no place for a projection")
        weights = twin(form, 1, 1).cell.parameter_shapes(1, 1)  # an error if the options do not go together
        given = says.get("LAYOUT", {})
        for key in given:
            if key not in FILE_KEYS:
                raise ValueError(unknown_key("LAYOUT", key, dict.fromkeys(FILE_KEYS)))
        keys: dict[str, Any] = {"gates": " ".join(form.gates), "biases": 2 if "bias_hh" in weights else 1}
        if "1" in str(given.get("joined", "")):
            keys["biases"] = 1
        keys |= {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        self.layout = Layout(**keys, recurrent="weight_hh" in weights, peepholes="weight_ch" in weights)
        self.layout.check_gates(form.gates)
        self.form = LaidOut(form.cell, form.options, self.layout)
        batch, gradients = says.get("BATCH"), says.get("GRADIENTS", "sum")
        if batch not in (None, 1):
            raise ValueError(f"BATCH: expected 1, for code that takes one row only, got {batch!r}")
        if gradients not in ("sum", "mean"):
            raise ValueError(f"GRADIENTS: expected 'sum' or 'mean', over the rows of the batch, got {gradients!r}")
        self.one_row, self.mean = batch == 1 or self.layout.vectors == "flat", gradients == "mean"
        known, outputs = ["output", *(f"{name}_n" for name in form.cell.states)], says.get("OUTPUTS")
        self.outputs = known if outputs is None else list(outputs)
        if not self.outputs or not {*self.outputs} <= {*known}:
            raise ValueError(f"OUTPUTS: expected some of {', '.join(known)}, got {outputs!r}")

    def trials(self, dtype: str, seed: int) -> list[Trial]:
        """Make a problem in the file's layout, and its reference, at each size."""
        return [self._trial(*size, dtype, np.random.default_rng(seed)) for size in SIZES]

    def _trial(self, T: int, B: int, D: int, H: int, scale: float, dtype: str, rng: np.random.Generator) -> Trial:
        def normal(*shape: int) -> Array:
            return np.asarray(rng.normal(size=shape))

        B, states = 1 if self.one_row else B, self.form.cell.states
        inputs = {"x": scale * normal(T, B, D)} | {f"{name}_0": normal(B, H) for name in states}
        d_outputs = {"output": normal(T, B, H)} | {f"{name}_n": normal(B, H) for name in states}
        theirs = in_precision(self.layout.draw(D, H, rng), dtype)
        seen = {name: array * (name in self.outputs) for name, array in d_outputs.items()}
        inputs, d_outputs = (in_precision(arrays, dtype) for arrays in (inputs, seen))
        canonical = {f"{name}_l0": array for name, array in self.layout.parameters(theirs).items()}

        def call(run: Callable[..., Any], inputs: list[Any], recorder: Any) -> tuple[Any, ...]:
            """Run one layer, without a layer axis in the state and without a suffix on the names."""
            x, *state = inputs
            output, last = run(
                x,
                as_state(s[None] for s in state),
                probe=lambda name, t, value: recorder(name.removesuffix("_l0"), t, value),
            )
            return output, *(s[0] for s in state_parts(last))

        autograd = Autograd(of_module(twin(self.form, D, H), call), Problem(canonical, inputs, d_outputs))

        def turned(arrays: Mapping[Any, Array]) -> dict[Any, Array]:
            return {name: self.turned(array) for name, array in arrays.items()}

        def shown(arrays: Arrays) -> Arrays:
            """Return what the loss sees of the outputs, in the order in which the file returns it."""
            return {name: self.turned(arrays[name]) for name in self.outputs}

        def reference(*arguments: Any, **options: Any) -> Reference:
            right = autograd.run(*arguments, **options)
            own = {name.removesuffix("_l0"): array for name, array in right.answer.gradients.items()}
            gradients = {n: d / B if self.mean else d for n, d in self.layout.of_gradients(own).items()}
            answer = Answer(shown(right.answer.outputs), turned(right.answer.d_inputs), gradients)
            return Reference(turned(right.record), answer)

        label = f"T = {T}, B = {B}, D = {D}, H = {H}" + (", large values" if scale > 1 else "")
        problem = Problem(theirs, turned(inputs), shown(d_outputs))
        axes = {"T": T} if self.layout.vectors == "flat" else {"T": T, "B": B}
        return Trial(label, problem, reference, axes, rows_last=self.layout.vectors == "columns")

    def turned(self, array: Array) -> Array:
        """Swap the last two axes if vectors are columns, and take the only row out if they are flat."""
        if self.layout.vectors == "flat" and array.ndim > 1:
            return array[..., 0, :].copy()
        return array.swapaxes(-1, -2).copy() if self.layout.vectors == "columns" and array.ndim > 1 else array


def said_in(engine: Engine) -> dict[str, Any]:
    """Return LAYOUT and OPTIONS of a folder of MATLAB files, which its ``layout.m`` returns; vectors are columns."""
    returned = engine.call("layout") if (engine.folder / "layout.m").is_file() else []
    said = dict(zip(("LAYOUT", "OPTIONS"), map(_plain, returned)))
    return said | {"LAYOUT": {"vectors": "columns"} | said.get("LAYOUT", {})}


def _plain(value: Any) -> Any:
    """Return MATLAB's value as Python would have it: a number or a truth value is no array."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype != object:
        number = value.item()
        return int(number) if number == int(number) and not isinstance(number, bool) else number
    return value
