"""Name the mistake behind a wrong value in a recurrent layer.

A hint is a wrong formula that reproduces the wrong value exactly. Each mistake in ``mistakes.py`` and ``wrong_sums.py``
is evaluated on the reference's values, and so are a few mistakes that any quantity can have. The first one that matches
is the hint.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from compare.cells import Form
from compare.cells.hints.mistakes import INTERMEDIATES
from compare.cells.hints.witness import Values, Witness
from compare.cells.hints.wrong_sums import wrong_sums
from compare.checker.compare import Compared
from compare.checker.derivations.problem import Arrays
from compare.checker.expected import Expected
from compare.checker.general_hints import general_hint
from compare.checker.trials import Trial
from manual.arrays import Array

#: The largest error, relative to the scale of the values, at which a formula matches.
MATCH = 1e-12


def cell_hints(
    form: Form,
    blocks: Callable[[str, Array], Arrays],
    d_state: Callable[[Trial], Arrays],
    express: Callable[[Arrays], Arrays] = lambda gradients: gradients,
    canonical: Callable[[Arrays], Arrays] = lambda parameters: parameters,
    lengths: Sequence[int] | None = None,
) -> Callable[[Trial, Expected, Compared], str]:
    """Return a function that gives the hint for a fault in a recurrent layer.

    Args:
        form: the form of the cell.
        blocks: splits a gradient by gate.
        d_state: maps a trial to the incoming gradients of the final state, by the names of the states,
            (layers * directions, B, H).
        express: converts gradients from PyTorch's layout to the derivation's.
        canonical: converts parameters from the derivation's layout to PyTorch's.
        lengths: the number of steps in each row, if they differ.
    """

    def look(trial: Trial, expected: Expected, fault: Compared) -> str:
        witness = Witness(
            cell=form.name,
            gates=form.gates,
            record=expected.right.record,
            parameters=canonical(trial.problem.parameters),
            gradients=expected.right.answer.gradients,
            express=express,
            blocks=blocks,
            x=trial.problem.inputs["x"],
            d_state=d_state(trial),
            lengths=lengths,
        )
        return hint(fault, witness) or general_hint(trial, expected, fault)

    return look


def hint(fault: Compared, witness: Witness) -> str:
    """Describe the mistake behind a fault in a few words; "" if no known mistake matches."""
    if fault.missing or len({part.shape for part in fault.right}) > 1:
        return ""
    if any(a.shape != r.shape for a, r in zip(fault.actual, fault.right)):
        return "transposed" if all(a.T.shape == r.shape for a, r in zip(fault.actual, fault.right)) else ""
    stack: Callable[[list[Array]], Array] = np.stack if fault.steps else lambda parts: parts[0]
    whole, right, wrong = stack(fault.actual), stack(fault.right), stack(fault.wrong())
    scale = np.abs(right).max()
    actual = whole[wrong]
    if not actual.size or not np.isfinite(actual).all():
        return ""
    if witness.lengths is not None and fault.steps:
        running = np.arange(len(wrong))[:, None] < np.asarray(witness.lengths)
        if not (wrong.any(axis=2) & running).any():
            return "only in the padding: the row continues past its end"
    if not actual.any():
        return "zero (never computed, or never carried back)"
    match = max(MATCH, 10 * float(fault.limits.max()))
    for words, formula in _mistakes(fault, right, witness):
        try:
            candidate = formula()
        except KeyError:  # the formula needs a value that was not recorded
            continue
        if candidate.shape == wrong.shape and np.abs(actual - candidate[wrong]).max() <= match * scale:
            return words
    return ""


def _mistakes(fault: Compared, right: Array, witness: Witness) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Yield the mistakes to try, the most specific first: the words, and a function that computes the wrong value."""
    if fault.steps:
        values = Values(witness, fault.name)
        for words, formula in INTERMEDIATES.get(witness.cell, {}).get(values.bare, ()):
            yield words, lambda formula=formula: formula(values)
        for other in values.names():
            yield f"the same as {other}", lambda other=other: values[other]
        yield "the value of the previous step", lambda: values.earlier(right)
        yield "the value of the next step", lambda: values.later(right)
        yield "the steps are in reverse order", lambda: right[::-1]
        return
    if fault.name not in witness.gradients:
        return
    for name, array in witness.gradients.items():
        for gate, block in witness.blocks(name, array).items():
            if (name, gate) != (fault.name, fault.gate):
                label = name if name.endswith(f"_{gate}") else f"{name} {gate}".strip()
                yield f"the same as {label}", lambda block=block: block
    if right.ndim == 2:
        yield "transposed", lambda: right.T
    if witness.cell in INTERMEDIATES:
        values = Values(witness, fault.name)
        for words, gradients in wrong_sums(witness.cell, values):
            yield (
                words,
                lambda gradients=gradients: witness.blocks(fault.name, witness.express(gradients())[fault.name])[
                    fault.gate
                ],
            )
