"""An array for NumPy of which each operation is seen, and of what is computed from it."""

from collections.abc import Callable
from typing import Any

import numpy as np

#: Given the name of an operation, its operands and its result, returns the result to go on with.
See = Callable[[str, list[Any], Any], Any]


class Watched(np.ndarray):
    """An array whose operations, and those of what is computed from it, a function sees."""

    see: See

    @classmethod
    def of(cls, value: Any, see: See) -> Any:
        """Return an array, or a number with a fraction, as such a one, and anything else as it is."""
        if not (isinstance(value, np.ndarray | np.floating) and (value.ndim or value.dtype.kind == "f")):
            return value
        watched = np.asarray(value).view(cls)
        watched.see = see
        return watched

    def __array_finalize__(self, made_of: Any) -> None:
        """Take over who sees from the array that this one is made of."""
        self.see = getattr(made_of, "see", None)  # type: ignore[assignment]

    def __deepcopy__(self, memo: Any) -> Any:
        """Return a copy, which NumPy would make a plain array."""
        return self.copy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        """Run one operation."""
        plain, into = [*map(_plain, inputs)], {"out": tuple(map(_plain, out))} if out else {}
        result = getattr(ufunc, method)(*plain, **into, **options)
        if not isinstance(result, np.ndarray | np.generic):  # several, or none
            return result
        seen = self.see(ufunc.__name__ if method == "__call__" else method, plain, result)
        for array in into.get("out", ()) if seen is not result else ():
            array[...] = seen
        return out[0] if out else Watched.of(seen, self.see)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Run another function of NumPy."""
        result = super().__array_function__(func, types, args, kwargs)
        if func is np.where:
            self.see("where", [_plain(args[0])], result)
        return Watched.of(result, self.see)

    def __getitem__(self, index: Any) -> Any:
        """Return a part, if it is one number, too, as such an array."""
        return Watched.of(super().__getitem__(index), self.see)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Store values, where a condition says if it is one."""
        if isinstance(index, np.ndarray) and index.dtype.kind == "b":
            self.see("where", [_plain(index)], None)
        super().__setitem__(index, value)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Watched) else value
