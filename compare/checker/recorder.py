"""Record what a derivation's probes show, and feed the reference back.

A name recorded once has no step. The calls of a name recorded repeatedly are numbered in order, those of an adjoint in
reverse order, unless they give ``t=`` or the localiser says otherwise. Nothing here depends on what is computed.
"""

import difflib
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from compare.checker import probe
from compare.checker.derivations.open import is_open
from manual.arrays import Array

#: A name and its step; the step is None where the name is recorded once.
Key = tuple[str, int | None]

#: Values by key.
Record = dict[Key, Array]

#: What a probe returns instead of a value, given its key and the reference's value; None for the value itself.
Feedback = Callable[[Key, Array], Array | None]

#: The number of recent values that are watched for in-place changes.
WATCHED = 300


def step_and_value(arguments: tuple[Any, ...], t: int | None) -> tuple[int | None, Any]:
    """Read the arguments of a probe after its name: ``(value)``, ``(value, t=t)`` or ``(t, value)``."""
    *before, value = arguments
    return (before[0] if before else t), value


def unheard(name: str, *arguments: Any, t: int | None = None) -> Any:
    """Return the value unchanged, the probe outside a check; a ValueError if it is still to be filled in."""
    _, value = step_and_value(arguments, t)
    if value is ...:
        raise ValueError(f"probe {name!r}: still to be filled in")
    return value


def as_float64(value: Any, copy: bool = True) -> Array:
    """Turn an array, a tensor or a number into NumPy, floating-point numbers in double precision.

    Complex numbers get a last axis: the real part, and the imaginary part, whose gradients are those of torch's own.

    With ``copy`` what is returned does not share memory with the value.
    """
    if hasattr(value, "detach"):
        given = value.detach().resolve_conj()
        value = given.cpu().double() if given.is_floating_point() else given.cpu()
        copy, value = copy and value is given, value.numpy()
    array = np.asarray(value)
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    dtype = np.float64 if array.dtype.kind == "f" else array.dtype
    return array.astype(dtype, copy=copy)


@dataclass(frozen=True)
class Place:
    """A line of the user's code."""

    file: str
    line: int

    def named_in(self, error: Exception) -> Exception:
        """Return the error of a probe there with the line in its message."""
        return ValueError(f"{self.file}:{self.line}: {error}") if isinstance(error, ValueError) else error


@dataclass
class Recorded:
    """One call of a probe.

    ``value`` is a copy of what was given; ``passed`` and ``returned`` are the objects themselves. ``problem`` says why
    the value cannot be compared, ``place`` where the call is.
    """

    key: Key
    value: Array
    passed: Any
    returned: Any
    problem: str
    place: Place

    @property
    def changed(self) -> bool:
        """Whether either object has changed since the probe returned."""
        return any(_differs(thing, held) for thing, held in self.held())

    def held(self) -> list[tuple[Any, Array]]:
        """Return the objects that can be changed in place, with their contents when the probe returned."""
        things = [(self.returned, self.returned_value)]
        if self.passed is not self.returned:
            things.append((self.passed, self.value))
        return [(thing, held) for thing, held in things if isinstance(thing, np.ndarray) or hasattr(thing, "copy_")]

    returned_value: Array = None  # type: ignore[assignment]


class Recorder:
    """A probe for a derivation. It records what it is given and may return the reference instead.

    Args:
        reference: the correct values, by key.
        feedback: what to return; the value itself by default.
        ascending: the adjoints that are recorded, without a step, in the order of the steps rather than in reverse.
        skipped: by name, how many calls without a step are missing before the first, rather than after the last.
        restored: the names whose arrays are restored if they are changed in place.
    """

    def __init__(
        self,
        reference: Mapping[Key, Array],
        feedback: Feedback | None = None,
        ascending: Collection[str] = (),
        skipped: Mapping[str, int] = MappingProxyType({}),
        restored: Collection[str] = (),
    ):
        self.reference, self.feedback, self.restored = reference, feedback, restored
        self.ascending, self.skipped = ascending, skipped
        self.recorded: list[Recorded] = []
        self.repeated: list[Recorded] = []  # another value under a key that has one
        self.open: dict[Key, Place] = {}  # what is not derived yet, and where
        self._steps: dict[str, list[int | None]] = {}
        for name, t in reference:
            self._steps.setdefault(name, []).append(t)
        self.numbered: set[str] = set()  # names that are recorded repeatedly, without a step
        self._calls: dict[str, int] = {}
        self._seen: dict[Key, Array] = {}
        self._watched: deque[Recorded] = deque(maxlen=WATCHED)

    def __call__(self, name: str, *arguments: Any, t: int | None = None, place: Place | None = None) -> Any:
        """Record the value; return it or the reference's. A ValueError if there is no such name, step or value."""
        value = unheard(name, *arguments, t=t)
        key = self._key(name, step_and_value(arguments, t)[0])
        expected = self.reference.get(key)
        if is_open(value):
            self.open.setdefault(key, _place())
            return value if expected is None else expected.copy()[()]
        got = as_float64(value)
        problem = "recorded more often than in the reference" if expected is None else why_not_comparable(got, expected)
        call = Recorded(key, got, value, value, problem, place or _place())
        call.returned_value = got
        if self.feedback and expected is not None and (returned := self.feedback(key, expected)) is not None:
            call.returned = _like(value, returned)
            same = getattr(value, "dtype", None) == returned.dtype
            call.returned_value = returned if same else as_float64(call.returned)
        if key not in self._seen:
            self._seen[key] = got
            self.recorded.append(call)
        elif not equal(got, self._seen[key]):
            self.repeated.append(call)
        self.restore()
        if name in self.restored:
            self._watched.append(call)
        return call.returned

    def restore(self) -> None:
        """Restore the arrays to be restored that were changed: at each call, and between the two passes."""
        for call in reversed(self._watched):  # an array recorded at two steps holds what it held at the first
            for thing, held in call.held():
                if _differs(thing, held):
                    _write(thing, held)

    def missing(self) -> dict[str, int]:
        """Return how many calls are missing of each name that comes without a step, but less often than expected."""
        missing = {name: len(self._steps[name]) - self._calls[name] for name in self.numbered}
        return {name: count for name, count in missing.items() if count > 0}

    def _key(self, name: str, t: int | None) -> Key:
        steps = self._steps.get(name)
        if steps is None:
            close = difflib.get_close_matches(name, self._steps, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            expected = f"one of {', '.join(self._steps)}" if self._steps else "none, since the reference has none"
            raise ValueError(f"probe: expected {expected}; got {name!r}{meant}")
        count = self._calls.get(name, 0)
        self._calls[name] = count + 1
        if t is None:
            place = count + self.skipped.get(name, 0)
            if place >= len(steps):
                return name, -1 - count  # one call too many
            if len(steps) > 1:
                self.numbered.add(name)
            descending = name.startswith("d_") and name not in self.ascending
            return name, steps[len(steps) - 1 - place if descending else place]
        if steps == [None]:
            return name, None
        if t not in steps:
            raise ValueError(f"probe {name!r}: expected a step from {steps[0]} to {steps[-1]}, got {t}")
        return name, int(t)


def _place() -> Place:
    """Return the line that called the probe."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename in (__file__, probe.__file__) and frame.f_back:
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno)


def why_not_comparable(got: Array, expected: Array) -> str:
    """Say why a value cannot be compared with the reference's; "" if it can."""
    if got.dtype.kind not in "fiub":
        return f"dtype {got.dtype}, expected real numbers"
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    return ""


def _like(value: Any, array: Array) -> Any:
    """The array as what ``value`` is: a tensor on its device, an array of its dtype, a number, a list.

    An array of numbers with a fraction does not become one of whole numbers.
    """
    if hasattr(value, "detach"):
        import torch

        returned = torch.view_as_complex(torch.tensor(array)) if value.is_complex() else torch.as_tensor(array)
        cut = returned.is_floating_point() and not value.is_floating_point()
        returned = returned.to(dtype=None if cut else value.dtype, device=value.device)
        # If autograd records the derivation itself, the gradient flows to the value as it was computed.
        return value + (returned - value).detach() if value.requires_grad else returned.clone()
    if np.iscomplexobj(value):
        array = array[..., 0] + 1j * array[..., 1]
    if isinstance(value, np.ndarray):
        cut = array.dtype.kind == "f" and value.dtype.kind != "f"
        return array.astype(array.dtype if cut else value.dtype)
    return array.tolist() if isinstance(value, list) else array[()]


def _differs(thing: Any, held: Array) -> bool:
    return not equal(as_float64(thing, copy=False), held)


def equal(one: Array, other: Array) -> bool:
    """Return whether two arrays are equal, where no number equals no number; most have none, which is seen faster."""
    return np.array_equal(one, other) or (one.dtype.kind in "fc" and np.array_equal(one, other, equal_nan=True))


def _write(thing: Any, held: Array) -> None:
    if isinstance(thing, np.ndarray):
        if thing.flags.writeable and thing.shape == held.shape:
            np.copyto(thing, held, casting="unsafe")
    elif not thing.requires_grad:
        import torch

        thing.copy_(torch.as_tensor(held))
