"""What no run of a check exercises: a statement of the user's code, a side of a branch, other values than given."""

import ast
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

from compare.checker import probe
from compare.checker.derivations.problem import Problem

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

#: Where code is not the user's: Python, its packages, and this project.
ROOT = Path(__file__).parents[3]
OTHERS = ("<", sys.prefix, sys.base_prefix, *(f"{ROOT}/{name}/" for name in ("compare", "manual", "torch_impl")))


class Exercised:
    """Collects what the runs of a check exercise, while it is active."""

    active: "Exercised | None" = None

    def __init__(self) -> None:
        self.lines: dict[CodeType, set[int]] = {}
        self.sides: dict[str, set[bool]] = {}
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

    def note(self, problem: Problem, sides: Mapping[str, set[bool]]) -> None:
        """Collect which sides the branches of a reference take, and which values the arguments hold."""
        for name, taken in sides.items():
            self.sides.setdefault(name, set()).update(taken)
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
        found += [f"one side of {name} in the reference" for name, sides in self.sides.items() if len(sides) < 2]
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


def sides_in(nodes: Iterable[Any]) -> dict[str, set[bool]]:
    """Return which sides are taken in the nodes of a graph, by the name of what has two."""
    found: dict[str, set[bool]] = {}
    for node in nodes:
        if type(node).__name__ in BRANCHES:
            name, of = BRANCHES[type(node).__name__]
            first = of(node)
            found.setdefault(name, set()).update({bool(first.any()), bool(first.all())})
    return found
