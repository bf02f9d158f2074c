"""The benches of statements: their variables, and the expressions that could be operands in them."""

import ast
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any, TypeGuard

import numpy as np

from compare.checker.lines.edits.bench import Bench, Leaf, code_of, writes
from compare.checker.lines.program import Program
from compare.checker.lines.statement import Statement, names_in
from compare.checker.lines.trace.record import Event, is_tensor
from compare.checker.recorder import as_float64
from manual.arrays import Array

#: The most expressions that are tried as operands, and the longest of those that are more than a name.
MOST, LONGEST = 150, 30

#: The most names that the user's own functions of one argument are called with.
CALLED = 20


class Benches:
    """Makes the benches of a program's statements.

    ``only_forward`` holds the functions that ran in the forward pass alone.
    """

    def __init__(self, program: Program, events: list[Event]):
        self.program = program
        self._operands: dict[int, tuple[list[str], list[str]]] = {}
        self._texts: dict[Any, list[tuple[str, ast.expr, CodeType]]] = {}
        ran = {
            forward: {program.by_number[e.statement].function for e in events if e.forward == forward}
            for forward in (True, False)
        }
        self.only_forward = ran[True] - ran[False]

    def of(self, statement: Statement, events: list[Event]) -> Bench:
        """Return the statement with its variables at these occurrences."""
        scopes = [{**e.scope, **e.variables} for e in events]
        found, keys, leaked = [], set(), _leaked(statement)
        keyed = [(t, n, code_of(n)) for t, n in _keyed(events[0].variables)]
        for text, node, code in [*self.texts_of(statement), *keyed]:
            if names_in(node) & leaked:
                continue
            try:
                values = [eval(code, scope) for scope in scopes]
            except Exception:
                continue
            if not all(_is_operand(v) for v in values):
                continue
            arrays = [as_float64(value, copy=False) for value in values]
            key = tuple(array.tobytes() for array in arrays), arrays[0].shape
            if key not in keys or isinstance(node, ast.Name | ast.Attribute) or not arrays[0].any():
                found.append(Leaf(text, node, values))
            keys.add(key)
        return Bench(statement, scopes, found)

    def texts_of(self, statement: Statement) -> list[tuple[str, ast.expr, CodeType]]:
        """Return the names and short expressions of the program, those of the statement's function first."""
        if statement.function not in self._texts:
            statements = self.program.statements
            if not self._operands:
                self._operands = {one.number: _operands_of(one.node) for one in statements}
            texts = dict[str, None]()
            for own in (True, False):
                some = [self._operands[one.number] for one in statements if (one.function is statement.function) == own]
                named, longer = ([text for its in some for text in its[k]] for k in (0, 1))
                if own:
                    plain = [text for text in named if text.count("[") == 1 and text[-1] == "]"]
                    indices = dict.fromkeys(text.split("[")[1].rstrip("]") for text in plain)
                    given = [one.arg for one in statement.function.args.args]  # which may be used nowhere
                    named += [f"{name}[{index}]" for name in given for index in indices if index.isidentifier()]
                texts |= dict.fromkeys([*named, *longer])
            names = [text for text in texts if text.isidentifier()]
            users = {function.__name__ for function in self.program.functions}
            single = (re.fullmatch(r"(\w+)\([^,]+\)", text) for text in texts)
            called = dict.fromkeys(call[1] for call in single if call and call[1] in users)
            made = []
            for text in [*list(texts)[:MOST], *(f"{helper}({name})" for helper in called for name in names[:CALLED])]:
                loaded = ast.parse(text, mode="eval").body
                made.append((text, loaded, code_of(loaded)))
            self._texts[statement.function] = made
        return self._texts[statement.function]


def natural_of(bench: Bench, events: list[Event]) -> list[list[Array]] | None:
    """Return a statement's value as it is, if it can be evaluated apart; None if not."""
    natural = bench.natural()
    if natural is None or any(len(n) != len(e.value) for n, e in zip(natural, events)):
        return None
    shapes = [(a.shape, ids.shape) for n, e in zip(natural, events) for a, ids in zip(n, e.value_ids)]
    return natural if all(one == other for one, other in shapes) else None


def flattened(values: list[list[Array]] | None) -> Array | None:
    """Return all numbers of the values of a statement in one row."""
    if values is None:
        return None
    rows = [one.ravel() for its in values for one in its]
    return np.concatenate(rows) if rows else None


def _leaked(statement: Statement) -> set[str]:
    """Return the variables of loops that the statement is not in: they still hold what the last step had."""
    node = getattr(statement.node, "owner", statement.node)
    loops = [one for one in ast.walk(statement.function) if isinstance(one, ast.For)]
    around = [one for one in loops if any(inner is node for inner in ast.walk(one))]
    targets = {id(name) for one in loops for name in ast.walk(one.target)}
    assigned = {
        one.id
        for one in ast.walk(statement.function)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and id(one) not in targets
    }
    named = [{name for one in some for name in names_in(one.target)} for some in (loops, around)]
    return named[0] - named[1] - assigned


def _is_fraction(node: ast.AST) -> TypeGuard[ast.Constant]:
    """Whether a node is a constant of the user's that is no whole number."""
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value % 1 != 0


def _is_operand(value: Any) -> bool:
    if is_tensor(value):
        return bool(not value.is_complex() and value.numel())
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fbiu" and value.size > 0
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def _operands_of(statement: ast.stmt) -> tuple[list[str], list[str]]:
    """Return the names in a statement and parts of what has one, and its short expressions."""
    named, longer = [], []
    for node in _parts_of(statement):
        if isinstance(node, ast.Name | ast.Subscript | ast.Attribute) or _is_fraction(node):
            named.append(ast.unparse(node))
            continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
            named += [ast.unparse(one) for one in (node.left, node.right) if _is_whole(one)]
        if isinstance(node, ast.BinOp | ast.Call) and not writes(node) and _has_a_name(node):
            longer.append(ast.unparse(node))
    return named, [text for text in longer if len(text) <= LONGEST]


def _is_whole(node: ast.AST) -> bool:
    """Whether a node is a whole number that is more than a power or an index."""
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 2


def _has_a_name(node: ast.AST) -> bool:
    """Whether an expression is more than numbers."""
    return any(isinstance(one, ast.Name) for one in ast.walk(node))


def _keyed(variables: dict[str, Any]) -> Iterator[tuple[str, ast.expr]]:
    """Yield variables, entries of dicts of arrays, and attributes of ``self``, that the code need not name anywhere."""
    for name, value in variables.items():
        texts: list[str] = [name] if name.isidentifier() else []
        if isinstance(value, dict) and len(value) <= 40:
            texts = [f"{name}[{key!r}]" for key in value if isinstance(key, str)]
        else:
            own = getattr(value, "__dict__", ()) if name == "self" else getattr(value, "__dataclass_fields__", ())
            texts += [f"{name}.{key}" for key in (*own, *getattr(value, "_fields", ()))]
        yield from ((text, ast.parse(text, mode="eval").body) for text in texts)


def _parts_of(node: ast.stmt) -> Iterator[ast.AST]:
    """Yield the expressions of a statement without those of the block in it."""
    heads: list[Any] = [node]
    if isinstance(node, ast.For):
        heads = [node.target, node.iter]
    elif isinstance(node, ast.If | ast.While):
        heads = [node.test]
    for head in heads:
        yield from ast.walk(head)
