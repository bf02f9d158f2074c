"""A function in C, as a function of NumPy arrays."""

import ctypes
import math
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from compare.checker import probe
from compare.checker.recorder import Place, Recorder

#: The types of C that are understood, as NumPy has them.
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "int32_t": np.int32,
    "long": np.int64,
    "int64_t": np.int64,
    "size_t": np.uint64,
}

#: One argument in a prototype: its type, whether it is a pointer, its name and the sizes of its axes.
ARGUMENT = re.compile(r"(?:const\s+)?(\w+)\s*(\*?)\s*(?:restrict\s+|const\s+)*(\w+)\s*(?:\[([\w\s,*]*)\])?")

#: How many numbers around each array are watched, and their bytes.
MARGIN, MARK = 16, 0xA5

#: What ``probe.h`` calls: name, numbers, how many, the size of one, file, line.
Probe = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_int
)


def c_function(library: Path | str, name: str, arguments: str, writes: str = "", adds: str = "") -> Callable[..., Any]:
    """Return a function in C as one of NumPy arrays, for ``check_backward``.

    It takes those arguments, in their order, that are neither written nor known from the shapes of others, and returns
    the arrays that are written or added to, in their order: one, or a tuple.

    Args:
        library: a shared library, or a C file, which is compiled. ``PROBE`` of ``probe.h`` in it is ``probe``.
        name: the name of the function, which returns nothing.
        arguments: those of its prototype, each array with the sizes of its axes:
            ``"float* out[B, T, C], const float* inp[B, T, C], int B, int T, int C"``.
        writes: the names of the arrays that it writes. They hold NaN before, so that what is not written shows.
        adds: the names of those that it adds to. They hold zeros before.

    Raises:
        ValueError: there is no such file, function or C compiler, or the prototype cannot be read. From a call: an
            array has another shape, or the function writes outside its arrays. An exception of a probe propagates.
    """
    path = Path(library)
    if not path.is_file():
        raise ValueError(f"library: expected a shared library or a C file, got {path}, which is no file")
    loaded = _loaded(path.resolve(), path.stat().st_mtime_ns)
    if not hasattr(loaded, name):
        raise ValueError(f"name: expected a function that {path} has, got {name!r}")
    fresh = dict.fromkeys(writes.split(), np.nan) | dict.fromkeys(adds.split(), 0.0)
    return _Function(loaded, path, name, _parsed(arguments), fresh)


@dataclass(frozen=True)
class Argument:
    """One argument of a prototype: a number, or an array with the sizes of its axes, None where they are not said."""

    name: str
    dtype: Any
    is_array: bool
    axes: tuple[str, ...] | None


class _Function:
    """A function of a library that has been loaded, to be called with arrays."""

    def __init__(self, library: ctypes.CDLL, file: Path, name: str, arguments: list[Argument], fresh: dict[str, float]):
        self.library, self.file, self.name, self.arguments, self.fresh = library, file, name, arguments, fresh
        self.__name__ = name
        axes = {axis for one in arguments if one.name not in fresh for axis in one.axes or ()}
        self.taken = [one for one in arguments if one.name not in fresh and (one.is_array or one.name not in axes)]
        for one in fresh:
            if not any(argument.name == one and argument.axes is not None for argument in arguments):
                raise ValueError(f"{name}: {one}: expected an argument float* {one}[…] with the sizes of its axes")

    def __call__(self, *given: Any) -> Any:
        if len(given) != len(self.taken):
            names = ", ".join(one.name for one in self.taken)
            raise ValueError(f"{self.name}: expected {names}, got {len(given)} argument{'s' if len(given) > 1 else ''}")
        values = {one.name: self._value(one, value) for one, value in zip(self.taken, given)}
        sizes = self._sizes(values)
        whole, inside, passed = {}, {}, []
        for one in self.arguments:
            if not one.is_array:
                passed.append(np.ctypeslib.as_ctypes_type(one.dtype)(values.get(one.name, sizes.get(one.name, 0))))
                continue
            shape = self._shape(one, sizes) if one.name in self.fresh else values[one.name].shape
            margin, count = MARGIN * np.dtype(one.dtype).itemsize, math.prod(shape)
            whole[one.name] = np.full(2 * margin + count * np.dtype(one.dtype).itemsize, MARK, np.uint8)
            inside[one.name] = whole[one.name][margin : len(whole[one.name]) - margin].view(one.dtype).reshape(shape)
            inside[one.name][...] = self.fresh[one.name] if one.name in self.fresh else values[one.name]
            passed.append(ctypes.c_void_p(inside[one.name].ctypes.data))
        self._run(passed)
        for name, numbers in whole.items():
            margin = MARGIN * inside[name].itemsize
            if (numbers[:margin] != MARK).any() or (numbers[len(numbers) - margin :] != MARK).any():
                raise ValueError(f"{self.name}: {name}: wrote outside its {inside[name].size} numbers")
        for argument, value in zip(self.taken, given):
            if argument.is_array and isinstance(value, np.ndarray):
                now, before = inside[argument.name], values[argument.name]
                if now.tobytes() != before.tobytes():
                    value[...] = now  # as the function has changed its argument
        returned = tuple(inside[one.name].copy() for one in self.arguments if one.name in self.fresh)
        return returned[0] if len(returned) == 1 else returned

    def _value(self, argument: Argument, value: Any) -> Any:
        """Return a value in the type of an argument."""
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and np.dtype(argument.dtype).kind != "f"):
            raise ValueError(f"{self.name}: {argument.name}: expected {np.dtype(argument.dtype)}, got {array.dtype}")
        if argument.is_array and argument.axes is not None and array.ndim != len(argument.axes):
            expected = ", ".join(argument.axes)
            raise ValueError(f"{self.name}: {argument.name}: expected axes [{expected}], got shape {array.shape}")
        return np.array(array, argument.dtype, order="C") if argument.is_array else argument.dtype(array)

    def _sizes(self, values: dict[str, Any]) -> dict[str, int]:
        """Return all sizes, as the shapes of the arrays and the numbers that are given say them."""
        sizes = {one.name: int(values[one.name]) for one in self.taken if not one.is_array}
        for one in self.taken:
            for axis, size in zip(one.axes or (), values[one.name].shape if one.is_array else ()):
                if axis.isidentifier():
                    sizes.setdefault(axis, size)
        for one in self.taken:
            if one.axes is not None and values[one.name].shape != self._shape(one, sizes):
                expected = f"{self._shape(one, sizes)} for [{', '.join(one.axes)}]"
                raise ValueError(f"{self.name}: {one.name}: expected {expected}, got {values[one.name].shape}")
        return sizes

    def _shape(self, argument: Argument, sizes: dict[str, int]) -> tuple[int, ...]:
        """Return the shape of an array, whose sizes may be products."""
        try:
            factors = [[part.strip() for part in axis.split("*")] for axis in argument.axes or ()]
            return tuple(math.prod(int(part) if part.isdigit() else sizes[part] for part in one) for one in factors)
        except KeyError as error:
            raise ValueError(f"{self.name}: {argument.name}: {error.args[0]}: expected a size that is known") from None

    def _run(self, passed: list[Any]) -> None:
        """Call the function, with what it shows by ``PROBE`` sent to whoever listens."""
        failed: list[Exception] = []
        recorder = probe.listener()
        record = recorder.reference if isinstance(recorder, Recorder) else {}
        shapes = {key[0]: value.shape for key, value in record.items()}

        def shown(name: bytes, address: int, count: int, size: int, file: bytes, line: int) -> None:
            if failed or not isinstance(recorder, Recorder):
                return
            of_c = (ctypes.c_double if size == 8 else ctypes.c_float) * count
            numbers = np.ctypeslib.as_array(of_c.from_address(address))
            where = Path(file.decode())
            beside = self.file.parent / where
            place = Place(str(beside if beside.is_file() else where), line)
            shape = shapes.get(name.decode(), ())
            try:
                value = numbers.reshape(shape) if math.prod(shape) == count else numbers
                returned = recorder(name.decode(), value.copy(), place=place)
                numbers[...] = np.ravel(returned) if np.size(returned) == count else numbers
            except Exception as error:  # which C cannot pass on
                failed.append(place.named_in(error))

        function, hook = getattr(self.library, self.name), Probe(shown)
        function.restype = None
        with suppress(ValueError):  # it probes nothing
            ctypes.c_void_p.in_dll(self.library, "compare_probe").value = ctypes.cast(hook, ctypes.c_void_p).value
        try:
            function(*passed)
        finally:
            with suppress(ValueError):
                ctypes.c_void_p.in_dll(self.library, "compare_probe").value = None
        if failed:
            raise failed[0]


def _parsed(arguments: str) -> list[Argument]:
    """Read the arguments of a prototype."""
    found = []
    for text in re.split(r",(?![^\[]*\])", arguments):
        match = ARGUMENT.fullmatch(text.strip())
        if match is None or match[1] not in TYPES or (match[4] is not None and not match[2]):
            expected = "a type, *, a name and sizes in brackets, as in const float* inp[B, T, C]"
            raise ValueError(f"arguments: expected {expected}, with a type of {', '.join(TYPES)}; got {text.strip()!r}")
        axes = None if match[4] is None else tuple(axis.strip() for axis in match[4].split(",") if axis.strip())
        found.append(Argument(match[3], TYPES[match[1]], bool(match[2]), axes))
    return found


@cache
def _loaded(path: Path, changed: int) -> ctypes.CDLL:
    """Load a library, or compile a C file and load that; anew if it has changed."""
    if path.suffix != ".c":
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            raise ValueError(f"library: expected a shared library that can be loaded, got {path}: {error}") from None
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise ValueError(f"library: expected a C compiler, cc, gcc or clang, on the path to compile {path}, got none")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{path.stem}.so"
        flags = ["-O2", "-shared", "-fPIC", f"-I{Path(__file__).parent}", str(path), "-o", str(made), "-lm"]
        done = subprocess.run([*shlex.split(compiler), *flags], capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise ValueError(f"library: expected a C file that compiles, got {path}: {first}")
        return ctypes.CDLL(str(made))
