"""How the adjoint of a result is handed to the operands, for the operations of NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.arrays import Array

#: From the adjoint of a result, (P, *shape), to one contribution for each operand, (P, *its shape or a larger one).
Contributions = Callable[[Array], list[Array]]

_LN2, _LN10 = np.log(2), np.log(10)

#: The local derivatives of elementwise functions: from operands a, b and result y to one for each operand.
DERIVATIVES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "add": lambda a, b, y: (1.0, 1.0),
    "subtract": lambda a, b, y: (1.0, -1.0),
    "multiply": lambda a, b, y: (b, a),
    "divide": lambda a, b, y: (1 / b, -y / b),
    "power": lambda a, b, y: (b * a ** np.subtract(b, 1.0), y * np.log(np.where(a > 0, a, 1.0))),
    "float_power": lambda a, b, y: (b * a ** np.subtract(b, 1.0), y * np.log(np.where(a > 0, a, 1.0))),
    "maximum": lambda a, b, y: (np.greater_equal(a, b), np.less(a, b)),
    "minimum": lambda a, b, y: (np.less_equal(a, b), np.greater(a, b)),
    "fmax": lambda a, b, y: (np.greater_equal(a, b), np.less(a, b)),
    "fmin": lambda a, b, y: (np.less_equal(a, b), np.greater(a, b)),
    "clip": lambda a, low, high, y: ((a >= low) & (a <= high), a < low, a > high),
    "negative": lambda a, y: (-1.0,),
    "positive": lambda a, y: (1.0,),
    "exp": lambda a, y: (y,),
    "exp2": lambda a, y: (y * _LN2,),
    "expm1": lambda a, y: (y + 1,),
    "log": lambda a, y: (1 / a,),
    "log2": lambda a, y: (1 / (a * _LN2),),
    "log10": lambda a, y: (1 / (a * _LN10),),
    "log1p": lambda a, y: (1 / (1 + a),),
    "sqrt": lambda a, y: (0.5 / y,),
    "square": lambda a, y: (2 * a,),
    "reciprocal": lambda a, y: (-y * y,),
    "tanh": lambda a, y: (1 - y * y,),
    "sin": lambda a, y: (np.cos(a),),
    "cos": lambda a, y: (-np.sin(a),),
    "absolute": lambda a, y: (np.sign(a),),
    "fabs": lambda a, y: (np.sign(a),),
    "logaddexp": lambda a, b, y: (np.exp(a - y), np.exp(b - y)),
}

#: Elementwise functions whose derivative is zero wherever there is one.
FLAT = {"sign", "floor", "ceil", "rint", "trunc", "heaviside", "floor_divide"}


def elementwise(ufunc: np.ufunc, operands: list[Any], result: Any) -> Contributions:
    """Return the contributions of an elementwise function; by differences if its derivative is not known."""
    operands = [np.asarray(one) for one in operands]  # a division by a plain 0 would raise
    if ufunc.__name__ in DERIVATIVES:
        local = DERIVATIVES[ufunc.__name__](*operands, result)
    else:
        local = tuple(_slope(ufunc, operands, k) for k in range(len(operands)))
    shape = np.shape(result)
    local = tuple(np.broadcast_to(np.where(np.isfinite(one), one, 0.0), shape) for one in local)
    return lambda adjoint: [adjoint * one for one in local]


def _slope(function: Callable[..., Any], operands: list[Any], k: int) -> Any:
    """Return the derivative of an elementwise function in its k-th operand, by differences."""
    at = np.asarray(operands[k], float)
    step = 1e-5 * np.maximum(np.abs(at), 1e-2)
    before, after = (function(*operands[:k], at + s, *operands[k + 1 :]) for s in (-step, step))
    return (after - before) / (2 * step)


def reduction(ufunc: np.ufunc, operand: Array, result: Any, axis: Any, keepdims: bool) -> Contributions:
    """Return the contributions of a sum, product, largest or smallest over axes; those of others by differences."""
    axes = tuple(range(operand.ndim)) if axis is None else tuple(np.atleast_1d(axis) % max(operand.ndim, 1))
    shape = tuple(1 if k in axes else n for k, n in enumerate(operand.shape))
    whole = np.reshape(result, shape)
    if ufunc is np.add:
        local: Any = 1.0
    elif ufunc is np.multiply:
        local = whole / operand
    elif ufunc in (np.maximum, np.minimum):
        local = operand == whole
    elif ufunc is np.logaddexp:
        local = np.exp(operand - whole)
    else:
        return by_differences(lambda a: ufunc.reduce(a, axis=axis, keepdims=keepdims), [operand], [0], np.shape(result))
    return lambda adjoint: [adjoint.reshape(-1, *shape) * np.broadcast_to(local, operand.shape)]


def matmul(a: Array, b: Array) -> Contributions:
    """Return the contributions of a matrix product."""
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b

    def pull(adjoint: Array) -> list[Array]:
        shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
        whole = adjoint.reshape(-1, *shape)
        d_left, d_right = whole @ right.swapaxes(-1, -2), left.swapaxes(-1, -2) @ whole
        return [d_left[..., 0, :] if a.ndim == 1 else d_left, d_right[..., 0] if b.ndim == 1 else d_right]

    return pull


def einsum(subscripts: str, operands: list[Array]) -> Contributions:
    """Return the contributions of a sum of products.

    Raises:
        KeyError: an operand has a letter twice, or there is an ellipsis.
    """
    left, _, out = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in subscripts or any(len(set(term)) < len(term) for term in terms):
        raise KeyError(subscripts)
    if "->" not in subscripts:
        out = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    sizes = {c: n for term, operand in zip(terms, operands) for c, n in zip(term, operand.shape)}

    def pull(adjoint: Array) -> list[Array]:
        found = []
        for k, term in enumerate(terms):
            others = [(t, o) for j, (t, o) in enumerate(zip(terms, operands)) if j != k]
            lacking = [c for c in term if c not in out and not any(c in t for t, _ in others)]
            others += [(c, np.ones(sizes[c])) for c in lacking]
            form = ",".join(["Z" + out, *(t for t, _ in others)])
            found.append(np.einsum(f"{form}->Z{term}", adjoint, *(o for _, o in others)))
        return found

    return pull


def running_sum(axis: int) -> Contributions:
    """Return the contributions of running sums."""

    def pull(adjoint: Array) -> list[Array]:
        k = axis % (adjoint.ndim - 1) + 1
        return [np.flip(np.cumsum(np.flip(adjoint, k), k), k)]

    return pull


def by_differences(function: Callable[..., Any], operands: list[Any], which: list[int], shape: Any) -> Contributions:
    """Return the contributions of any function of arrays, by differences.

    Args:
        function: the function.
        operands: its arguments.
        which: the arguments that are arrays of doubles.
        shape: the shape of the result.
    """
    jacobians = []
    for k in which:
        at = np.array(operands[k], float)
        columns = []
        for index in np.ndindex(at.shape):
            step = 1e-5 * max(abs(float(at[index])), 1e-2)
            ends = []
            for sign in (-1, 1):
                moved = at.copy()
                moved[index] += sign * step
                ends.append(np.asarray(function(*operands[:k], moved, *operands[k + 1 :]), float))
            columns.append((ends[1] - ends[0]).ravel() / (2 * step))
        jacobians.append((np.array(columns), at.shape))
    return lambda adjoint: [
        (adjoint.reshape(len(adjoint), -1) @ columns.T).reshape(-1, *form) for columns, form in jacobians
    ]
