"""Check a recurrent layer against its written-out twin: a layer of ``manual``, or a derivation in a file."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from torch import autograd, nn

from compare.agreement import TOLERANCES
from compare.cells.file import CellFile, Parameters, said_in, shapes
from compare.cells.layer import Layer, form_of, layer_problem
from compare.cells.layout import BIASES, JOINED, LaidOut
from compare.checker.check import check_against
from compare.checker.compare import Compared
from compare.checker.derivations.file import file_and_name, load
from compare.checker.derivations.misfit import Misfit, misfit
from compare.checker.derivations.octave.folder import Folder
from compare.checker.derivations.open import Span
from compare.checker.derivations.pair import Pair, as_functions
from compare.checker.derivations.problem import Problem
from compare.checker.diagnose import K, Subject, diagnose
from compare.checker.expected import Expected
from compare.checker.recorder import why_not_comparable
from compare.checker.reference import Autograd, call_recurrent, of_module
from compare.checker.report.report import Report
from compare.checker.run import Runner
from compare.checker.trials import Trial
from manual.recurrent import Recurrent

#: The sizes at which faults are located: all different, so that a transposed or swapped array does not fit.
T, B, D, H = 6, 3, 4, 5


def check_layer(layer: Recurrent, twin: nn.Module, lengths: list[int] | None = None, seed: int = 0) -> Report:
    """Check a layer of ``manual`` against its twin in ``torch_impl``, and its fast kernels against its equations.

    ``lengths`` are the numbers of steps in each row, at most T, if they differ.
    """
    layer, twin = copy.deepcopy(layer), copy.deepcopy(twin).eval()
    problem = layer_problem(layer, T, len(lengths) if lengths else B, np.random.default_rng(seed))
    trial, derivation = _trial(layer, twin, problem, lengths), Layer(layer, lengths)
    name, form, tolerance = f"manual.{type(layer).__name__}", form_of(layer), TOLERANCES[layer.dtype.name]
    report = diagnose(Subject(name, derivation, lambda dtype: [trial], form, dtype="float64", tolerance=tolerance))
    report.fast = derivation.fast_against_equations(problem, tolerance)
    return report


def compare_layer(layer: Recurrent, twin: nn.Module, problem: Problem) -> list[Compared]:
    """Compare a layer of ``manual`` with its twin on a given problem, as the code runs."""
    trial = _trial(layer, twin, problem)
    expected = Expected(trial, "float64", K, TOLERANCES[layer.dtype.name])
    return Runner(Layer(copy.deepcopy(layer)), trial, expected, form_of(layer)).run().compared


def _trial(layer: Recurrent, twin: nn.Module, problem: Problem, lengths: list[int] | None = None) -> Trial:
    T, B, D = problem.inputs["x"].shape
    return Trial(
        f"T = {T}, B = {B}, D = {D}, H = {layer.hidden_size}",
        problem,
        Autograd(of_module(twin, call_recurrent(lengths)), problem).run,
        {"T": T, "B": B},
    )


def check_file(
    path: Path | str,
    reference: tuple[Path | str, str] | str | None = None,
    seed: int = 0,
    cell: str | None = None,
    fast: bool = False,
    shown: str = "solution",
) -> Report:
    """Check the derivation in a file, or in a folder with MATLAB files, as ``python -m compare check`` does.

    The file defines ``forward(p, *inputs, probe)`` and ``backward(p, tape, *d_outputs, probe)``, and says what it
    derives: CELL, LAYOUT and OPTIONS for a cell; for any other reference INPUTS and, if needed, OUTPUTS, AXES,
    PARAMETERS and TOLERANCE. DTYPE gives its precision if that differs from the precision of what it returns.
    A folder has ``forward.m`` and ``backward.m``, which Octave runs. For a cell it may have a ``layout.m`` that returns
    LAYOUT and OPTIONS as structs; for any other reference, the reference's file has INPUTS and what else is needed.

    Args:
        path: the file or folder.
        reference: file and name of the torch module or function to check it against, as a pair or as ``FILE:NAME``;
            the cell if None.
        seed: the seed of weights and arguments.
        cell: the cell; the file's CELL if None.
        fast: whether the first size and draw is enough.
        shown: what is told of a mistake in a file that has open places or LEARNING = True: ``"solution"``, ``"hint"``
            for its line and what is wrong with it, or "".

    Raises:
        ValueError: the file does not say what it derives, or returns something that cannot be compared, Octave is
            needed and not installed, or a MATLAB file raises an error. Exceptions raised by other code propagate.
    """
    path = Path(path)
    if isinstance(reference, str):
        reference = file_and_name(reference)
    if path.is_dir():
        if reference is not None:
            return check_against(None, path, Path(reference[0]), reference[1], seed, fast)
        folder = Folder(path, dict, steps_last=True)
        return _check_cell(path, folder, said_in(folder.engine), cell, seed, fast)
    misfits: dict[Span, Misfit] = {}
    while True:  # what does not fit is set aside, as what is not derived, and the rest is checked
        module = load(path, *misfits)
        try:
            forward, backward = passes(module, path)
            if reference is None:
                pair = Pair(forward, backward, Parameters, str(path))
                report = _check_cell(path, pair, vars(module), cell, seed, fast)
            else:
                module.forward, module.backward = forward, backward  # type: ignore[attr-defined]
                report = check_against(module, path, Path(reference[0]), reference[1], seed, fast)
        except Exception as error:
            found = misfit(error, path)
            if found is None or found.span in misfits:
                raise
            misfits[found.span] = found
            continue
        report.misfits, report.shown = list(misfits.values()), shown
        if misfits and isinstance(report.notation, LaidOut):
            held = report.notation.layout.draw(D, H, np.random.default_rng(seed))
            report.notes.append(f"p holds, as LAYOUT says, with D = {D} and H = {H}: {shapes(held)}")
        report.learning = getattr(module, "LEARNING", False) is True
        return report


def passes(module: ModuleType, path: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the passes of a file, which may be methods of its only class with both; a ValueError if there are none."""
    classes = [one for one in vars(module).values() if isinstance(one, type)]
    of_torch = [one for one in classes if issubclass(one, autograd.Function)]
    own = [one for one in classes if one.__module__ == module.__name__]
    own = [one for one in own if hasattr(one, "forward") and hasattr(one, "backward")]
    if len(own) == 1 and not hasattr(module, "forward") and own[0] not in of_torch:
        return as_functions(own[0])
    instead = "the autograd.Function {.__name__}, for which there is compare.assert_function" if of_torch else "none"
    for function in ("forward", "backward"):
        if not callable(getattr(module, function, None)):
            raise ValueError(f"{path}: expected a function {function}, got {instead.format(*of_torch)}")
    return module.forward, module.backward


def _check_cell(
    path: Path, derivation: Pair, says: Mapping[str, Any], cell: str | None, seed: int, fast: bool
) -> Report:
    says = says if cell is None else {**says, "CELL": cell}
    file = CellFile(says, str(path))

    def checked(file: CellFile) -> Report:
        trials = partial(file.trials, seed=seed)
        return diagnose(Subject(str(path), derivation, trials, file.form, dtype=says.get("DTYPE"), fast=fast))

    try:
        report = checked(file)
        if all(one.agrees for one in report.as_run if one.kind == "output"):
            return report
    except ValueError:  # as of a parameter that is not there, or does not fit
        if found := meant(file, says, derivation, seed):
            return replace(checked(found[0]), question=found[1])
        raise
    if found := meant(file, says, derivation, seed):
        asked = replace(checked(found[0]), question=found[1])
        asked_count, count = (len(one.faults) + len(one.consequences) + len(one.misplaced) for one in (asked, report))
        if asked_count < count:  # else the forward pass is wrong, and by chance as another option has it
            return asked
    return report


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
