"""What no run of a check exercises: a statement of the user's code, a side of a branch, other values than given."""

import ast
import dis
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

from compare.checker import probe
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Derivation, Problem

#: By the node of torch's graph, what has two sides, and which elements take the first.
BRANCHES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "WhereBackward0": ("where", lambda node: node._saved_condition),
    "ReluBackward0": ("relu", lambda node: node._saved_result > 0),
    "AbsBackward0": ("abs", lambda node: node._saved_self > 0),
    "ClampMinBackward0": ("clamp", lambda node: node._saved_self > node._saved_min),
    "ClampMaxBackward0": ("clamp", lambda node: node._saved_self < node._saved_max),
    "MaximumBackward0": ("maximum", lambda node: node._saved_self > node._saved_other),
    "MinimumBackward0": ("minimum", lambda node: node._saved_self < node._saved_other),
}

#: The same by the name of an operation of NumPy, of its operands.
NUMPY_BRANCHES: dict[str, Callable[..., list[Any]]] = {
    "where": lambda condition, *_: [condition],
    "absolute": lambda x: [x > 0],
    "sign": lambda x: [x > 0],
    "maximum": lambda x, y: [x > y],
    "minimum": lambda x, y: [x < y],
    "clip": lambda x, low, high: [x > low, x < high],
}

#: Where code is not the user's: Python, its packages, and this project.
ROOT = Path(__file__).parents[3]
OTHERS = ("<", sys.prefix, sys.base_prefix, *(f"{ROOT}/{name}/" for name in ("compare", "manual", "torch_impl")))


class Exercised:
    """Collects what the runs of a check exercise, while it is active."""

    active: "Exercised | None" = None

    def __init__(self) -> None:
        self.lines: dict[CodeType, set[int]] = {}
        self.sides: dict[tuple[str, int], set[bool]] = {}
        self.repeats: dict[str, bool] = {}
        self.values: dict[str, set[float]] = {}

    @contextmanager
    def collecting(self) -> Iterator["Exercised"]:
        """Collect inside the block: the lines of what is called while a probe listens."""
        before = Exercised.active, probe.tracer
        Exercised.active, probe.tracer = self, self._trace
        try:
            yield self
        finally:
            Exercised.active, probe.tracer = before

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if code.co_filename.startswith(OTHERS):
            return None
        lines = self.lines.setdefault(code, {code.co_firstlineno})  # of which there is no event

        def at(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            lines.add(frame.f_lineno)
            return at

        return at

    @classmethod
    def note(cls, derivation: Derivation, problem: Problem, sides: Mapping[str, set[bool]]) -> None:
        """Collect, after a run, which sides the branches of reference and code take, and what the arguments hold."""
        if cls.active:
            cls.active._note(derivation, problem, sides)

    def _note(self, derivation: Derivation, problem: Problem, sides: Mapping[str, set[bool]]) -> None:
        for name, taken in sides.items():
            self.sides.setdefault((f"{name} in the reference", 0), set()).update(taken)
        if isinstance(derivation, Pair) and any(map(_may_branch, self.lines)):
            with suppress(Exception):  # it takes no such arrays
                derivation.solve(problem.mapped(Deciding.of), None)
        for name, value in {**problem.inputs, **problem.parameters}.items():
            array = np.asarray(value) if isinstance(value, np.ndarray | float) else np.empty(0)
            if array.dtype.kind == "f" and array.size:
                low, high = float(array.min()), float(array.max())
                telling = array.size == 1 and low not in (0, 1)  # what lacks such a factor or term differs
                self.values.setdefault(name, set()).update((low, np.nan if telling else high))
            elif array.dtype.kind in "iu" and array.size > 1:
                self.repeats[name] = self.repeats.get(name, False) or len(np.unique(value)) < value.size

    def missed(self) -> list[str]:
        """Return in words what was not exercised."""
        found = []
        for file in dict.fromkeys(code.co_filename for code in self.lines):
            if lines := sorted(self._missed_in(file)):
                found.append(f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))} of {Path(file).name}")
        one_sided = dict.fromkeys(name for (name, _), sides in self.sides.items() if len(sides) < 2)
        found += [f"one side of {name}" for name in one_sided]
        found += [f"a number that occurs twice in {name}" for name, twice in self.repeats.items() if not twice]
        return found + [f"{name}: all values are {max(v):g}" for name, v in self.values.items() if len(v) == 1]

    def _missed_in(self, file: str) -> Iterator[int]:
        """Yield the first line of each block that no call of what was called ran, unless it ends in an error."""
        called = {code: ran for code, ran in self.lines.items() if code.co_filename == file}
        missed = {line for code in called for *_, line in code.co_lines()}.difference(*called.values())

        def of_block(block: list[ast.stmt]) -> Iterator[int]:
            for statement in block:
                if statement.lineno in missed:
                    if not isinstance(block[-1], ast.Raise):
                        yield statement.lineno
                    return
                for inner in ("body", "orelse", "finalbody"):
                    yield from of_block(getattr(statement, inner, []))
                for case in getattr(statement, "cases", []):
                    yield from of_block(case.body)

        with suppress(SyntaxError):  # for instance of a notebook's magic
            yield from of_block(ast.parse("".join(linecache.getlines(file))).body)


class Deciding(np.ndarray):
    """An array for NumPy of which, and of what is computed from it, each branch tells which sides it takes."""

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return an array as such a one, and anything else as it is."""
        return value.view(cls) if isinstance(value, np.ndarray) else value

    def __deepcopy__(self, memo: Any) -> Any:
        """Return a copy, which NumPy would make a plain array."""
        return self.copy()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        """Run one operation."""
        plain = [_plain(value) for value in inputs]
        if method == "__call__":
            _tell(ufunc.__name__, plain)
        into = {"out": tuple(map(_plain, out))} if out else {}
        result = getattr(ufunc, method)(*plain, **into, **options)
        return out[0] if out else Deciding.of(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Run another function of NumPy."""
        if func is np.where:
            _tell("where", [_plain(args[0])])
        return Deciding.of(super().__array_function__(func, types, args, kwargs))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Store values, where a condition says if it is one."""
        if isinstance(index, np.ndarray) and index.dtype.kind == "b":
            _tell("where", [_plain(index)])
        super().__setitem__(index, value)


def _may_branch(code: CodeType) -> bool:
    """Whether a function of the user's names an operation with two sides, or compares."""
    named = {*code.co_names} & {"abs", *NUMPY_BRANCHES}
    return bool(named) or any(one.opname == "COMPARE_OP" for one in dis.get_instructions(code))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Deciding) else value


def _tell(name: str, operands: list[Any]) -> None:
    """Collect which sides an operation of the user's takes, by its line."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(OTHERS) and frame.f_code is not Pair.solve.__code__:
        frame = frame.f_back
    if name not in NUMPY_BRANCHES or not Exercised.active or not frame or frame.f_code is Pair.solve.__code__:
        return
    place = f"{name} in line {frame.f_lineno} of {Path(frame.f_code.co_filename).name}"
    for k, first in enumerate(NUMPY_BRANCHES[name](*operands)):
        Exercised.active.sides.setdefault((place, k), set()).update({bool(np.any(first)), bool(np.all(first))})


def sides_in(nodes: Iterable[Any]) -> dict[str, set[bool]]:
    """Return which sides are taken in the nodes of a graph, by the name of what has two."""
    found: dict[str, set[bool]] = {}
    for node in nodes:
        if type(node).__name__ in BRANCHES:
            name, of = BRANCHES[type(node).__name__]
            first = of(node)
            found.setdefault(name, set()).update({bool(first.any()), bool(first.all())})
    return found
