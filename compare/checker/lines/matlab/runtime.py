"""What the functions of MATLAB do that have no equal in NumPy; arrays have two axes or more."""

import builtins
from typing import Any

import numpy as np


def times(a: Any, b: Any) -> Any:
    """``a * b``: a product of matrices, or with a number."""
    return a * b if np.size(a) == 1 or np.size(b) == 1 else a @ b


def sum_(a: Any, axis: Any = None) -> Any:
    """``sum``, along the first axis that is longer than one if none is given."""
    return a.sum(axis=_axis(a) if axis is None else int(axis) - 1, keepdims=True)


def mean_(a: Any, axis: Any = None) -> Any:
    """``mean``, as ``sum_``."""
    return a.mean(axis=_axis(a) if axis is None else int(axis) - 1, keepdims=True)


def _axis(a: Any) -> int:
    return next((k for k, size in enumerate(a.shape) if size > 1), 0)


def size(a: Any, axis: Any = None) -> Any:
    """``size``."""
    shape = np.shape(a) or (1, 1)
    if isinstance(a, list):
        shape = (1, len(a))
    return shape if axis is None else shape[int(axis) - 1] if axis <= len(shape) else 1


def numel(a: Any) -> int:
    """``numel``."""
    return len(a) if isinstance(a, list) else int(np.size(a))


def length(a: Any) -> int:
    """``length``."""
    return len(a) if isinstance(a, list) else builtins.max(size(a))


def end_(a: Any, k: int, count: int) -> int:
    """``end`` as the k-th of so many indices."""
    return numel(a) if count == 1 else int(size(a, k))


def one_(index: Any) -> Any:
    """An index from 1 that keeps its axis."""
    if np.size(index) != 1:
        raise ValueError("expected a single index")
    number = int(np.asarray(index).item())
    if number < 1:
        raise IndexError(number)
    return slice(number - 1, number)


def page_(index: Any) -> int:
    """The last of three indices, or that of a cell: an index from 1 that loses its axis."""
    return int(one_(index).start)


def span_(first: Any, last: Any) -> slice:
    """``first:last`` as an index."""
    return slice(page_(first), int(last))


def steps_(first: Any, *rest: Any) -> range:
    """``first:last`` or ``first:step:last`` in a loop."""
    *step, last = (int(np.asarray(one).item()) for one in rest)
    by = step[0] if step else 1
    return range(int(np.asarray(first).item()), last + (1 if by > 0 else -1), by)


def column_(a: Any) -> Any:
    """``a(:)``."""
    return a.reshape(-1, 1, order="F")


def element_(a: Any, k: Any) -> Any:
    """``a(k)``."""
    return column_(a)[one_(k)]


def rows_(*parts: Any) -> Any:
    """``[a; b]``."""
    return np.concatenate(_kept(parts), axis=0)


def columns_(*parts: Any) -> Any:
    """``[a, b]``."""
    return np.concatenate(_kept(parts), axis=1)


def _kept(parts: Any) -> list[Any]:
    return [np.reshape(one, (1, 1)) if np.ndim(one) == 0 else one for one in parts if np.size(one)]


#: The names that a translated program finds.
NAMES = {name: value for name, value in list(globals().items()) if name.endswith("_") and not name.startswith("_")} | {
    "times": times,
    "size": size,
    "numel": numel,
    "length": length,
    "np": np,
}
