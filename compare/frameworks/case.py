"""A layer at one size, the numbers that every framework runs it on, and the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import manual
from compare.cells.layer import Layer
from compare.cells.layout import Arrays, Layout
from compare.checker.derivations.problem import Answer, Problem
from compare.frameworks.layouts import FORMS
from manual.arrays import Array
from manual.recurrent import Recurrent


@dataclass(frozen=True)
class LayerCase:
    """One layer at one size, in one direction or both."""

    form: str
    directions: int
    T: int
    B: int
    D: int
    H: int
    dtype: str

    @property
    def states(self) -> tuple[str, ...]:
        """What is carried from step to step, the output first."""
        return FORMS[self.form].cell.states

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The endings of the parameters of each direction."""
        return ("_l0", "_l0_reverse")[: self.directions]

    @property
    def title(self) -> str:
        """The form, and whether it runs in both directions."""
        return self.form + (", both directions" if self.directions == 2 else "")

    def layer(self, dtype: Any = None) -> Recurrent:
        """Return the layer of ``manual``, in another dtype than the case's if one is given."""
        rng, options = np.random.default_rng(0), {"bidirectional": self.directions == 2}
        layer: Recurrent = FORMS[self.form].layer(manual, self.D, self.H, dtype=dtype or self.dtype, rng=rng, **options)
        return layer


#: Tensors of a framework's own: the weights of each direction, by the names of its layout.
Leaves = list[dict[str, Any]]

#: Called with leaves, x (T, B, D) and the initial state, (directions, B, H) each: output, then the final state.
Call = Callable[..., tuple[Any, ...]]

#: Runs a case once: outputs, gradients of x and of each state, and those of the leaves, in the framework's own tensors.
Run = Callable[[], tuple[Sequence[Any], Sequence[Any], Sequence[Mapping[str, Any]]]]


def draw(case: LayerCase, lacking: str = "") -> Problem:
    """Draw the problem of a case, the same each time: no symmetry, no zero.

    Only the bias_hh of ``lacking`` gates is zero, those that a layout has no place for.
    """
    sizes = {name: value for name, value in asdict(case).items() if isinstance(value, int)}
    rng = np.random.default_rng([*sizes.values(), *case.form.encode()])
    T, B, D, H, K = case.T, case.B, case.D, case.H, case.directions

    def normal(*shape: int, scale: float = 1.0) -> Array:
        return (scale * rng.normal(size=shape)).astype(case.dtype)

    layer = case.layer()
    scale = 1 / np.sqrt(H)
    parameters = {name: normal(*array.shape, scale=scale) for name, array in layer.parameters.items()}
    for gate in lacking.split():
        rows = slice((k := layer.kernel.gates.index(gate)) * H, (k + 1) * H)
        for suffix in case.suffixes:
            parameters[f"bias_hh{suffix}"][rows] = 0
    state, d_state = ({name: normal(K, B, H) for name in case.states} for _ in range(2))
    inputs = {"x": normal(T, B, D)} | {f"{name}_0": part for name, part in state.items()}
    return Problem(
        parameters, inputs, {"output": normal(T, B, K * H)} | {f"{name}_n": part for name, part in d_state.items()}
    )


def by_direction(case: LayerCase, parameters: Arrays, layout: Layout) -> list[Arrays]:
    """Return the weights of each direction as a layout has them, from those of ``manual``."""
    return [
        layout.weights({n.removesuffix(end): a for n, a in parameters.items() if n.endswith(end)})
        for end in case.suffixes
    ]


def by_manual(case: LayerCase, problem: Problem) -> Answer:
    """Return what ``manual`` makes of a case, in the dtype of the problem's numbers."""
    return Layer(case.layer(problem.inputs["x"].dtype)).solve(problem, None)
