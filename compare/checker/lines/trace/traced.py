"""NumPy arrays whose numbers have ids on a tape, and the NumPy that makes them."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from compare.checker.lines.trace import rules
from compare.checker.lines.trace.tape import Tape, root
from manual.arrays import Array

#: Functions that only move numbers.
MOVERS = frozenset(
    """concatenate stack vstack hstack dstack column_stack transpose reshape ravel swapaxes moveaxis rollaxis
    expand_dims squeeze broadcast_to broadcast_arrays split array_split hsplit vsplit take take_along_axis repeat tile
    flip flipud fliplr roll rot90 diag diagonal tril triu compress copy atleast_1d atleast_2d atleast_3d append delete
    where block
    select extract resize matrix_transpose permute_dims concat unstack""".split()  # noqa: SIM905
)

#: The largest operand whose derivatives are found by differences where no rule is known.
LARGEST = 600

#: The tape that is being written. If there is none, traced arrays are like any others.
_tape: Tape | None = None


@contextmanager
def writing(tape: Tape | None) -> Iterator[None]:
    """A context in which traced arrays write to a tape, or to none."""
    global _tape
    before, _tape = _tape, tape
    try:
        yield
    finally:
        _tape = before


class Traced(np.ndarray):
    """An array whose numbers have ids."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        outs = options.pop("out", None)
        given = [plain(value) for value in inputs]
        if _tape is None or ufunc.nout > 1 or (method == "at" and ufunc is not np.add):
            options |= {"out": tuple(map(plain, outs))} if outs else {}
            return getattr(ufunc, method)(*given, **options)
        if method == "at":
            _add_at(inputs[0], given[1], inputs[2])
            return None
        where = options.pop("where", True) if method == "__call__" else True
        value = getattr(ufunc, method)(*given, **options)
        result = _result(value, list(inputs), _contributions(ufunc, method, given, value, options))
        if not outs:
            return result
        np.copyto(plain(outs[0]), plain(result), where=where, casting="unsafe")
        np.copyto(_tape.changed_ids(outs[0]), _tape.ids(np.asarray(result)), where=where)
        return outs[0]

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if _tape is None:
            return function(*plain(inputs), **plain(options))
        if function.__name__ in MOVERS:
            return _moved(function(*plain(inputs), **plain(options)), function(*_ids(inputs), **_ids(options)))
        if function.__name__ in RULES:
            return RULES[function.__name__](*inputs, **options)
        own = getattr(function, "_implementation", None)
        before = len(_tape.operations)
        if isinstance(own, FunctionType):
            value = own(*inputs, **options)
            if not _is_real(value):
                return plain(value)
            if _tape.ids(value).any():
                return value
            del _tape.operations[before:]
        value = function(*plain(inputs), **plain(options))
        which = [k for k, one in enumerate(inputs) if isinstance(one, Traced)]
        if not _is_real(value) or max((inputs[k].size for k in which), default=0) > LARGEST:
            return value
        call = lambda *given: function(*given, **plain(options))  # noqa: E731
        pull = rules.by_differences(call, plain(list(inputs)), which, np.shape(value))
        return _result(value, [inputs[k] for k in which], pull)

    def __getitem__(self, index: Any) -> Any:
        value = super().__getitem__(index)
        if _tape is None or not _is_real(value) or (isinstance(value, Traced) and root(value) is root(self)):
            return value
        return _moved(value, _tape.ids(self)[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        if _tape is not None and self.dtype == np.float64:
            _tape.changed_ids(self)[index] = _ids(value)
        super().__setitem__(index, plain(value))

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def item(self, *index: Any) -> Any:
        """Return one number, with its id."""
        return super().item(*index) if _tape is None else self[index] if index else self.reshape(())

    def tolist(self) -> Any:
        """Return nested lists of numbers with ids."""
        return super().tolist() if _tape is None else [one.tolist() for one in self] if self.ndim else self

    def dot(self, other: Any, out: Any = None) -> Any:
        """Return the product."""
        return np.dot(self, other)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Return the running sums."""
        return np.add.accumulate(self.ravel() if axis is None else self, axis=axis or 0)

    def fill(self, value: Any) -> None:
        """Write one number everywhere."""
        self[...] = value

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        """Sort in place."""
        self[...] = np.take_along_axis(self, np.argsort(plain(self), axis=axis, kind=kind), axis=axis)


def _copying(name: str) -> Callable[..., Any]:
    """Return a method of arrays that may copy, with the ids copied alike."""
    original = getattr(np.ndarray, name)

    def method(self: Any, *inputs: Any, **options: Any) -> Any:
        value = original(self, *inputs, **options)
        if _tape is None or not _is_real(value) or (isinstance(value, Traced) and root(value) is root(self)):
            return value
        ids = _tape.ids(self)
        return _moved(value, ids if name == "astype" else original(ids, *inputs, **options))

    return method


for _name in ("copy", "flatten", "ravel", "reshape", "astype", "take", "repeat", "compress", "__copy__"):
    setattr(Traced, _name, _copying(_name))


def leaf(array: Array) -> Array:
    """Return an array of the same memory, whose numbers get ids of their own on the tape."""
    assert _tape is not None
    traced = array.view(Traced)
    _tape.ids(traced)[...] = _tape.new(array.shape)
    return traced


def alone(value: Any) -> Any:
    """Return a copy of traced numbers with ids of its own, so that the adjoint of this one use is told apart."""
    if not isinstance(value, Traced) or _tape is None or value.dtype != np.float64:
        return value
    return _result(plain(value).copy(), [value], lambda adjoint: [adjoint])


def plain(thing: Any) -> Any:
    """Return what has no ids: the same arrays, in the same lists, tuples and dicts."""
    if isinstance(thing, Traced):
        return thing.view(np.ndarray)
    if type(thing) in (list, tuple):
        return type(thing)(map(plain, thing))
    if type(thing) is dict:
        return {key: plain(value) for key, value in thing.items()}
    return thing


def _ids(thing: Any) -> Any:
    """Return the ids of arrays in lists, tuples and dicts; what is no array of doubles as it is, a number as 0."""
    assert _tape is not None
    if isinstance(thing, np.ndarray):
        return _tape.ids(thing) if thing.dtype == np.float64 else plain(thing)
    if isinstance(thing, float | np.floating):
        return 0
    if type(thing) in (list, tuple):
        return type(thing)(map(_ids, thing))
    if type(thing) is dict:
        return {key: _ids(value) for key, value in thing.items()}
    return thing


def _is_real(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.floating) and value.dtype == np.float64


def _moved(value: Any, ids: Any) -> Any:
    """Return numbers that were moved, with their ids."""
    assert _tape is not None
    if type(value) in (list, tuple):
        return type(value)(_moved(one, its) for one, its in zip(value, ids))
    if not _is_real(value):
        return value
    traced = np.asarray(value).view(Traced)
    _tape.ids(traced)[...] = ids
    return traced


def _result(value: Any, operands: list[Any], contributions: rules.Contributions | None) -> Any:
    """Return what was computed from these operands, with new ids."""
    assert _tape is not None
    if not _is_real(value):
        return plain(value)
    if contributions is None:
        return _moved(value, 0)
    known = contributions
    ids = [_tape.ids(one).copy() for one in operands]
    return _moved(value, _tape.result(np.shape(value), lambda adjoint: list(zip(ids, known(adjoint)))))


def _contributions(
    ufunc: np.ufunc, method: str, given: list[Any], value: Any, options: Mapping[str, Any]
) -> rules.Contributions | None:
    """Return the contributions of a ufunc to its operands; None if they are not known."""
    if not _is_real(value) or ufunc.__name__ in rules.FLAT:
        return None
    if ufunc is np.matmul:
        return rules.matmul(*given)
    if method == "__call__":
        return rules.elementwise(ufunc, given, value)
    if method == "reduce":
        axis = given[1] if len(given) > 1 else options.get("axis", 0)
        return rules.reduction(ufunc, given[0], value, axis, options.get("keepdims", False))
    if method == "accumulate" and ufunc is np.add:
        return rules.running_sum(options.get("axis", 0))
    if method == "outer":
        a, b = map(np.asarray, given)
        whole = rules.elementwise(ufunc, [a.reshape(*a.shape, *[1] * b.ndim), b], value)
        first = tuple(range(1, 1 + a.ndim))
        last = tuple(range(1 + a.ndim, 1 + a.ndim + b.ndim))
        return lambda adjoint: [one.sum(axis=axes) for one, axes in zip(whole(adjoint), (last, first))]
    return None


def _add_at(target: Any, index: Any, added: Any) -> None:
    """``np.add.at``, one after the other, so that an element may be added to twice."""
    assert _tape is not None
    places = np.arange(target.size).reshape(target.shape)[index]
    ids = _tape.changed_ids(target)
    before, rows = ids.copy(), np.broadcast_to(_tape.ids(np.asarray(added)), places.shape).copy()
    np.add.at(plain(target), index, plain(added))

    def pull(adjoint: Array) -> list[tuple[Array, Array]]:
        taken = adjoint.reshape(len(adjoint), -1)[:, places.ravel()]
        return [(before, adjoint), (rows, taken.reshape(-1, *places.shape))]

    ids[...] = _tape.result(target.shape, pull)


def _dot(a: Any, b: Any, out: Any = None) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return np.matmul(a, b) if np.ndim(b) <= 2 else np.tensordot(a, b, (-1, -2))


def _einsum(*inputs: Any, **options: Any) -> Any:
    value = np.einsum(*plain(list(inputs)), **plain(options))
    try:
        pull = rules.einsum(inputs[0], [np.asarray(plain(one)) for one in inputs[1:]])
    except (KeyError, AttributeError):
        return value
    return _result(value, list(inputs[1:]), pull)


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = np.asanyarray(a), np.asanyarray(b)
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    one, other = (tuple(n % array.ndim for n in (ax if np.iterable(ax) else [ax])) for ax, array in zip(axes, (a, b)))
    letters = "abcdefghijklmnopqrstuvwxy"
    left = list(letters[: a.ndim])
    right = list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(one, other):
        right[j] = left[i]
    out = [c for k, c in enumerate(left) if k not in one] + [c for k, c in enumerate(right) if k not in other]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


#: Functions that do not compute by way of ufuncs, with NumPy's own names of what they take.
RULES: dict[str, Callable[..., Any]] = {
    "dot": _dot,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "outer": lambda a, b, out=None: np.multiply.outer(np.ravel(a), np.ravel(b)),
    "inner": lambda a, b: _dot(a, np.swapaxes(b, -1, -2) if np.ndim(b) > 1 else b),
    "vdot": lambda a, b: _dot(np.ravel(a), np.ravel(b)),
    "cumsum": lambda a, axis=None, **options: a.cumsum(axis),
    "sort": lambda a, axis=-1, **options: np.take_along_axis(a, np.argsort(plain(a), axis=axis), axis=axis),
    "copyto": lambda dst, src, where=..., **options: dst.__setitem__(where, src),
    "trace": lambda a, **options: np.diagonal(a, **options).sum(-1),
    "pad": lambda array, pad_width, mode="constant", **options: _moved(
        np.pad(plain(array), pad_width, mode, **options),
        np.pad(_ids(array), pad_width, mode, **({} if mode == "constant" else options)),
    ),
}


class NumPy(ModuleType):
    """NumPy, or ``math``, for code in which every array is to have ids, also those made of lists and of nothing."""

    def __init__(self, module: ModuleType):
        super().__init__(module.__name__)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        if self._module is math:
            own = getattr(math, name)
            traced: Any = getattr(np, _MATH.get(name, name), own)
            if not callable(own):
                return own
            return lambda *given: (traced if any(isinstance(one, Traced) for one in given) else own)(*given)
        return seen(getattr(self._module, name))


_MATH = {"pow": "power", "fabs": "abs", "fsum": "sum"}


def seen(function: Any) -> Any:
    """Return a function of NumPy that makes arrays, such that they are traced."""
    name = getattr(function, "__name__", "")
    if name in ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like", "eye"):
        return lambda *given, **options: _made(function(*plain(given), **plain(options)))
    if name in ("array", "asarray", "ascontiguousarray", "asanyarray"):
        return lambda thing, *given, **options: _array(function, thing, *given, **options)
    return function


def _made(array: Any) -> Any:
    return array.view(Traced) if _tape is not None and _is_real(array) else array


def _array(function: Callable[..., Any], thing: Any, *given: Any, **options: Any) -> Any:
    value = function(plain(thing), *given, **options)
    if _tape is None or not _is_real(value):
        return value
    if isinstance(thing, np.ndarray):
        return value.view(Traced) if root(value) is root(thing) else _moved(value, _tape.ids(thing))
    return _moved(value, np.array(_ids(thing), np.int64))
