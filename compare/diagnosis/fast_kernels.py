"""Hold a layer's fast kernels against its text."""

from compare.agreement import Difference, compare
from compare.diagnosis.derivations import Layer, Problem
from manual.recurrent import Recurrent


def fast_against_text(
    layer: Recurrent, problem: Problem, lengths: list[int] | None, tolerance: float
) -> list[Difference]:
    """Compare every output and gradient of a layer as it runs with what its text computes.

    Args:
        layer: its parameters are overwritten by the problem's.
        problem: what both run on.
        lengths: of the rows, where they differ.
        tolerance: the largest relative error that passes.
    """
    derivation = Layer(layer, lengths)
    fast = derivation.solve(problem, probe=None)
    text = derivation.solve(problem, probe=lambda name, t, value: value)  # a layer with a probe runs its text
    return compare(fast.tensors(), text.tensors(), tolerance)
