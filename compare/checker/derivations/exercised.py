"""What no run of a check exercises: a statement of the user's code, a side of a branch, other values than given."""

import ast
import linecache
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dis import opmap
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch

from compare.checker import probe
from compare.checker.derivations.pair import Pair
from compare.checker.derivations.problem import Derivation, Problem
from compare.checker.derivations.watched import Watched
from compare.checker.recorder import Place

#: What two sides are of: by the name of an operation of NumPy, which elements of its operands take the first.
NUMPY_BRANCHES: dict[str, Callable[..., list[Any]]] = {
    "where": lambda condition, *_: [condition],
    "absolute": lambda x: [x > 0],
    "sign": lambda x: [x > 0],
    "heaviside": lambda x, _: [x > 0],
    **dict.fromkeys(("maximum", "fmax"), lambda x, y: [x > y]),
    **dict.fromkeys(("minimum", "fmin"), lambda x, y: [x < y]),
    "clip": lambda x, low, high: [x > low, x < high],
    **dict.fromkeys(("greater", "less_equal"), lambda x, y: [x > y]),
    **dict.fromkeys(("less", "greater_equal"), lambda x, y: [x < y]),
}

#: What these operations are called; the others have their own names.
COMPARISON, COMPARISONS = "a comparison", ("greater", "greater_equal", "less", "less_equal")

#: The same by the node of torch's graph.
BRANCHES: dict[str, Callable[[Any], list[Any]]] = {
    "Where": lambda node: [node._saved_condition],
    "MaskedFill": lambda node: [node._saved_mask],
    "Mul": lambda node: [v for v in (node._saved_self, node._saved_other) if getattr(v, "dtype", None) == torch.bool],
    "Relu": lambda node: [node._saved_result > 0],
    "Abs": lambda node: [node._saved_self > 0],
    **dict.fromkeys(
        ("LeakyRelu", "Elu", "Celu", "PreluKernel"),  # in place they save the result, which has the same sign
        lambda node: [(node._saved_self if hasattr(node, "_saved_self") else node._saved_result) > 0],
    ),
    "Threshold": lambda node: [node._saved_self > node._saved_threshold],
    "Hardtanh": lambda node: [node._saved_self > node._saved_min_val, node._saved_self < node._saved_max_val],
    "Clamp": lambda node: [
        *([] if node._saved_min is None else [node._saved_self > node._saved_min]),
        *([] if node._saved_max is None else [node._saved_self < node._saved_max]),
    ],
    "ClampMin": lambda node: [node._saved_self > node._saved_min],
    "ClampMax": lambda node: [node._saved_self < node._saved_max],
    **dict.fromkeys(("Maximum", "Fmax"), lambda node: [node._saved_self > node._saved_other]),
    **dict.fromkeys(("Minimum", "Fmin"), lambda node: [node._saved_self < node._saved_other]),
    **dict.fromkeys(("Hardshrink", "Softshrink"), lambda node: [node._saved_self.abs() > node._saved_lambd]),
    "HuberLoss": lambda node: [(node._saved_self - node._saved_target).abs() < node._saved_delta],
    "SmoothL1Loss": lambda node: [(node._saved_self - node._saved_target).abs() < node._saved_beta],
}

#: Which sides were taken, by the name of what has two and the number of its bound.
Sides = dict[tuple[str, int], set[bool]]

#: Where code is not the user's: Python, its packages, and this project.
ROOT = Path(__file__).parents[3]
OTHERS = ("<", sys.prefix, sys.base_prefix, *(f"{ROOT}/{name}/" for name in ("compare", "manual", "torch_impl")))


class Exercised:
    """Collects what the runs of a check exercise, while it is active."""

    active: "Exercised | None" = None

    def __init__(self) -> None:
        self.lines: dict[CodeType, set[int]] = {}
        self.sides: dict[tuple[str, Place | None, int, int], set[bool]] = {}  # without a place, of the reference
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
    def note(cls, derivation: Derivation, problem: Problem, sides: Sides) -> None:
        """Collect, after a run, which sides the branches of reference and code take, and what the arguments hold."""
        if cls.active:
            cls.active._note(derivation, problem, sides)

    def _note(self, derivation: Derivation, problem: Problem, sides: Sides) -> None:
        for (name, k), taken in sides.items():
            self.sides.setdefault((name, None, 0, k), set()).update(taken)
        if isinstance(derivation, Pair) and any(map(_may_branch, self.lines)):
            with suppress(Exception):  # it takes no such arrays
                derivation.solve(problem.mapped(partial(Watched.of, see=self._see)), None)
        for name, value in {**problem.inputs, **problem.parameters}.items():
            array = np.asarray(value) if isinstance(value, np.ndarray | float) else np.empty(0)
            if array.dtype.kind == "f" and array.size:
                low, high = float(array.min()), float(array.max())
                telling = array.size == 1 and low not in (0, 1)  # what lacks such a factor or term differs
                self.values.setdefault(name, set()).update((low, np.nan if telling else high))
            elif array.dtype.kind in "iu" and array.size > 1:
                self.repeats[name] = self.repeats.get(name, False) or len(np.unique(value)) < value.size

    def _see(self, name: str, operands: list[Any], result: Any) -> Any:
        """Collect which sides an operation takes, by the line of the user's that calls it; a comparison itself."""
        if name not in NUMPY_BRANCHES:
            return result
        frame: Any = sys._getframe(2)
        while name not in COMPARISONS and _is_others(frame.f_code):
            frame = frame.f_back
        if not frame.f_code.co_filename.startswith(OTHERS):
            place, named = Place(frame.f_code.co_filename, frame.f_lineno), COMPARISON if name in COMPARISONS else name
            for k, first in enumerate(NUMPY_BRANCHES[name](*operands)):
                sides = self.sides.setdefault((named, place, frame.f_lasti, k), set())
                sides.update({bool(np.any(first)), bool(np.all(first))})
        return result

    def missed(self) -> list[str]:
        """Return in words what was not exercised."""
        found = []
        for file in dict.fromkeys(code.co_filename for code in self.lines):
            if lines := sorted(self._missed_in(file)):
                found.append(f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))} of {Path(file).name}")
        one_sided = dict.fromkeys(key[:2] for key, sides in self.sides.items() if len(sides) < 2)
        said = {place for name, place in one_sided if name != COMPARISON}
        for name, place in one_sided:
            if place and name == COMPARISON and (place in said or place.line in _guards(place.file)):
                continue
            where = f"line {place.line} of {Path(place.file).name}" if place else "the reference"
            found.append(f"one side of {name} in {where}")
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

        yield from of_block(_tree(file).body)


def _guards(file: str) -> set[int]:
    """Return the lines that compare only to raise an error."""
    found: set[int] = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise)):
            found |= {*range(node.lineno, (node.test.end_lineno or 0) + 1)}
    return found


def _tree(file: str) -> ast.Module:
    with suppress(SyntaxError):  # for instance of a notebook's magic
        return ast.parse("".join(linecache.getlines(file)))
    return ast.Module([], [])


def _is_others(code: CodeType) -> bool:
    return code.co_filename.startswith(OTHERS) and code is not Pair.solve.__code__


def _may_branch(code: CodeType) -> bool:
    """Whether a function of the user's names an operation with two sides, or compares."""
    named = {*code.co_names} & {"abs", *NUMPY_BRANCHES}
    return bool(named) or opmap["COMPARE_OP"] in code.co_code[::2]


def sides_in(nodes: Iterable[Any]) -> Sides:
    """Return which sides are taken in the nodes of a graph."""
    found: Sides = {}
    for node in nodes:
        kind, firsts = type(node).__name__.partition("Backward")[0], []
        with suppress(AttributeError, RuntimeError):  # another form of it saves less, or what it saved was changed
            firsts = BRANCHES[kind](node) if kind in BRANCHES else []
        for k, first in enumerate(firsts):
            name = "a mask" if kind == "Mul" else re.sub(r"\B(?=[A-Z])", "_", kind).lower()
            found.setdefault((name, k), set()).update({bool(first.any()), bool(first.all())})
    return found
