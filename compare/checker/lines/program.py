"""The user's functions as source that can be edited: where it is, its statements, and the same functions with others.

Functions are not loaded anew: their code objects are exchanged, so that closures, methods, generators, decorators,
defaults and ``nonlocal`` stay what they are.
"""

import ast
import copy
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch._library.custom_ops import CustomOpDef

from compare.checker.lines.language import Language, Python
from compare.checker.lines.matlab.language import source as matlab
from compare.checker.lines.statement import APART, Body, Statement, mentioned, names_in, statements

#: Where the standard library and this checker lie.
OURS = (*{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")}, str(Path(__file__).parents[2]))

#: How the folders of other libraries are named.
PACKAGES = {"site-packages", "dist-packages"}


class ImpossibleError(Exception):
    """An edited function cannot be compiled, or needs a name of an enclosing function that it did not use."""


#: Code objects by name, line and how many of that name and line came before.
Codes = dict[tuple[str, int, int], CodeType]

#: Statements by number, and what stands in their place.
Edits = dict[int, list[ast.stmt]]


@dataclass(eq=False)
class Source:
    """A file of the user's: its lines, its tree, its code objects and the statements in its functions."""

    file: str
    lines: list[str]
    tree: ast.Module
    codes: "Codes"
    language: Language
    statements: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where the code object of a function is: in which definition, and the how-manieth of its name and line there."""

    source: Source
    outermost: ast.stmt
    key: tuple[str, int, int]


class Program:
    """All functions that some functions call, as far as their source is known; the others are ``missing``.

    Args:
        entries: the functions, methods or classes to begin with.
    """

    def __init__(self, *entries: Any):
        self.statements: list[Statement] = []
        self._sources: dict[str, Source | None] = {}
        self.functions: dict[FunctionType, Place] = {}
        self.missing: list[Any] = []
        self._rewritten: dict[ast.stmt, Codes] = {}
        for function in reachable(entries):
            place = self._place(function) if isinstance(function, FunctionType) else None
            if place:
                self.functions[function] = place
            elif not function.__name__.startswith("__"):  # as those that a dataclass has
                self.missing.append(function)
        live = {place.outermost for place in self.functions.values()}
        sources = [source for source in self._sources.values() if source]
        self.statements = [one for source in sources for one in source.statements if one.outermost in live]
        self.by_number = {statement.number: statement for statement in self.statements}

    @property
    def files(self) -> set[str]:
        """The files that were read."""
        return {file for file, source in self._sources.items() if source}

    @property
    def numbers(self) -> set[int]:
        """The whole numbers that its functions hold, in globals, closures and as constants from 4 on."""
        found: set[Any] = set()
        for function in self.functions:
            cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
            found |= {one for one in cells if type(one) is int}
            known = (function.__globals__.get(name) for name in _names(function.__code__))
            found |= {one for one in known if type(one) is int}
            found |= {one for one in function.__code__.co_consts if type(one) is int and one > 3}
        return found

    def _place(self, function: FunctionType) -> Place | None:
        """Return where a function's code is; None if its source is not what runs."""
        code = function.__code__
        source = self._source(code.co_filename)
        if source is None:
            return None
        for outermost in source.tree.body:
            first = min([outermost.lineno, *(d.lineno for d in getattr(outermost, "decorator_list", []))])
            if first <= code.co_firstlineno <= (outermost.end_lineno or first):
                for key, known in source.codes.items():
                    if known == code:
                        return Place(source, outermost, key)
        return None

    def _source(self, file: str) -> Source | None:
        if file not in self._sources:
            linecache.checkcache(file)
            lines = linecache.getlines(file)
            source = None
            with suppress(SyntaxError, ValueError):
                if lines:
                    # The whole file: what a name was imported as changes how the compiler calls its methods.
                    tree, language = matlab(file) if file.endswith(".m") else (ast.parse("".join(lines)), Python())
                    for node in ast.walk(tree):
                        node.theirs = True  # type: ignore[attr-defined]
                    codes = _codes(compile(tree, file, "exec", dont_inherit=True))
                    source = Source(file, [line.rstrip("\n") for line in lines], tree, codes, language)
            if source:
                offset = sum(len(s.statements) for s in self._sources.values() if s)
                source.statements = list(statements(source, offset))
            self._sources[file] = source
        return self._sources[file]

    @contextmanager
    def running(self, edits: Edits, rewrite: Any = None) -> Iterator[None]:
        """A context in which the functions are edited, and rewritten by ``rewrite`` from a definition to another.

        It is given the names and lines of those that exist, whose closures cannot have other variables.

        Raises:
            ImpossibleError: an edited function cannot be one.
        """
        edited, before = {self.by_number[number].outermost for number in edits}, {}
        try:
            with _edited(self.by_number, edits):
                for function, place in self.functions.items():
                    if rewrite or place.outermost in edited:
                        before[function] = function.__code__
                compiled = {one: codes for one, codes in self._rewritten.items() if rewrite and one not in edited}
                live = {place.key[:2] for place in self.functions.values()}
                for function in before:
                    place = self.functions[function]
                    if place.outermost not in compiled:
                        tree = rewrite(copy.deepcopy(place.outermost), live) if rewrite else place.outermost
                        compiled[place.outermost] = _codes(_compiled(tree, place.source, function))
                    try:
                        function.__code__ = compiled[place.outermost][place.key]
                    except (KeyError, ValueError) as error:
                        raise ImpossibleError from error
            self._rewritten |= {one: codes for one, codes in compiled.items() if rewrite and one not in edited}
            yield
        finally:
            for function, code in before.items():
                function.__code__ = code


@contextmanager
def _edited(by_number: dict[int, Statement], edits: Edits) -> Iterator[None]:
    """A context in which the tree has other statements."""
    done: list[Callable[[], None]] = []
    try:
        for number, new in edits.items():
            node, block = by_number[number].node, by_number[number].block
            if isinstance(node, Body):
                name, made = APART[type(node.owner)], new[-1]
                before = getattr(node.owner, name)
                done.append(partial(setattr, node.owner, name, before))
                value = ast.IfExp(ast.Constant(True), made.value, before)  # type: ignore[attr-defined]
                setattr(node.owner, name, ast.fix_missing_locations(ast.copy_location(value, node)))
                continue
            done.append(partial(block.__setitem__, slice(None), list(block)))
            k = next(k for k, one in enumerate(block) if one is node)
            block[k : k + 1] = [*new, mentioned(names_in(node), node)]
        yield
    finally:
        for undo in reversed(done):
            undo()


def _compiled(outermost: ast.stmt, source: Source, function: FunctionType) -> CodeType:
    flags = function.__code__.co_flags & 0x1FF0000  # those of __future__
    try:
        return compile(ast.Module([outermost], []), source.file, "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise ImpossibleError from error


def _codes(code: CodeType) -> Codes:
    """Return all code objects in one."""
    found: Codes = {}

    def visit(one: CodeType) -> None:
        for constant in one.co_consts:
            if isinstance(constant, CodeType):
                same = sum(key[:2] == (constant.co_name, constant.co_firstlineno) for key in found)
                found[constant.co_name, constant.co_firstlineno, same] = constant
                visit(constant)

    visit(code)
    return found


def reachable(entries: Any) -> Iterator[Any]:
    """Yield the functions that these may call: in closures, globals, classes, instances and wrappers.

    With them go those that Numba compiles.
    """
    seen: set[int] = set()
    todo = list(entries)
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, MethodType):
            todo += [thing.__func__, thing.__self__]
        elif isinstance(thing, staticmethod | classmethod):
            todo.append(thing.__func__)
        elif isinstance(thing, property):
            todo += [thing.fget, thing.fset]
        elif isinstance(thing, partial):
            todo += [thing.func, *thing.args, *thing.keywords.values()]
        elif isinstance(thing, FunctionType):
            if is_library(thing.__code__.co_filename):
                continue
            yield thing
            todo += [*(thing.__defaults__ or ()), thing.__dict__.get("__wrapped__")]
            todo += [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
            todo += [thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__]
        elif hasattr(thing, "py_func"):
            yield thing
        elif isinstance(thing, CustomOpDef):
            todo += vars(thing).values()
        elif isinstance(thing, type):
            if _is_users(thing):
                todo += [*vars(thing).values(), *thing.__bases__]
        elif isinstance(thing, dict | list | tuple):
            todo += list(thing.values() if isinstance(thing, dict) else thing)[:100]
        elif _is_users(type(thing)):
            todo += [type(thing), *list(getattr(thing, "__dict__", {}).values())]


def is_library(file: str) -> bool:
    """Whether a file is not the user's own."""
    return file.startswith(("<frozen", *OURS)) or not PACKAGES.isdisjoint(Path(file).parts)


def _is_users(cls: type) -> bool:
    """Whether a class was written by the user."""
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__ == "builtins":
        return False
    return file is None or not is_library(file)


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(one) for one in code.co_consts if isinstance(one, CodeType)))


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
