"""Find what is wrong with a derivation, and say what each mistake looks like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from compare.agreement import Difference
from compare.diagnosis.derivations import Arrays, Derivation, Problem, Reference
from compare.diagnosis.hints import hint
from compare.diagnosis.localise import Blocks, Localisation, localise
from compare.diagnosis.witness import Witness
from manual.arrays import Array


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Args:
        subject: what was checked, in words.
        cell: a key of ``equations.EQUATIONS``; empty where the derivation is of no known cell.
        localisation: what differs, and where.
        hints: what each fault looks like.
        fast: how a layer's fast kernels differ from its text, tensor by tensor; empty where there are none.
    """

    subject: str
    cell: str
    localisation: Localisation
    hints: list[str]
    fast: Sequence[Difference] = ()

    @property
    def agrees(self) -> bool:
        """Whether every equation is right, and the fast kernels compute what the text computes."""
        return self.localisation.agrees and not self.fast_faults

    @property
    def fast_error(self) -> float:
        """The worst error of the fast kernels against the text; nan where nothing was compared."""
        return max((difference.error for difference in self.fast), default=np.nan)

    @property
    def fast_faults(self) -> list[str]:
        """The tensors in which the fast kernels differ from the text."""
        return [difference.name for difference in self.fast if not difference.agrees]


def whole(name: str, array: Array) -> dict[str, Array]:
    """Return a gradient as one block, of no gate."""
    return {"": array}


def diagnose(
    subject: str,
    derivation: Derivation,
    problem: Problem,
    right: Reference,
    *,
    cell: str = "",
    gates: tuple[str, ...] = (),
    blocks: Blocks = whole,
    parameters: Arrays | None = None,
    express: Callable[[Arrays], Arrays] = lambda gradients: gradients,
    d_state: Arrays = MappingProxyType({}),  # type: ignore[assignment]
    lengths: Sequence[int] | None = None,
    tolerance: float = 1e-12,
) -> Checked:
    """Run a derivation on a problem and compare it with what is right.

    Args:
        subject: what is checked, in words.
        derivation: what is checked.
        problem: what it is checked on.
        right: what is right.
        cell: a key of ``equations.EQUATIONS``.
        gates: the blocks of rows of the weights, in PyTorch's order.
        blocks: cuts a gradient up by gate.
        parameters: the problem's, in PyTorch's layout; as they are if left out.
        express: from gradients in PyTorch's layout to the problem's.
        d_state: the incoming gradients of the final state, by the names of the states, (layers * directions, B, H).
        lengths: of the rows, where they differ.
        tolerance: the largest relative error that passes.

    Raises:
        ValueError: the derivation returns what cannot be compared.
    """
    found = localise(derivation, problem, right, gates, blocks, tolerance)
    witness = Witness(
        cell=cell,
        gates=gates,
        record=right.record,
        parameters=problem.parameters if parameters is None else parameters,
        gradients=right.answer.gradients,
        express=express,
        blocks=blocks,
        x=next(iter(problem.inputs.values())),
        d_state=d_state,
        lengths=lengths,
    )
    return Checked(subject, cell, found, [hint(fault, witness) for fault in found.faults])
