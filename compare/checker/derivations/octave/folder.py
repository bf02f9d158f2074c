"""A folder with ``forward.m`` and ``backward.m`` as a derivation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare.checker.derivations.octave.engine import Engine
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Answer, Arrays, Problem
from compare.checker.recorder import Place, Recorder


class Folder(Pair):
    """A forward and a backward pass in the MATLAB files of a folder, run by Octave.

    An array has the same axes and indices there as in the reference; one of no axes is 1 x 1, one of a single axis a
    column. With ``steps_last`` the first of three axes, that of the steps, is the last one there: x(:, :, t).

    Args:
        folder: the folder; or Octave with it on its path.
        nested: converts parameters by flat name to the form that the functions take; None if they take none.
        steps_last: whether the steps are the last axis.
        dtype: the precision of the arguments; that of the problem if None.
    """

    def __init__(
        self,
        folder: Path | Engine,
        nested: Callable[[Arrays], Any] | None,
        steps_last: bool = False,
        dtype: str | None = None,
    ):
        self.engine = folder if isinstance(folder, Engine) else Engine(folder)
        self.steps_last = steps_last
        super().__init__(self._forward, self._backward, nested, str(self.engine.folder), dtype)

    def in_precision(self, dtype: str) -> "Folder":
        """Return the same functions on arguments of another precision."""
        return Folder(self.engine, self.nested, self.steps_last, dtype)

    def solve(self, problem: Problem, probe: Recorder | None) -> Answer:
        """Run both passes; a ValueError if one raises or returns too few or many values."""
        self._problem = problem
        return super().solve(problem, probe)

    def _forward(self, *given: Any, probe: Any) -> list[Any]:
        arguments = [self._sent(one) for one in given]
        *returned, tape = self._call("forward", probe, len(self._problem.d_outputs) + 1, arguments)
        outputs = zip(returned, self._problem.d_outputs.values())
        return [*(self._received(value, like.shape) for value, like in outputs), tape]

    def _backward(self, *given: Any, probe: Any) -> Any:
        count, inputs = len(self._problem.d_outputs), list(self._problem.inputs.values())
        arguments = [self._sent(one) for one in (*given[: -count - 1], *given[-count:])]
        most = len(inputs) + bool(self.nested)
        returned = self._call("backward", probe, most, arguments, count)
        last: list[Any] = []
        if self.nested and isinstance(returned[-1], dict):
            last = [self._all_received(returned.pop(), self.nested(self._problem.parameters))]
        if not returned:
            return last[0]
        if len(returned) != len(inputs):  # as many as have a gradient
            inputs = [self._problem.inputs[name] for name in self._problem.differentiable]
        return [*(self._received(d, np.shape(value)) for d, value in zip(returned, inputs)), *last]

    def _call(self, name: str, probe: Any, *request: Any) -> list[Any]:
        heard = isinstance(probe, Recorder)
        shapes = {key[0]: value.shape for key, value in probe.reference.items()} if heard else {}

        def shown(name: str, step: int | None, value: Any, place: Place) -> Any:
            is_row = value.ndim == 2 and len(value) == 1 and len(shapes.get(name, ())) == 1
            given = value[0] if is_row else self._received(value, shapes.get(name, value.shape))
            returned = probe(name, given, t=step, place=place)
            return returned[None] if is_row else self._sent(returned)

        return self.engine.call(name, heard, *request, probe=shown)

    def all_there(self, arrays: Arrays) -> Arrays:
        """Return arrays with the axes that they have in Octave: two at least."""

        def there(value: Any) -> Any:
            if isinstance(value, np.ndarray) and value.ndim < 2:
                return value.reshape(-1, 1)
            return self._sent(value)

        return {name: there(value) for name, value in arrays.items()}

    def problem_there(self, problem: Problem) -> Problem:
        """Return a problem whose arrays have the axes that they have in Octave."""
        moved = self.all_there
        return Problem(moved(problem.parameters), moved(problem.inputs), moved(problem.d_outputs), problem.fixed)

    def here(self, value: Any, shape: tuple[int, ...]) -> Any:
        """Return an array from Octave with the axes that it has here."""
        return np.moveaxis(value, -1, 0) if self.steps_last and len(shape) == 3 else value.reshape(shape)

    def _sent(self, value: Any) -> Any:
        """Return an argument with its axes as they are in Octave."""
        if isinstance(value, dict):
            return {name: self._sent(one) for name, one in value.items()}
        return np.moveaxis(value, 0, -1) if self.steps_last and np.ndim(value) == 3 else value

    def _received(self, value: Any, shape: tuple[int, ...]) -> Any:
        """Return a value with the axes of the reference, given the right shape; None if it is empty and that is not."""
        if not isinstance(value, np.ndarray) or value.dtype == object:
            return value
        if not value.size and 0 not in shape:
            return None
        moved = self.steps_last and len(shape) == 3
        there = (*shape[1:], shape[0]) if moved else shape if len(shape) > 1 else (*shape, 1, 1)[:2]
        if _without_last(value.shape) != _without_last(there):
            return value
        value = value.reshape(there)
        return np.moveaxis(value, -1, 0) if moved else value.reshape(shape)

    def _all_received(self, values: dict[str, Any], like: Any) -> dict[str, Any]:
        return {
            name: self._all_received(value, like.get(name, {}))
            if isinstance(value, dict)
            else self._received(value, np.shape(like.get(name, value)))
            for name, value in values.items()
        }


def _without_last(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return sizes without ones at the end beyond the second, which Octave does not keep."""
    count = max([k + 1 for k, size in enumerate(sizes) if size != 1] + [2])
    return sizes[:count]
