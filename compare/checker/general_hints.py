"""Name the mistake behind a wrong value in any derivation.

A hint is a wrong formula that reproduces the wrong value exactly. The formulas combine values that the reference
recorded: one value instead of another, a missing or an extra term or factor, a sum over the wrong steps or rows.
"""

from collections.abc import Callable, Iterator
from itertools import chain, combinations, combinations_with_replacement

import numpy as np

from compare.checker.compare import Compared, expands
from compare.checker.expected import Expected
from compare.checker.trials import Trial
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


def general_hint(trial: Trial, expected: Expected, fault: Compared) -> str:
    """Describe the mistake behind a fault in a few words; "" if no formula matches."""
    shape = _of_shape(fault)
    if shape is not None:
        return shape
    if expected.dtype != "float64" or not fault.actual or fault.right[0].dtype.kind != "f":
        return ""
    if fault.actual[0].dtype.kind != "f":
        return f"rounded to {fault.actual[0].dtype}" if fault.actual[0].dtype.kind in "iub" else ""
    wrong = np.concatenate([mask.ravel() for mask in fault.wrong()])
    actual, right = (np.concatenate([part.ravel() for part in parts]) for parts in (fault.actual, fault.right))
    if not wrong.any():
        return ""
    if not np.isfinite(actual[wrong]).all():
        return "not a number" if np.isnan(actual[wrong]).any() else "infinite"
    scale = max(np.abs(right).max(), np.abs(actual).max())
    if np.abs(actual[wrong]).max() <= MATCH * scale:
        return "zero where it is wrong" if actual.any() else "zero (never computed, or never carried back)"

    def explains(candidate: Array) -> bool:
        return bool(np.isfinite(candidate).all() and np.abs(candidate[wrong] - actual[wrong]).max() <= MATCH * scale)

    values = _recorded(trial, expected, fault)
    ratio = float((actual * right)[wrong].sum() / max((right * right)[wrong].sum(), np.finfo(float).tiny))
    if wrong.sum() > 1 and explains(ratio * right):
        return _of_ratio(ratio, values)
    with np.errstate(all="ignore"):
        for words, candidate in chain(
            _of_sums(trial, expected, fault) if fault.kind == "gradient" else (), _of_values(fault, values)
        ):
            if candidate.shape == actual.shape and explains(candidate):
                return words
    return ""


def _of_shape(fault: Compared) -> str | None:
    """Return a hint for a wrong shape; None if the shapes agree."""
    for actual, right in zip(fault.actual, fault.right):
        if actual.shape == right.shape:
            continue
        if actual.dtype.kind == "f":
            for count in range(1, actual.ndim + 1):
                for axes in combinations(range(actual.ndim), count):
                    for total in (actual.sum(axis=axes), actual.sum(axis=axes, keepdims=True)):
                        if total.shape == right.shape and np.allclose(total, right, rtol=1e-9):
                            return f"not summed over ax{'i' if count == 1 else 'e'}s {', '.join(map(str, axes))}"
        return "transposed" if actual.T.shape == right.shape and actual.ndim > 1 else ""
    return None


def _of_ratio(ratio: float, values: dict[str, Array]) -> str:
    """Return a hint for a value that is a multiple of the right one: a scalar that is missing or extra, if one fits."""
    if abs(ratio + 1) < MATCH:
        return "the sign is wrong"
    if abs(ratio - 1) < MATCH:
        return ""
    for name, value in values.items():
        for form, factor in FACTORS.items() if (value == value[0]).all() else ():
            number = factor(value[0])
            if abs(ratio * number - 1) < MATCH:
                return _missing_factor(name, form)
            if abs(ratio - number) < MATCH * abs(number):
                return f"an extra factor of {form.format(name)}"
    return f"{ratio:.12g} times the expected value"


def _missing_factor(name: str, form: str) -> str:
    if name.startswith("d_") and form == "{}":
        return f"the incoming gradient {name} is ignored"
    return f"∘ {form.format(name)} is missing"


def _of_values(fault: Compared, values: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield candidates made of recorded values, flattened, the most specific first."""
    right = np.concatenate([part.ravel() for part in fault.right])
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
        for form, factor in FACTORS.items():
            yield _missing_factor(name, form), right / factor(value)
            yield f"an extra factor of {form.format(name)}", right * factor(value)
    for name, value in values.items():
        yield from _of_term(name, value, right)
    if len(values) <= MANY:
        for (name, value), (other, times) in combinations_with_replacement(values.items(), 2):
            yield from _of_term(f"{name} ∘ {other}", value * times, right)
            yield f"only the term {name} ∘ {other} is present", value * times


def _of_term(term: str, value: Array, right: Array) -> Iterator[tuple[str, Array]]:
    """Yield the right value without a term, with it once too often, and with its sign wrong."""
    yield f"the term {term} is missing", right - value
    yield f"the term -{term} is missing, or {term} is extra", right + value
    yield f"the term {term} has the wrong sign", right - 2 * value
    yield f"the term -{term} has the wrong sign", right + 2 * value


def _recorded(trial: Trial, expected: Expected, fault: Compared) -> dict[str, Array]:
    """Return what the reference recorded or was given, flattened, where it has the shape of the fault or expands to it.

    Values of the same shape are first, and among these values of the same kind.
    """
    record, problem = expected.right.record, trial.problem
    steps: list[int | None] = [*fault.steps] or [None]
    shapes = [part.shape for part in fault.right]
    given = problem.inputs | problem.parameters | {f"d_{name}": array for name, array in problem.d_outputs.items()}
    found: dict[str, list[Array]] = {}
    for name in dict.fromkeys(name for name, _ in record):
        parts = [record.get((name, t), record.get((name, None))) for t in steps]
        if name != fault.name and all(part is not None for part in parts):
            found[name] = parts  # type: ignore[assignment]
    for name, array in given.items():
        if name in found or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            continue
        by_step = fault.steps and array.ndim and len(array) > max(fault.steps)
        if by_step and all(expands(array[t].shape, shape) for t, shape in zip(fault.steps, shapes)):
            found[name] = [array[t] for t in fault.steps]
        else:
            found[name] = [array] * len(shapes)
    fitting = {
        name: parts for name, parts in found.items() if all(expands(p.shape, shape) for p, shape in zip(parts, shapes))
    }
    backward = fault.name.startswith("d_")
    order = sorted(fitting, key=lambda n: ([p.shape for p in fitting[n]] != shapes, n.startswith("d_") != backward))
    return {n: np.concatenate([np.broadcast_to(p, s).ravel() for p, s in zip(fitting[n], shapes)]) for n in order}


def _of_sums(trial: Trial, expected: Expected, fault: Compared) -> Iterator[tuple[str, Array]]:
    """Yield candidates for a parameter's gradient: other gradients, and the same sum over other steps or rows."""
    (right,) = fault.right
    for name, gradient in expected.right.answer.gradients.items():
        if name != fault.name and gradient.shape == right.shape:
            yield f"the same as {name}", gradient.ravel()
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "transposed", right.T.ravel()
    for words, terms in _terms(trial, expected, right):
        yield f"only the last step of {words} is in the sum", terms[-1].sum(axis=0).ravel()
        yield f"only the first step of {words} is in the sum", terms[0].sum(axis=0).ravel()
        yield f"the last step of {words} is missing from the sum", (right - terms[-1].sum(axis=0)).ravel()
        yield f"the first step of {words} is missing from the sum", (right - terms[0].sum(axis=0)).ravel()
        for row in range(terms.shape[1]):
            yield f"only row {row} of {words} is in the sum", terms[:, row].sum(axis=0).ravel()
            yield f"row {row} of {words} is missing from the sum", (right - terms[:, row].sum(axis=0)).ravel()


def _terms(trial: Trial, expected: Expected, right: Array) -> Iterator[tuple[str, Array]]:
    """Yield sums that equal the gradient: a name for their terms, and the terms (steps, rows, …)."""
    stacked: dict[str, Array] = {}
    record = expected.right.record
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
