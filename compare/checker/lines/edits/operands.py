"""Which expressions others can stand for, and which values fit in their place."""

import ast
from typing import Any

import numpy as np

from compare.checker.lines.trace.record import is_tensor


def fits(other: Any, value: Any, instead: bool) -> bool:
    """Whether another operand leaves an elementwise product or sum its shape, or can stand in the place of a value.

    Axes of length one may be filled: those that a sum has kept are for a factor that has them whole.
    """
    a, b = np.shape(other), np.shape(value)  # what is put in the place of a value may do with another shape
    return (
        instead or a in (b, ()) or (len(a) <= len(b) and all(1 in (m, n) or m == n for m, n in zip(a[::-1], b[::-1])))
    )


def kind(value: Any) -> str:
    """Return "i" for whole numbers, an array of them also, unless it holds only 0 and 1, as a mask does."""
    if is_tensor(value):
        whole = not (value.is_floating_point() or str(value.dtype) == "torch.bool")
        return "i" if whole and not bool(((value == 0) | (value == 1)).all()) else ""
    if not isinstance(value, int | np.integer | np.ndarray) or isinstance(value, bool):
        return ""
    array = np.asarray(value)
    return "i" if array.dtype.kind in "iu" and not (array.ndim and np.isin(array, (0, 1)).all()) else ""


def module_of(scope: dict[str, Any]) -> Any:
    """Return the module whose arrays a function computes with: NumPy, or torch."""
    tensors = any(is_tensor(value) for value in scope.values())
    return next((v for v in scope.values() if getattr(v, "__name__", "") == "torch"), np) if tensors else np


def is_number(value: Any) -> bool:
    """Whether a value is an array, or a number with a fraction."""
    if is_tensor(value):
        return bool(value.is_floating_point()) or str(value.dtype) == "torch.bool"
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fb"
    return isinstance(value, float | np.floating)


def unprobed(node: Any) -> Any:
    """Return what is probed, if a node is a call of ``probe``: an edit around it would leave the probe wrong."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "probe" and node.args:
        node = node.args[-1]
    return node


def expressions(root: ast.expr) -> list[ast.expr]:
    """Return the expressions in one that others can stand for, the outermost first."""
    out: list[ast.expr] = []

    def visit(node: ast.AST, parent: Any, name: str) -> None:
        node = unprobed(node)
        if isinstance(node, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp | ast.JoinedStr):
            if isinstance(node, ast.expr):
                out.append(node)
            for first in getattr(node, "generators", [])[:1]:
                visit(first.iter, first, "iter")
            return
        callee = isinstance(parent, ast.Call) and name == "func"
        module = isinstance(parent, ast.Attribute) and isinstance(node, ast.Name) and node.id in ("np", "numpy", "math")
        if isinstance(node, ast.expr) and not callee and not module and not isinstance(node, ast.Slice | ast.Starred):
            out.append(node)
        for field, value in ast.iter_fields(node):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.AST):
                    visit(one, node, field)

    visit(root, None, "")
    return out
