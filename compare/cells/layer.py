"""A layer of ``manual`` as a derivation."""

import numpy as np

from compare.agreement import Difference, compare
from compare.cells import CELLS, Form
from compare.checker.derivations.problem import Answer, Problem
from manual.arrays import Array, Probe, as_state, state_parts
from manual.recurrent import Recurrent


class Layer:
    """A layer of ``manual`` as a derivation. Inputs are x and the initial state, outputs the output and final state.

    Args:
        layer: the layer; its parameters are overwritten by those of each problem.
        lengths: the number of steps in each row, if they differ.
    """

    def __init__(self, layer: Recurrent, lengths: list[int] | None = None):
        self.layer, self.lengths = layer, lengths

    def solve(self, problem: Problem, probe: Probe | None) -> Answer:
        """Run both passes."""
        for name, array in problem.parameters.items():
            self.layer.parameters[name][...] = array
        x, *state = problem.inputs.values()
        d_output, *d_state = problem.d_outputs.values()
        output, last, tape = self.layer.forward(x, as_state(state), lengths=self.lengths, training=False, probe=probe)
        d_x, d_initial, gradients = self.layer.backward(tape, d_output, as_state(d_state), probe)
        outputs, d_inputs = (output, *state_parts(last)), (d_x, *state_parts(d_initial))
        return Answer(dict(zip(problem.d_outputs, outputs)), dict(zip(problem.inputs, d_inputs)), gradients)

    def fast_against_equations(self, problem: Problem, tolerance: float) -> list[Difference]:
        """Compare every output and gradient of the fast kernels with those of the equations, to a relative error."""
        equations = self.solve(problem, lambda name, t, value: value)  # which run where there is a probe
        return compare(self.solve(problem, None).tensors(), equations.tensors(), tolerance)


def form_of(layer: Recurrent) -> Form:
    """Return the form of the cell that a layer has; a ValueError if that is none of ``CELLS``."""
    by_class = {cell.class_name: cell for cell in CELLS.values()}
    cell = next((by_class[kind.__name__] for kind in type(layer).__mro__ if kind.__name__ in by_class), None)
    if cell is None:
        raise ValueError(f"layer: expected one of {', '.join(by_class)}, got {type(layer).__name__}")
    return Form(
        cell, {option: getattr(layer.kernel, option) for option in cell.options if hasattr(layer.kernel, option)}
    )


def layer_problem(layer: Recurrent, T: int, B: int, rng: np.random.Generator) -> Problem:
    """Draw parameters, inputs and incoming gradients for a layer."""
    K = len(layer.sweeps)
    states = {name: (K, B, size) for name, size in layer.state_sizes.items()}

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape).astype(layer.dtype)

    return Problem(
        {name: (0.5 * rng.normal(size=a.shape)).astype(layer.dtype) for name, a in layer.parameters.items()},
        {"x": normal(T, B, layer.input_size)} | {f"{name}_0": normal(*shape) for name, shape in states.items()},
        {"output": normal(T, B, layer.output_size)} | {f"{name}_n": normal(*shape) for name, shape in states.items()},
    )
