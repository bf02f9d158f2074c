"""What a wrong value says of the mistake behind it.

A hint is a wrong formula that gives exactly the wrong value: each mistake in ``mistakes.py`` is tried on the right
values that the reference recorded, and so are a few that can be made with any value. The first that reproduces the
fault is named.
"""

from collections.abc import Callable, Iterator

import numpy as np

from compare.diagnosis.localise import Fault
from compare.diagnosis.mistakes import INTERMEDIATES, wrong_sums
from compare.diagnosis.witness import Values, Witness
from manual.arrays import Array

#: How close, relative to its scale, a formula has to come to the wrong value.
MATCH = 1e-12


def hint(fault: Fault, witness: Witness) -> str:
    """In a few words what the mistake behind a fault looks like; empty where the data do not say."""
    scale = np.abs(fault.reference).max()
    wrong = np.abs(fault.actual - fault.reference) > fault.worst.tolerance * scale
    actual, reference = fault.actual[wrong], fault.reference[wrong]
    if not actual.size:
        return ""
    if witness.lengths is not None and fault.steps:
        running = np.arange(len(wrong))[:, None] < np.asarray(witness.lengths)
        if not (wrong.any(axis=2) & running).any():
            return "only in the padding: the row goes on past its end"
    if not actual.any():
        return "zero: never computed, or never carried"
    for words, formula in _mistakes(fault, witness):
        try:
            candidate = formula()
        except KeyError:  # it needs a value that nobody recorded
            continue
        if candidate.shape == wrong.shape and np.abs(actual - candidate[wrong]).max() <= MATCH * scale:
            return words
    ratio = float((actual * reference).sum() / max((reference * reference).sum(), np.finfo(float).tiny))
    if actual.size > 1 and np.abs(actual - ratio * reference).max() <= MATCH * max(1.0, abs(ratio)) * scale:
        return "the sign is wrong" if abs(ratio + 1) < MATCH else f"{ratio:.12g} times what it ought to be"
    return ""


def _mistakes(fault: Fault, witness: Witness) -> Iterator[tuple[str, Callable[[], Array]]]:
    """The mistakes to try, the most telling first: what they are, and what they would give."""
    if fault.steps:
        values = Values(witness, fault.name)
        for words, formula in INTERMEDIATES.get(witness.cell, {}).get(values.bare, ()):
            yield words, lambda formula=formula: formula(values)
        for other in values.names():
            yield f"it equals {other}", lambda other=other: values[other]
        yield "the value of the step before", lambda: values.earlier(fault.reference)
        yield "the value of the step after", lambda: values.later(fault.reference)
        yield "the steps are in reverse order", lambda: fault.reference[::-1]
        return
    if fault.name not in witness.gradients:
        return
    for name, array in witness.gradients.items():
        for gate, block in witness.blocks(name, array).items():
            if (name, gate) != (fault.name, fault.gate):
                label = name if name.endswith(f"_{gate}") else f"{name} {gate}".strip()
                yield f"it equals {label}", lambda block=block: block
    if fault.reference.ndim == 2:
        yield "transposed", lambda: fault.reference.T
    if witness.cell in INTERMEDIATES:
        values = Values(witness, fault.name)
        for words, gradients in wrong_sums(witness.cell, values):
            yield (
                words,
                lambda gradients=gradients: witness.blocks(fault.name, witness.express(gradients())[fault.name])[
                    fault.gate
                ],
            )
