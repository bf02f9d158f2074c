"""The layers' forward equations once more, for arrays of any dtype, and their derivatives by complex steps.

Nothing here is shared with ``manual``, whose long double results it confirms: a wrong equation there would otherwise
be taken for the truth. Equation numbers are those of ``manual/DERIVATION.md``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual.arrays import Array

#: The step. Nothing is subtracted in a complex step, so it can be as small as one likes.
STEP = np.longdouble("1e-100")

#: The cells whose equations are here.
KNOWN = ("lstm", "gru", "rnn")

#: The largest relative difference, in units of rounding, that passes for rounding.
LIMIT = 1e5


def check_cell(cell: str) -> None:
    """Check that there are equations of a cell here.

    Raises:
        ValueError: there are none.
    """
    if cell not in KNOWN:
        raise ValueError(f"cell: expected one of {', '.join(KNOWN)}, whose equations stand here once more, got {cell}")


def forward(cell: str, inputs: Mapping[str, Array], weights: Mapping[str, Array]) -> list[Array]:
    """Return the output (T, B, H) and the final state, (1, B, H) each, of one layer in one direction."""
    W_ih, W_hh, b_ih, b_hh = (weights[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    x, h, *c = inputs["x"], inputs["h_0"][0], *(state[0] for name, state in inputs.items() if name == "c_0")
    output = []
    for x_t in x:
        from_x, from_h = x_t @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        if cell == "lstm":
            i, f, g, o = np.split(from_x + from_h, 4, axis=1)  # (L1)
            c = [c[0] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))]  # (L2) to (L4), (L6)
            h = np.tanh(c[0]) / (1 + np.exp(-o))  # (L5), (L7)
        elif cell == "gru":
            (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_x, 3, axis=1), np.split(from_h, 3, axis=1)
            n = np.tanh(x_n + h_n / (1 + np.exp(-x_r - h_r)))  # (G1), (G2), (G4) to (G6)
            h = n + (h - n) / (1 + np.exp(-x_z - h_z))  # (G3), (G7)
        else:
            h = np.tanh(from_x + from_h)  # (R1), (R2)
        output.append(h)
    return [np.stack(output), h[None], *(state[None] for state in c)]


def unconfirmed(cell: str, problem: Any, truth: Any) -> list[str]:
    """Return the names of the results in long double that are not those of the equations.

    Outputs are compared element by element, each gradient by its product with a random direction.

    Args:
        cell: ``lstm``, ``gru`` or ``rnn``.
        problem: ``parameters``, ``inputs`` and ``d_outputs`` by name, in long double.
        truth: the results to confirm: ``outputs``, ``d_inputs`` and ``gradients`` by name.
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
