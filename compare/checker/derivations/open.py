"""Places of a file that hold ``...``: not derived yet. A check takes the reference's value there and goes on."""

import ast
import sys
from dataclasses import dataclass
from dis import opmap
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

#: What arrays hold that were filled with something not derived: a NaN whose payload lasts through arithmetic, and with
#: its last 29 bits zero through single precision.
MARK = np.array(0x7FFB5A5A40000000, np.uint64).view(np.float64)[()]

#: The name under which the code of a file finds ``OPEN``.
NAME = "__open__"


class NotDerivedError(Exception):
    """A pass cannot go on without a value that is not derived yet."""


class Open(NDArrayOperatorsMixin):
    """A value that is not derived yet. Whatever is computed from it is not derived, either."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> "Open":
        for array in out:  # one that was to hold a value holds the mark
            np.copyto(array, MARK)
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(MARK, dtype)

    def __float__(self) -> float:
        return float(MARK)

    def __getattr__(self, name: str) -> "Open":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **options: Any) -> "Open":
        """Return no value."""
        return self

    __array_function__ = __getitem__ = __call__

    def __setitem__(self, index: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Any:
        """Return as many values as are unpacked.

        Raises:
            NotDerivedError: the number is not known.
        """
        frame = sys._getframe(1)
        operation, count = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 2]
        if operation != opmap["UNPACK_SEQUENCE"]:
            raise NotDerivedError
        return iter([self] * count)

    def _unknown(self) -> Any:
        raise NotDerivedError

    __bool__ = __len__ = __index__ = _unknown


OPEN = Open()


def is_open(value: Any) -> bool:
    """Whether a value is not derived yet, or an array has a part that is not."""
    if isinstance(value, list | tuple):
        return any(map(is_open, value))
    if not (isinstance(value, np.ndarray | np.floating | float) and np.asarray(value).dtype.kind == "f"):
        return isinstance(value, Open)
    if not np.isnan(np.max(value, initial=-np.inf)):  # as most arrays, large ones among them
        return False
    bits = np.atleast_1d(np.abs(np.asarray(value, np.float64))).view(np.uint64)
    return bool((bits == MARK.view(np.uint64)).any())


@dataclass(frozen=True)
class Span:
    """Where an expression is: first line and column, last line and the column after it."""

    line: int
    column: int
    last_line: int
    end: int

    @classmethod
    def of(cls, node: Any) -> "Span":
        """Return that of a node."""
        return cls(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


class Opening(ast.NodeTransformer):
    """Puts ``OPEN`` into the functions of a file wherever ``...`` stands for a value, and at ``spans``.

    An index, a default and a comparison keep their ``...``, and so does a list or tuple that is not returned.
    """

    def __init__(self, *spans: Span):
        self.spans, self._inside = spans, False

    def visit(self, node: ast.AST) -> Any:
        """Put ``OPEN`` in the place of an expression, or of what is assigned or added, that is to be set aside."""
        if isinstance(node, ast.BinOp | ast.Call) and Span.of(node) in self.spans:
            return self._open(node)
        if isinstance(node, ast.Assign | ast.AugAssign):
            written = [node, *(node.targets if isinstance(node, ast.Assign) else ())]
            if any(Span.of(one) in self.spans for one in written):
                node.value = self._open(node.value)
                return node
        return super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Visit the body alone."""
        outside, self._inside = self._inside, True
        node.body = [self.visit(one) for one in node.body]
        self._inside = outside
        return node

    def visit_Constant(self, node: ast.Constant) -> Any:
        """Replace ``...``."""
        return self._open(node) if node.value is ... and self._inside else node

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Return at a ``...`` that is a statement: what follows is not derived."""
        if isinstance(node.value, ast.Constant) and node.value.value is ... and self._inside:
            return ast.copy_location(ast.Return(self.visit(node.value)), node)
        return self.generic_visit(node)

    def visit_Return(self, node: Any) -> Any:
        """Replace each ``...`` of several values that are returned, or assigned to as many names."""
        to_several = isinstance(node, ast.Return) or isinstance(node.targets[0], ast.Tuple)
        if to_several and isinstance(node.value, ast.Tuple):
            node.value.elts = [self.visit(one) for one in node.value.elts]
            return node
        return self.generic_visit(node)

    visit_Assign = visit_Return  # noqa: N815

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Leave the index as it is."""
        node.value = self.visit(node.value)
        return node

    def visit_Tuple(self, node: Any) -> Any:
        """Leave a ``...`` that may be part of an index as it is."""
        node.elts = [one if isinstance(one, ast.Constant) else self.visit(one) for one in node.elts]
        return node

    visit_List = visit_Tuple  # noqa: N815

    def visit_Compare(self, node: ast.Compare) -> Any:
        """Leave a comparison as it is."""
        return node

    def _open(self, node: ast.AST) -> ast.Name:
        return ast.copy_location(ast.Name(NAME, ast.Load()), node)
