"""The statements of the user's functions, and what is like one: in lambdas and comprehensions."""

import ast
import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Statements in whose place others can stand.
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)
COMPOUND = (ast.For, ast.While, ast.If)

#: Expressions that are evaluated apart from the statement they are in, and the field that holds what they give.
APART: dict[type[ast.expr], str] = {
    ast.Lambda: "body",
    ast.ListComp: "elt",
    ast.SetComp: "elt",
    ast.GeneratorExp: "elt",
    ast.DictComp: "value",
}


class Body(ast.Return):
    """What a lambda returns, or what a comprehension collects, as a statement; ``owner`` is the whole expression."""

    owner: ast.expr

    @classmethod
    def of(cls, owner: ast.expr) -> "Body":
        """Make it of the whole expression, where that stands."""
        made = cls(getattr(owner, APART[type(owner)]))
        made.owner = owner
        return ast.copy_location(made, owner)

    @property
    def whole(self) -> ast.expr:
        """The whole expression with this in it."""
        made = copy.copy(self.owner)
        setattr(made, APART[type(made)], self.value)
        return made


@dataclass(eq=False)
class Statement:
    """A statement of a function: its number, the block it stands in, the function, outermost definition and source."""

    number: int
    node: ast.stmt
    block: list[ast.stmt]
    function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    outermost: ast.stmt
    source: Any

    @property
    def line(self) -> int:
        """Its first line."""
        return self.node.lineno

    @property
    def text(self) -> str:
        """Its source; for a loop or a condition, that of its first line."""
        if isinstance(self.node, COMPOUND):
            return self.source.lines[self.node.lineno - 1].strip()
        return inspect.cleandoc(ast.get_source_segment("\n".join(self.source.lines), self.node) or "")


def statements(source: Any, offset: int) -> Iterator[Statement]:
    """Yield the statements of all functions of a file, in order; each of their nodes is given its number."""
    count = offset

    def visit(block: list[ast.stmt], function: Any, outermost: ast.stmt | None) -> Iterator[Statement]:
        nonlocal count
        for node in block:
            top = outermost or node
            defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if function is not None and isinstance(node, SIMPLE + COMPOUND) and not _is_text(node):
                node.number = count  # type: ignore[union-attr]
                count += 1
                yield Statement(node.number, node, block, function, top, source)  # type: ignore[union-attr]
            for owner, within in _apart(node, function):
                owner.number, owner.parent = count, getattr(node, "number", None)  # type: ignore[attr-defined]
                count += 1
                yield Statement(owner.number, Body.of(owner), [], within, top, source)  # type: ignore[attr-defined]
            if defines:
                yield from visit(node.body, None if isinstance(node, ast.ClassDef) else node, top)  # type: ignore[attr-defined]
                continue
            for name in ("body", "orelse", "finalbody"):
                inner = getattr(node, name, None)
                if isinstance(inner, list):
                    yield from visit(inner, function, top)
            for one in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from visit(one.body, function, top)

    yield from visit(source.tree.body, None, None)


def names_in(node: ast.AST) -> set[str]:
    """Return the variables that a node names."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def mentioned(names: set[str], at: ast.stmt) -> ast.stmt:
    """Return a statement that never runs, with some names: a function keeps those of them that its closure has."""
    named: list[ast.stmt] = [ast.Expr(ast.Name(name, ast.Load())) for name in sorted(names)]
    return ast.fix_missing_locations(ast.copy_location(ast.If(ast.Constant(False), named or [ast.Pass()], []), at))


def _apart(node: ast.AST, function: Any) -> Iterator[tuple[ast.expr, Any]]:
    """Yield the lambdas, and the comprehensions in functions, that a statement holds, each with its function."""
    for one in ast.iter_child_nodes(node):
        within = one if isinstance(one, ast.Lambda) else function
        if isinstance(one, ast.stmt | ast.ExceptHandler | ast.match_case):
            continue
        if type(one) in APART and within is not None:
            yield one, within  # type: ignore[misc]
        yield from _apart(one, within)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or none that the user has written."""
    return hasattr(node, "implied") or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
