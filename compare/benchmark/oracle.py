"""The layers' forward equations as HIPS autograd and JAX run them, and their derivatives by complex steps.

Nothing here is shared with ``manual``, whose long double results it confirms: a wrong equation there would otherwise
be taken for the truth.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compare.cells.functional import KNOWN, input_products, step
from manual.arrays import Array

#: The step. Nothing is subtracted in a complex step, so it can be as small as one likes.
STEP = np.longdouble("1e-100")

#: The largest relative difference, in units of rounding, that passes for rounding.
LIMIT = 1e5


def check_cell(cell: str) -> None:
    """Raise a ValueError unless there are equations of a cell here."""
    if cell not in KNOWN:
        raise ValueError(f"cell: expected one of {', '.join(KNOWN)}, whose equations stand here once more, got {cell}")


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
