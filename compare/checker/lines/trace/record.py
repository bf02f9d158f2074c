"""What a run of the user's program computes, statement by statement.

The program is rewritten such that each statement first hands over its variables, then the value that it computes. A
recorder sees statement, occurrence and value, and returns the value that the program goes on with; one for another
language needs no more.
"""

import ast
import copy
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from compare.checker.lines.statement import APART, mentioned, names_in
from compare.checker.lines.trace.traced import Traced, plain
from manual.arrays import Array

#: The name under which the rewritten functions find the recorder.
NAME = "__recorder__"

#: The variable that holds the arguments of a call that is a statement.
VALUES = "__values__"

#: Methods that keep an argument and do not write into it.
KEEPING = ("append", "appendleft", "insert", "extend", "update", "add", "put", "setdefault")

#: How deep, and how many, the containers are in which arrays are looked for.
DEEPEST, MOST = 4, 400


@dataclass(eq=False)
class Event:
    """One execution of a statement.

    ``variables`` are those before it, with copies of their arrays, and ``ids`` the ids of these, by name. ``value``
    holds the arrays that it computes and ``value_ids`` their ids. ``forward`` says in which pass it was, ``depends``
    whether these may depend on the incoming gradients. ``order`` is that in which values were there: what a function
    computes comes before the statement that calls it.
    """

    statement: int
    occurrence: int
    forward: bool
    variables: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, Array] = field(default_factory=dict)
    scope: dict[str, Any] = field(default_factory=dict)
    value: list[Array] = field(default_factory=list)
    value_ids: list[Array] = field(default_factory=list)
    depends: bool = True
    order: int = 0


class Recorder:
    """Sees the values of a run.

    Args:
        ids: returns the ids of an array, or None if there are none.
        alone: copies a value, so that the adjoint of this use alone is known.
        shared: the statements whose values are to stay what they are; None if all are.

    ``copies`` holds each value that was copied, with the number of its statement and the copy.
    """

    def __init__(
        self, ids: Callable[[Any], Any], alone: Callable[[Any], Any], shared: Collection[int] | None = frozenset()
    ):
        self.events: list[Event] = []
        self.copies: list[tuple[int, Any, Any]] = []
        self.forward = True
        self._ids, self._alone, self._shared = ids, alone, shared
        self._counts: dict[int, int] = {}
        self._open: dict[int, Event] = {}
        self._seen = 0

    def before(
        self, statement: int, variables: dict[str, Any], scope: dict[str, Any], parent: int | None = None
    ) -> None:
        """See the variables before a statement; those of its parent are seen before."""
        count = self._counts[statement] = self._counts.get(statement, -1) + 1
        event = Event(statement, count, self.forward, scope=scope)
        outer = self._open.get(parent) if parent is not None else None
        own = {name: value for name, value in variables.items() if name.isidentifier() and name != VALUES}
        event.variables = (outer.variables if outer else {}) | {name: _copied(one) for name, one in own.items()}
        event.ids |= outer.ids if outer else {}
        for name, value in own.items():
            if isinstance(value, Traced):
                event.ids[name] = np.array(self._ids(value))
            elif type(value) is dict and len(value) <= MOST:
                named = {f"{name}[{key!r}]": one for key, one in value.items() if isinstance(one, Traced)}
                event.ids |= {text: np.array(self._ids(one)) for text, one in named.items()}
        self._seen += 1
        event.order = self._seen
        self.events.append(event)
        self._open[statement] = event

    def value(self, statement: int, value: Any, keep: bool = True) -> Any:
        """See what a statement computes, and return what it is to go on with."""
        if keep and self._shared is not None and statement not in self._shared:
            value = mapped(lambda one: self._copy(statement, one), value)
        event = self._open.get(statement)
        if event:
            self._seen += 1
            event.order = self._seen
            found = leaves(value)
            event.value = [numbers(one) for one in found]
            event.value_ids = [np.array(self._ids(one)) for one in found]
        return value

    def _copy(self, statement: int, value: Any) -> Any:
        copied = self._alone(value)
        self.copies.append((statement, value, copied))
        return copied


class Unseen:
    """What a rewritten function finds in the place of a recorder when nothing is to be seen."""

    def before(self, *_: Any) -> None:
        """See nothing."""

    def value(self, _: int, value: Any, __: bool = True) -> Any:
        """Return what a statement computes."""
        return value


def rewrite(outermost: ast.stmt, live: Collection[tuple[str, int]]) -> ast.stmt:
    """Return a definition whose statements show the recorder their variables and their values.

    Its inner functions have all variables of those around them, since any of these may be what a line should name. Not
    those that are ``live``, by name and line: the closure of a function that exists stays what it is.
    """
    return ast.fix_missing_locations(_Rewriting(live).visit(outermost))


class _Rewriting(ast.NodeTransformer):
    def __init__(self, live: Collection[tuple[str, int]]):
        self.live, self.around = live, set[str]()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        around = self.around
        self.around = around | names_in(node) | {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        self.generic_visit(node)
        if around and (node.name, first) not in self.live:
            node.body.append(mentioned(around, node.body[-1]))
        self.around = around
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, name, [one for statement in block for one in _shown(statement)])
        if type(node) in APART and hasattr(node, "number"):
            return _shown_apart(node)
        return node


def _shown_apart(node: Any) -> ast.AST:
    name = APART[type(node)]
    scope = [ast.Constant(node.number), _call("locals"), _call("globals"), ast.Constant(node.parent)]
    before = ast.Call(ast.Attribute(_name(NAME), "before", ast.Load()), scope, [])
    both = ast.Tuple([before, _seen(node.number, getattr(node, name), True)], ast.Load())
    setattr(node, name, ast.copy_location(ast.Subscript(both, ast.Constant(1), ast.Load()), node))
    return node


def _shown(node: ast.stmt) -> list[ast.stmt]:
    number = getattr(node, "number", None)
    if number is None:
        return [node]
    scope = [ast.Constant(number), _call("locals"), _call("globals")]
    before = ast.Expr(ast.Call(ast.Attribute(_name(NAME), "before", ast.Load()), scope, []))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if any(isinstance(one, ast.Starred) for one in call.args) or any(k.arg is None for k in call.keywords):
            return [ast.copy_location(before, node), node]
        keep = isinstance(call.func, ast.Attribute) and call.func.attr in KEEPING
        values = ast.Tuple([*call.args, *(k.value for k in call.keywords)], ast.Load())
        shown = ast.Assign([ast.Name(VALUES, ast.Store())], _seen(number, ast.copy_location(values, call), keep))
        own = [ast.Subscript(_name(VALUES), ast.Constant(k), ast.Load()) for k in range(len(values.elts))]
        call.args = [*own[: len(call.args)]]
        call.keywords = [ast.keyword(k.arg, one) for k, one in zip(call.keywords, own[len(call.args) :])]
        return [ast.copy_location(one, node) for one in (before, shown, node)]
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return) and node.value is not None:
        if not isinstance(node.value, ast.Yield | ast.YieldFrom | ast.Await | ast.Lambda):
            node.value = _seen(number, node.value, True)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield) and node.value.value is not None:
        node.value.value = _seen(number, node.value.value, True)
    return [ast.copy_location(before, node), node]


def _seen(number: int, value: ast.expr, keep: bool) -> ast.expr:
    arguments: list[ast.expr] = [ast.Constant(number), value, ast.Constant(keep)]
    return ast.copy_location(ast.Call(ast.Attribute(_name(NAME), "value", ast.Load()), arguments, []), value)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(name: str) -> ast.expr:
    return ast.Call(_name(name), [], [])


def value_of(node: ast.stmt) -> ast.expr | None:
    """Return the expression whose value the recorder sees of a statement; None if it has none."""
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Call):
            call = node.value
            return ast.Tuple([*call.args, *(k.value for k in call.keywords)], ast.Load())
        return node.value.value if isinstance(node.value, ast.Yield) else node.value
    return getattr(node, "value", None)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of torch; the module has functions of the same names."""
    return hasattr(type(value), "detach")


def leaves(value: Any, depth: int = 0) -> list[Any]:
    """Return the arrays and fractional numbers in a value, in order."""
    if isinstance(value, np.ndarray):
        return [value] if value.dtype.kind == "f" else []
    if isinstance(value, float | np.floating):
        return [value]
    if is_tensor(value):
        return [value] if value.is_floating_point() else []
    if depth < DEEPEST and isinstance(value, dict | list | tuple) and len(value) <= MOST:
        items = value.values() if isinstance(value, dict) else value
        return [leaf for one in items for leaf in leaves(one, depth + 1)]
    return []


def numbers(value: Any) -> Array:
    """Return a copy of an array or tensor as an array of doubles."""
    return np.array(plain(value.detach() if is_tensor(value) else value), dtype=float)


def mapped(change: Callable[[Any], Any], value: Any, depth: int = 0) -> Any:
    """Return a value with its arrays changed; plain tuples are made anew, lists and dicts stay the objects they are."""
    if isinstance(value, np.ndarray) or is_tensor(value):
        return change(value)
    if depth < DEEPEST and type(value) is tuple:
        return tuple(mapped(change, one, depth + 1) for one in value)
    return value


def _copied(value: Any, depth: int = 0) -> Any:
    """Return a variable with its arrays copied, also those in a list or dict."""
    if isinstance(value, np.ndarray):
        return plain(value).copy()
    if is_tensor(value):
        return value.detach().clone()
    if depth < 2 and type(value) in (list, tuple) and len(value) <= MOST:
        return type(value)(_copied(one, depth + 1) for one in value)
    if depth < 2 and type(value) is dict and len(value) <= MOST:
        return {key: _copied(one, depth + 1) for key, one in value.items()}
    if depth < 2 and _is_object(value):
        with suppress(Exception):
            made = copy.copy(value)
            made.__dict__.update({key: _copied(one, depth + 1) for key, one in vars(value).items()})
            return made
    return value


def _is_object(value: Any) -> bool:
    """Whether a value is an object that may hold arrays."""
    if isinstance(value, type | ModuleType) or callable(value) or is_tensor(value):
        return False
    return type(getattr(value, "__dict__", None)) is dict
