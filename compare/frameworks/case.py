"""A layer at one size, the numbers that every framework runs it on, and the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

import manual
from compare.cells.layout import Arrays, Layout
from compare.frameworks.forms import FORMS
from manual.arrays import Array, as_state, state_parts
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


class Inputs(NamedTuple):
    """What every framework is given."""

    parameters: Arrays  # as of ``manual``
    x: Array  # (T, B, D)
    state: tuple[Array, ...]  # (directions, B, H) each
    d_output: Array  # (T, B, directions * H)
    d_state: tuple[Array, ...]  # as state

    @property
    def arguments(self) -> tuple[Array, ...]:
        """What a layer is called with."""
        return self.x, *self.state

    @property
    def incoming(self) -> tuple[Array, ...]:
        """The gradients of what it returns."""
        return self.d_output, *self.d_state

    def astype(self, dtype: Any) -> "Inputs":
        """Return copies of the numbers in a dtype."""
        state, d_state = (tuple(a.astype(dtype) for a in arrays) for arrays in (self.state, self.d_state))
        parameters = {name: array.astype(dtype) for name, array in self.parameters.items()}
        return Inputs(parameters, self.x.astype(dtype), state, self.d_output.astype(dtype), d_state)

    def by_direction(self, case: LayerCase, layout: Layout) -> list[Arrays]:
        """Return the weights of each direction as a layout has them."""
        return [
            layout.weights({n.removesuffix(end): a for n, a in self.parameters.items() if n.endswith(end)})
            for end in case.suffixes
        ]


class Answer(NamedTuple):
    """A framework's results: its outputs, and the gradients that it provides, by ``manual``'s names."""

    outputs: Arrays
    gradients: Arrays

    def tensors(self) -> Arrays:
        """Return outputs and gradients together."""
        return self.outputs | self.gradients


#: Tensors of a framework's own: the weights of each direction, by the names of its layout.
Leaves = list[dict[str, Any]]

#: Called with leaves, x (T, B, D) and the initial state, (directions, B, H) each: output, then the final state.
Call = Callable[..., tuple[Any, ...]]

#: Runs a case once: outputs, gradients of x and of each state, and those of the leaves, in the framework's own tensors.
Run = Callable[[], tuple[Sequence[Any], Sequence[Any], Sequence[Mapping[str, Any]]]]


def draw_inputs(case: LayerCase, lacking: str = "") -> Inputs:
    """Draw the inputs of a case, the same each time: no symmetry, no zero.

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
    state, d_state = (tuple(normal(K, B, H) for _ in case.states) for _ in range(2))
    return Inputs(parameters, normal(T, B, D), state, normal(T, B, K * H), d_state)


def manual_run(case: LayerCase, drawn: Inputs) -> Callable[[], Answer]:
    """Return a function that solves a case by ``manual``, in the dtype of its numbers."""
    layer = case.layer(drawn.x.dtype)
    for name, array in drawn.parameters.items():
        layer.parameters[name][...] = array
    state, d_state = as_state(drawn.state), as_state(drawn.d_state)

    def solve() -> Answer:
        output, last, tape = layer.forward(drawn.x, state)
        d_x, d_first, gradients = layer.backward(tape, drawn.d_output, d_state)
        return named(case, [output, *state_parts(last)], [d_x, *state_parts(d_first)], gradients)

    return solve


def named(case: LayerCase, outputs: Sequence[Array], d_inputs: Sequence[Array], gradients: Arrays) -> Answer:
    """Return an answer with its names, from outputs and gradients of inputs in their order."""
    return Answer(
        dict(zip(["output", *(f"{name}_n" for name in case.states)], outputs)),
        dict(zip(["d_x", *(f"d_{name}_0" for name in case.states)], d_inputs)) | gradients,
    )
