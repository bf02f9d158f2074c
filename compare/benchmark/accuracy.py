"""The rounding error of each side in float32 and float64, against the hand-derived equations in long double.

The long double results are confirmed first, by the equations of ``functional.py`` and their derivatives by
complex steps: a wrong equation in ``manual`` would otherwise be taken for the truth. That two sides agree within a
tolerance leaves open which one is closer to the truth. Errors are in ulps, units in the last place: the spacing of the
dtype's numbers at the tensor's largest element.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import manual
import torch_impl
from compare.agreement import Disagreement, by_hand, compare
from compare.cells import CELLS
from compare.cells.functional import KNOWN, input_products, step
from compare.cells.layer import Layer, layer_problem
from compare.checker.reference import Autograd, of_module
from manual.arrays import Array, as_state, state_parts

#: The hand-derived side, the written-out twin, and the layer of ``torch.nn``.
SIDES = ("manual", "autograd", "nn")


#: The largest error that passes for rounding.
MAX_ULPS = 10_000


@dataclass(frozen=True)
class RoundingError:
    """The deviation of one side's tensor from the truth, in ulps: of the worst element, and the root mean square."""

    dtype: str
    T: int
    tensor: str
    side: str
    worst: float
    rms: float


def measure(cell: str, hidden_size: int, batch_size: int, lengths: list[int], seed: int) -> list[RoundingError]:
    """Measure the error of every side in every tensor of a cell in ``functional.py``, on problems of each length T.

    Raises:
        Disagreement: the long double results are not those of the equations, a side is off by more than rounding, or
            the hand-derived one raises an error.
        ValueError: the machine's long double is not wider than float64, or the cell has no equations there.
    """
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        raise ValueError("accuracy: expected a long double wider than float64, which this machine lacks")
    if cell not in KNOWN:
        raise ValueError(f"cell: expected one of {', '.join(KNOWN)}, whose equations stand here once more, got {cell}")
    D, kind = 4, CELLS[cell]
    found = []
    for dtype in ("float32", "float64"):
        for T in lengths:
            rng = np.random.default_rng(seed)
            with by_hand(f"{kind.class_name} at T = {T}"):
                layer = kind.of(manual)(D, hidden_size, dtype=dtype, rng=rng)
                problem = layer_problem(layer, T, batch_size, rng)
                wide = kind.of(manual)(D, hidden_size, dtype=np.longdouble, rng=rng)
                widened = problem.in_precision("longdouble")
                answer = Layer(wide).solve(widened, None)
                answers = [Layer(layer).solve(problem, None)]
            for package in (torch_impl, torch.nn):
                module = kind.of(package)(D, hidden_size, dtype=getattr(torch, dtype))
                answers.append(Autograd(of_module(module, _call), problem).run(dtype=getattr(torch, dtype)).answer)
            expected = {name: tensor.astype(dtype) for name, tensor in answers[-1].tensors().items()}
            forms = compare(answers[0].tensors(), expected, tolerance=np.inf)
            if wrong := [f"{one.name}: {one.problem}" for one in forms if one.problem]:
                raise Disagreement(f"manual in {dtype} at T = {T}: {'; '.join(wrong)}")
            if wrong := unconfirmed(cell, widened, answer):
                raise Disagreement(f"manual in long double at T = {T}: wrong: {', '.join(wrong)}")
            truth = answer.tensors()
            found += [
                _error(dtype, T, name, side, tensor, truth[name])
                for side, answer in zip(SIDES, answers, strict=True)
                for name, tensor in answer.tensors().items()
            ]
    beyond = [f"{e.tensor} of {e.side} in {e.dtype} at T = {e.T}" for e in found if not e.worst <= MAX_ULPS]
    if beyond:
        raise Disagreement(f"more than {MAX_ULPS:,} ulps: {', '.join(beyond)}")
    return found


def ratio_to_manual(errors: list[RoundingError], dtype: str, side: str) -> float:
    """Return a side's root mean square error over the manual side's: the geometric mean over tensors and lengths."""
    by_side = {
        name: np.array([error.rms for error in errors if (error.dtype, error.side) == (dtype, name)])
        for name in ("manual", side)
    }
    positive = (by_side["manual"] > 0) & (by_side[side] > 0)
    return float(np.exp(np.mean(np.log(by_side[side][positive] / by_side["manual"][positive]))))


def _error(dtype: str, T: int, name: str, side: str, tensor: Array, truth: Array) -> RoundingError:
    ulp = np.spacing(np.abs(truth).max().astype(dtype))
    distance = (np.abs(tensor.astype(np.longdouble) - truth) / ulp).astype(float)
    return RoundingError(dtype, T, name, side, float(distance.max()), float(np.sqrt(np.mean(distance**2))))


def _call(run: Callable[..., Any], inputs: list[Any], recorder: object) -> tuple[torch.Tensor, ...]:
    """Run a layer, this project's or ``torch.nn``'s, on x and its state."""
    x, *state = inputs
    output, last = run(x, as_state(state))
    return output, *state_parts(last)


#: The step. Nothing is subtracted in a complex step, so it can be as small as one likes.
STEP = np.longdouble("1e-100")

#: The largest relative difference, in units of rounding, that passes for rounding.
LIMIT = 1e5


def forward(cell: str, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> list[Array]:
    """Return the output (T, B, H) and the final state, (1, B, H) each, of one layer in one direction."""
    of_layer = {name.removesuffix("_l0"): array for name, array in weights.items()}
    x, *initial = inputs.values()
    state, output = tuple(part[0] for part in initial), []
    for from_x in input_products(np, cell.upper(), of_layer, x):
        state = step(np, cell.upper(), of_layer, from_x, state)
        output.append(state[0])
    return [np.stack(output), *(part[None] for part in state)]


def unconfirmed(cell: str, problem: Any, truth: Any) -> list[str]:
    """Return the names of the results in long double that are not those of the equations.

    Outputs are compared element by element, each gradient by its product with a random direction.
    """
    eps = float(np.finfo(np.longdouble).eps)
    rng = np.random.default_rng(0)
    right = dict(zip(truth.outputs, forward(cell, problem.inputs, problem.parameters), strict=True))
    wrong = [
        name
        for name, array in right.items()
        if not np.abs(truth.outputs[name] - array).max() <= LIMIT * eps * np.abs(array).max()
    ]
    for group, gradients in (("inputs", truth.d_inputs), ("parameters", truth.gradients)):
        for name, gradient in gradients.items():
            arrays: dict[str, dict[str, Any]] = {"inputs": dict(problem.inputs), "parameters": dict(problem.parameters)}
            direction = rng.normal(size=gradient.shape).astype(np.longdouble)
            arrays[group][name] = arrays[group][name] + 1j * STEP * direction
            outputs = forward(cell, arrays["inputs"], arrays["parameters"])
            weighed = sum((a * d).sum() for a, d in zip(outputs, problem.d_outputs.values(), strict=True))
            terms = gradient * direction
            if not abs(weighed.imag / STEP - terms.sum()) <= LIMIT * eps * np.sqrt((terms**2).sum()):
                wrong.append(f"d_{name}")
    return wrong
