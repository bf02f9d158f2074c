"""A line of a user's file whose operands do not fit together."""

import ast
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from compare.checker.derivations.exercised import OTHERS
from compare.checker.derivations.open import Span
from compare.checker.derivations.pair import Pair

#: What NumPy says of shapes, rather than of values.
OF_SHAPES = re.compile("shape|dimension|broadcast|aligned|subscripts")


@dataclass(frozen=True)
class Misfit:
    """A line in which shapes do not fit, the expression, and a few words with the shapes of its operands."""

    file: str
    line: int
    code: str
    span: Span
    words: str


def misfit(error: BaseException, path: Path | None = None) -> Misfit | None:
    """Return the line of a file, or of what a ``Pair`` runs, where shapes do not fit; None if an error is another."""
    trace, last, raised_by, in_pass = error.__traceback__, None, "", False
    while trace:
        code = trace.tb_frame.f_code
        raised_by, in_pass = code.co_filename, in_pass or code is Pair.solve.__code__
        theirs = raised_by == str(path) if path else in_pass and not raised_by.startswith(OTHERS)
        last = trace if theirs else last
        trace = trace.tb_next
    if last is None or not isinstance(error, ValueError) or Path(raised_by).is_relative_to(Path(__file__).parents[2]):
        return None
    if not OF_SHAPES.search(str(error)):
        return None
    path = Path(last.tb_frame.f_code.co_filename)
    position = next(islice(last.tb_frame.f_code.co_positions(), last.tb_lasti // 2, None))
    line, last_line, column, end = (0 if one is None else one for one in position)
    span = Span(line, column, last_line, end)
    linecache.checkcache(str(path))
    lines = linecache.getlines(str(path))
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:  # for instance of a notebook's magic
        return None
    for node, operands in _operations(tree):
        if Span.of(node) == span:
            shapes = {ast.unparse(one): _shape(one, last.tb_frame) for one in operands}
            of_arrays = [f"{text} is {shape}" for text, shape in shapes.items() if shape]
            if not of_arrays:
                return None
            words = f"{ast.unparse(node)}: the shapes do not fit: {', '.join(of_arrays)}"
            return Misfit(str(path), line, lines[line - 1].strip(), span, words)
    return None


def _operations(tree: ast.AST) -> Iterator[tuple[Any, list[ast.expr]]]:
    """Yield what may not fit, as an error's position names it, with its operands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            yield node, [node.left, node.right]
        elif isinstance(node, ast.AugAssign):
            yield node, [node.target, node.value]
        elif isinstance(node, ast.Call):
            yield node, [*([node.func.value] if isinstance(node.func, ast.Attribute) else []), *node.args]
        elif isinstance(node, ast.Assign):
            yield from ((target, [target, node.value]) for target in node.targets if isinstance(target, ast.Subscript))


def _shape(node: ast.expr, frame: FrameType) -> str:
    """Return the shape of an operand, computed again from what it is made of; "" if it has none."""
    if any(isinstance(one, ast.Name) and one.id == "probe" for one in ast.walk(node)):
        return ""
    try:
        value = eval(ast.unparse(node), frame.f_globals, frame.f_locals)
    except Exception:
        return ""
    return str(value.shape) if isinstance(value, np.ndarray) else ""
