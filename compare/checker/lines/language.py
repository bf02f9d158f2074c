"""The languages whose source is searched: how a statement is read as a syntax tree of Python, and written back."""

import ast
from typing import Any, Protocol

from compare.checker.lines.statement import Body


class Language(Protocol):
    """A language. ``signs`` are those of the operators of its augmented assignments."""

    signs: dict[type[ast.operator], str]

    def parse(self, text: str) -> ast.AST:
        """Read a statement. Raises SyntaxError or ValueError if it is none."""

    def unparse(self, node: Any) -> str:
        """Write a node. Raises ValueError if the language has nothing like it."""


class Python:
    """Python itself."""

    signs = {ast.Add: "+=", ast.Sub: "-="}  # noqa: RUF012

    @staticmethod
    def parse(text: str) -> ast.AST:
        """Read a statement, which may be one that stands in a function only."""
        try:
            (made,) = ast.parse(text).body
        except (SyntaxError, ValueError):
            (made,) = ast.parse(f"def f():\n {text}").body[0].body  # type: ignore[attr-defined]
        return made

    @staticmethod
    def unparse(node: Any) -> str:
        """Write a node."""
        return ast.unparse(node.whole if isinstance(node, Body) else node)
