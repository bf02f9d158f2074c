"""MATLAB as a language that is searched: its files, its functions, its statements."""

import ast
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from compare.checker.lines.matlab import runtime
from compare.checker.lines.matlab.parse import Parser, functions_of, read
from compare.checker.lines.matlab.unparse import unparse
from compare.checker.lines.statement import Body


class Matlab:
    """The language of one .m file, in which a name is known to be a variable or a function.

    Args:
        file: the file.
        tree: its tree.
    """

    signs: dict[type[ast.operator], str] = {}  # noqa: RUF012

    def __init__(self, file: Path, tree: ast.Module):
        self._known = functions_of(file)
        named = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.arg)]
        self._variables = {node.arg if isinstance(node, ast.arg) else node.id for node in named} - set(self._known)

    def parse(self, text: str) -> ast.AST:
        """Read a statement."""
        return Parser(text, self._known, self._variables - set(runtime.NAMES)).statements()[0]

    @staticmethod
    def unparse(node: Any) -> str:
        """Write a node."""
        return unparse(node.whole if isinstance(node, Body) else node)


def source(file: str) -> tuple[ast.Module, Matlab]:
    """Return the tree and the language of a .m file.

    Raises:
        ValueError: something in it is not in the subset.
    """
    tree = read(Path(file))
    return tree, Matlab(Path(file), tree)


def functions(folder: Path) -> tuple[FunctionType, FunctionType]:
    """Return forward and backward of a folder as functions of Python.

    Raises:
        ValueError: something in them, or in what they call, is not in the subset.
    """

    @cache
    def named(name: str) -> Any:
        file = folder.resolve() / f"{name}.m"
        space: dict[str, Any] = {**runtime.NAMES, "probe": lambda name, *given: given[-1]}
        exec(compile(read(file), str(file), "exec", dont_inherit=True), space)
        own = [one for one in space.values() if isinstance(one, FunctionType) and one.__code__.co_filename == str(file)]
        for called in {one for function in own for one in function.__code__.co_names} - set(space):
            if (file.parent / f"{called}.m").is_file():
                space[called] = named(called)
        return space[name]

    return named("forward"), named("backward")
