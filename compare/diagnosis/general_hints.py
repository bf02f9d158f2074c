"""Name the mistake behind a wrong value in any derivation.

A hint is a wrong formula that reproduces the wrong value exactly. The formulas combine values that the reference
recorded: one value instead of another, a missing or an extra term or factor, a sum over the wrong steps or rows.
"""

from collections.abc import Callable, Iterator

import numpy as np

from compare.diagnosis.comparing import Compared
from compare.diagnosis.standards import Standard, Trial
from manual.arrays import Array

#: The largest error, relative to the scale of the values, at which a formula matches.
MATCH = 1e-11

#: Products of two recorded values are tried only if there are no more values than this.
MANY = 60

#: The factors tried for each recorded value.
FACTORS: dict[str, Callable[[Array], Array]] = {
    "{}": lambda v: v,
    "(1 - {})": lambda v: 1 - v,
    "{0} (1 - {0})": lambda v: v * (1 - v),
    "(1 - {}²)": lambda v: 1 - v * v,
    "{}²": lambda v: v * v,
}


def general_hint(trial: Trial, standard: Standard, fault: Compared) -> str:
    """Describe the mistake behind a fault in a few words; "" if no formula matches."""
    shape = _of_shape(fault)
    if shape is not None:
        return shape
    if standard.dtype != "float64" or not fault.actual or fault.right[0].dtype.kind != "f":
        return ""
    wrong = np.concatenate([mask.ravel() for mask in fault.wrong()])
    actual, right = (np.concatenate([part.ravel() for part in parts]) for parts in (fault.actual, fault.right))
    if not wrong.any():
        return ""
    if not np.isfinite(actual[wrong]).all():
        return "not a number" if np.isnan(actual[wrong]).any() else "infinite"
    if not actual[wrong].any():
        return "zero (never computed, or never carried back)"
    scale = max(np.abs(right).max(), np.abs(actual).max())

    def explains(candidate: Array) -> bool:
        return bool(np.isfinite(candidate).all() and np.abs(candidate[wrong] - actual[wrong]).max() <= MATCH * scale)

    ratio = float((actual * right)[wrong].sum() / max((right * right)[wrong].sum(), np.finfo(float).tiny))
    if wrong.sum() > 1 and explains(ratio * right):
        return "the sign is wrong" if abs(ratio + 1) < MATCH else f"{ratio:.12g} times the expected value"
    candidates = _of_sums(trial, standard, fault) if fault.kind == "gradient" else _of_values(trial, standard, fault)
    with np.errstate(all="ignore"):
        for words, candidate in candidates:
            if candidate.shape == actual.shape and explains(candidate):
                return words
    return ""


def _of_shape(fault: Compared) -> str | None:
    """Return a hint for a wrong shape; None if the shapes agree."""
    for actual, right in zip(fault.actual, fault.right):
        if actual.shape != right.shape:
            turned = actual.T
            same = turned.shape == right.shape and np.allclose(turned, right, rtol=1e-9)
            return "transposed" if same or (turned.shape == right.shape and actual.ndim > 1) else ""
    return None


def _of_values(trial: Trial, standard: Standard, fault: Compared) -> Iterator[tuple[str, Array]]:
    """Yield candidates for an intermediate, an output or an input's gradient, flattened, the most specific first."""
    right = np.concatenate([part.ravel() for part in fault.right])
    values = _recorded(trial, standard, fault)
    for name, value in values.items():
        yield f"the same as {name}", value
    for words, order in (("previous", -1), ("next", 1)):
        if len(fault.right) > 1:
            moved = fault.right[1:] + fault.right[-1:] if order > 0 else fault.right[:1] + fault.right[:-1]
            yield f"the value of the {words} step", np.concatenate([part.ravel() for part in moved])
    if len(fault.right) > 1:
        yield "the steps are in reverse order", np.concatenate([part.ravel() for part in fault.right[::-1]])
    yield "transposed", np.concatenate([part.T.ravel() for part in fault.right])
    for name, value in values.items():
        ignored = name.startswith("d_")
        for form, factor in FACTORS.items():
            words = form.format(name)
            missing = (
                f"the incoming gradient {name} is ignored" if ignored and form == "{}" else f"∘ {words} is missing"
            )
            yield missing, right / factor(value)
            yield f"an extra factor of {words}", right * factor(value)
    for name, value in values.items():
        yield f"the term {name} is missing", right - value
        yield f"an extra term {name}", right + value
        yield f"the term {name} has the wrong sign", right - 2 * value
    if len(values) <= MANY:
        names = list(values)
        for n, name in enumerate(names):
            for other in names[n:]:
                product = values[name] * values[other]
                yield f"the term {name} ∘ {other} is missing", right - product
                yield f"an extra term {name} ∘ {other}", right + product
                yield f"only the term {name} ∘ {other} is present", product


def _recorded(trial: Trial, standard: Standard, fault: Compared) -> dict[str, Array]:
    """Return the reference's other values with the same steps and shapes, flattened; values of the same kind first."""
    record = standard.right.record
    steps: list[int | None] = [*fault.steps] or [None]
    shapes = [part.shape for part in fault.right]
    found: dict[str, Array] = {}
    for name in dict.fromkeys(name for name, _ in record):
        parts = [record.get((name, t)) for t in steps]
        if name != fault.name and all(p is not None and p.shape == s for p, s in zip(parts, shapes)):
            found[name] = np.concatenate([part.ravel() for part in parts if part is not None])
    given = trial.problem.inputs | {f"d_{name}": array for name, array in trial.problem.d_outputs.items()}
    for name, array in given.items():
        if name in found or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            continue
        if [array.shape] == shapes:
            found[name] = array.ravel()
        elif (
            fault.steps
            and array.ndim
            and len(array) > max(fault.steps)
            and [array[t].shape for t in fault.steps] == shapes
        ):
            found[name] = np.concatenate([array[t].ravel() for t in fault.steps])
    backward = fault.name.startswith("d_")
    return dict(sorted(found.items(), key=lambda pair: pair[0].startswith("d_") != backward))


def _of_sums(trial: Trial, standard: Standard, fault: Compared) -> Iterator[tuple[str, Array]]:
    """Yield candidates for a parameter's gradient: other gradients, and the same sum over other steps or rows."""
    (right,) = fault.right
    for name, gradient in standard.right.answer.gradients.items():
        if name != fault.name and gradient.shape == right.shape:
            yield f"the same as {name}", gradient.ravel()
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", right.T.ravel()
    for words, terms in _terms(trial, standard, right):
        yield f"only the last step of {words} is in the sum", terms[-1].sum(axis=0).ravel()
        yield f"only the first step of {words} is in the sum", terms[0].sum(axis=0).ravel()
        yield f"the last step of {words} is missing from the sum", (right - terms[-1].sum(axis=0)).ravel()
        yield f"the first step of {words} is missing from the sum", (right - terms[0].sum(axis=0)).ravel()
        for row in range(terms.shape[1]):
            yield f"only row {row} of {words} is in the sum", terms[:, row].sum(axis=0).ravel()
            yield f"row {row} of {words} is missing from the sum", (right - terms[:, row].sum(axis=0)).ravel()


def _terms(trial: Trial, standard: Standard, right: Array) -> Iterator[tuple[str, Array]]:
    """Yield sums that equal the gradient: a name for their terms, and the terms (steps, rows, …)."""
    stacked: dict[str, Array] = {}
    record = standard.right.record
    given = {name: a for name, a in trial.problem.inputs.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"}
    for name in dict.fromkeys(name for name, _ in record):
        parts = [value for (n, _), value in record.items() if n == name]
        if parts[0].ndim == 2 and all(part.shape == parts[0].shape for part in parts):
            stacked[name] = np.stack(parts)  # (steps, rows, units)
    values = {n: s for n, s in stacked.items() if not n.startswith("d_")}
    values |= {n: a if a.ndim == 3 else a[None] for n, a in given.items() if a.ndim in (2, 3)}
    for adjoint, d in ((n, s) for n, s in stacked.items() if n.startswith("d_")):
        if right.shape == d.shape[2:] and np.allclose(d.sum(axis=(0, 1)), right, rtol=1e-9):
            yield adjoint, d
        for name, value in values.items():
            if value.shape[:2] == d.shape[:2]:
                for words, left, other in ((f"{adjoint} {name}ᵀ", d, value), (f"{name} {adjoint}ᵀ", value, d)):
                    if right.shape == (left.shape[2], other.shape[2]):
                        terms = left[..., :, None] * other[..., None, :]
                        if np.allclose(terms.sum(axis=(0, 1)), right, rtol=1e-9):
                            yield words, terms
