"""Compare a layer's fast kernels with its equations."""

from compare.agreement import Difference, compare
from compare.cells.layer import Layer
from compare.checker.derivations.problem import Problem
from manual.recurrent import Recurrent


def fast_against_equations(
    layer: Recurrent, problem: Problem, lengths: list[int] | None, tolerance: float
) -> list[Difference]:
    """Compare every output and gradient of the fast kernels with those of the equations.

    Args:
        layer: the layer; its parameters are overwritten by the problem's.
        problem: the arguments of both.
        lengths: the number of steps in each row, if they differ.
        tolerance: the largest relative error that passes.
    """
    derivation = Layer(layer, lengths)
    fast = derivation.solve(problem, probe=None)
    text = derivation.solve(problem, probe=lambda name, t, value: value)  # a layer with a probe runs its equations
    return compare(fast.tensors(), text.tensors(), tolerance)
