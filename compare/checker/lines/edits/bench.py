"""Edits of a statement: what could stand in the place of each of its expressions."""

import ast
import copy
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from compare.checker.lines.edits import grammar
from compare.checker.lines.edits.operands import expressions, fits, is_number, kind, module_of
from compare.checker.lines.edits.structures import exchanged, functions_like, indices, replaced, structures, twice
from compare.checker.lines.statement import Statement
from compare.checker.lines.trace.record import KEEPING, leaves, value_of
from compare.checker.recorder import as_float64
from manual.arrays import Array

#: The name that stands for the expression that is replaced.
HOLE = "__hole__"

#: Methods that change what they are called on.
WRITING = {*KEEPING, "pop", "popleft", "remove", "clear", "fill", "sort", "reverse", "put", "at", "write", "__next__"}

#: The simplest expressions.
OPERANDS = (ast.Name, ast.Subscript, ast.Attribute)

#: What it costs to put another operand in the place of one wherever it stands in a statement.
RENAMED = 1.2

#: What it costs to exchange two operands of a statement.
EXCHANGED = 1.4

#: What it costs to change two signs of a statement.
TWICE = 1.6

#: What it costs to write somewhere else.
TARGET = 1.1

#: What it costs more if an operand is no name or part of something with a name.
COMPOUND = 0.3

#: What it costs more if an operand has another shape than the one in whose place it stands.
RESHAPED = 0.1

#: The values of an expression at the occurrences that are looked at.
Values = list[Any]


@dataclass(frozen=True, eq=False)
class Leaf:
    """An expression of the user's and its values."""

    text: str
    node: ast.expr
    values: Values


@dataclass(eq=False)
class Candidate:
    """An edit that is not made yet: the statement's value with it, and what it is.

    ``node`` is the expression that is replaced, ``form`` what stands in its place, a template of ``operands``; or
    ``made`` is the other statement, or ``inserted`` one that is missing before it.
    """

    statement: Statement
    cost: float
    node: ast.AST | None
    form: str
    operands: dict[str, ast.expr]
    values: list[list[Array]] | None = None
    made: ast.stmt | None = None
    inserted: ast.stmt | None = None

    def edited(self) -> list[ast.stmt]:
        """Return the edited statement."""
        if self.inserted is not None:
            return [self.inserted, self.statement.node]
        if self.made is not None:
            return [self.made]
        return [replaced(self.statement.node, self.node, expression(self.form, self.operands))]


def expression(form: str, operands: dict[str, ast.expr]) -> ast.expr:
    """Return a form with expressions in the place of its letters."""
    tree = copy.deepcopy(_form(form)[0])

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return operands.get(node.id, node)

    return Put().visit(tree)


def writes(node: ast.AST) -> bool:
    """Whether an expression calls a method that may change what it is called on."""
    called = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    return any(isinstance(one, ast.Attribute) and one.attr in WRITING for one in called)


def form_code(form: str) -> CodeType:
    """Return a form as code."""
    return _form(form)[1]


@cache
def _form(form: str) -> tuple[ast.expr, CodeType]:
    tree = ast.parse(form, mode="eval")
    return tree.body, compile(tree, "<form>", "eval")


class Bench:
    """A statement with its variables at some of its occurrences, at which edits of it are tried out.

    Args:
        statement: the statement.
        scopes: the variables and globals at each occurrence.
        leaves: the expressions of the program that have values there.
    """

    def __init__(self, statement: Statement, scopes: list[dict[str, Any]], found: list[Leaf]):
        self.statement, self.scopes, self.leaves = statement, scopes, found
        self.root = value_of(statement.node)
        self.module = module_of(scopes[0]) if scopes else np
        self.np = next((name for name, value in scopes[0].items() if value is self.module), "") if scopes else ""
        self._contexts: dict[int, CodeType] = {}

    def is_real(self, node: ast.expr) -> bool:
        """Whether an expression's values are arrays, or numbers with a fraction."""
        values = self.values(node)
        return values is not None and len(leaves(values[0])) == 1

    @property
    def masks(self) -> list[ast.AST]:
        """Its comparisons, and their parts."""
        compared = [one for one in ast.walk(self.statement.node) if isinstance(one, ast.Compare)]
        return [part for one in compared for part in ast.walk(one)]

    def natural(self) -> list[list[Array]] | None:
        """Return the statement's value as it is."""
        return self._whole(self.root) if self.root and not writes(self.root) else None

    def values(self, node: ast.expr) -> Values | None:
        """Return the values of one of its expressions."""
        with suppress(Exception):
            code = code_of(node)
            return [eval(code, scope) for scope in self.scopes]
        return None

    def with_node(self, node: ast.AST, values: Values) -> list[list[Array]] | None:
        """Return the statement's value with other values of one of its expressions."""
        if node is self.root:
            return self._of_root(values)
        if id(node) not in self._contexts:
            made = replaced(self.root, node, ast.Name(HOLE, ast.Load()))
            self._contexts[id(node)] = code_of(made)
        code = self._contexts[id(node)]
        found = []
        with suppress(Exception):
            for scope, value in zip(self.scopes, values):
                scope[HOLE] = value
                found.append(eval(code, scope))
            return self._of_root(found)
        return None

    def _whole(self, root: ast.expr) -> list[list[Array]] | None:
        """Return the statement's value with another expression in the place of its own."""
        values = self.values(root)
        return self._of_root(values) if values is not None else None

    def _of_root(self, values: Values) -> list[list[Array]] | None:
        try:
            return [[as_float64(one, copy=False) for one in leaves(value)] for value in values]
        except Exception:
            return None

    def candidates(self, low: float, most: float) -> Iterator[Candidate]:
        """Yield edits that cost more than ``low``, at most ``most``, in the order of the statement's expressions."""
        if low < 1:
            yield from self.statements()
        if self.root is None:
            return
        nodes = expressions(self.root)
        counts = type((self.values(self.root) or [None])[0]) is int
        yield from self._renamed(nodes, low, most)
        for cost, changed in ((EXCHANGED, exchanged), (TWICE, twice)):
            for new in changed(self.root, nodes) if low < cost <= most else ():
                if (made := self._whole(new)) is not None:
                    yield Candidate(self.statement, cost, self.root, "x", {"x": new}, made)
        operators = {
            id(side): type(one.op)
            for one in ast.walk(self.root)
            if isinstance(one, ast.BinOp)
            for side in (one.left, one.right)
        }
        for node in nodes:
            values = self.values(node)
            if values is None:
                continue
            if low < 1.2:
                yield from self._structures(node, low, most)
            text = ast.unparse(node)
            others = [leaf for leaf in self.leaves if leaf.text != text and (not counts or type(leaf.values[0]) is int)]
            if not (is_number(values[0]) or (counts and type(values[0]) is int)):
                if kind(values[0]) == "i" and operators.get(id(node)) in (ast.Mult, ast.Div):
                    yield from self._forms(node, values, {"f": 1.0}, others, low, most)
                    yield from self._forms(node, values, grammar.DEGREES, [None], low, most)
                continue
            if not isinstance(node, ast.Constant):
                yield from self._forms(node, values, grammar.ALONE, [None], low, most)
            if isinstance(node, ast.Name | ast.Subscript | ast.Attribute | ast.Call | ast.Constant):
                yield from self._forms(node, values, grammar.INSTEAD, others, low, most)
            elif isinstance(node, ast.BinOp):
                yield from self._forms(node, values, grammar.SUBEXPRESSION, others, low, most)
            # A factor of a factor is one of the product, and a term of a term one of the sum.
            inside = operators.get(id(node))
            if inside != ast.Mult:
                yield from self._forms(node, values, grammar.FACTOR, others, low, most)
                yield from self._forms(node, values, grammar.SIZES, others, low, most)
            if inside not in (ast.Add, ast.Sub):
                yield from self._forms(node, values, grammar.TERM, others, low, most)
            yield from self._forms(node, values, grammar.PRODUCT, others, low, most)

    def _forms(
        self, node: ast.expr, values: Values, forms: dict[str, float], others: list[Any], low: float, most: float
    ) -> Iterator[Candidate]:
        for form, cost in forms.items():
            if cost > most or cost + 2 * COMPOUND <= low or ("np." in form and not self.np):
                continue
            code = _form(form)[1]
            elementwise = not any(sign in form for sign in "@[.T")
            for leaf in others:
                total = cost if leaf is None or isinstance(leaf.node, OPERANDS) else cost + COMPOUND
                if forms is grammar.INSTEAD and np.shape(leaf.values[0]) != np.shape(values[0]):
                    total += COMPOUND if isinstance(node, ast.Constant) else RESHAPED
                if not low < total <= most:
                    continue
                if leaf and elementwise and not fits(leaf.values[0], values[0], forms is grammar.INSTEAD):
                    continue
                if leaf and kind(leaf.values[0]) == "i" and form not in grammar.OF_WHOLE_NUMBERS:
                    continue
                operands = {"n": node} | ({"f": leaf.node} if leaf else {})
                try:
                    made = [
                        eval(code, {"np": self.module, "n": value, "f": leaf.values[k] if leaf else None})
                        for k, value in enumerate(values)
                    ]
                except Exception:
                    continue
                found = self.with_node(node, made)
                if found is not None:
                    operands |= {"np": ast.Name(self.np, ast.Load())}
                    yield Candidate(self.statement, total, node, form, operands, found)

    def _structures(self, node: ast.expr, low: float, most: float) -> Iterator[Candidate]:
        """Yield edits of the structure of an expression."""
        for cost, new in structures(node, [leaf.text for leaf in self.leaves]):
            if not low < cost <= most:
                continue
            values = self.values(new)
            if values is not None and (made := self.with_node(node, values)) is not None:
                yield Candidate(self.statement, cost, node, "x", {"x": new}, made)

    def _renamed(self, nodes: list[ast.expr], low: float, most: float) -> Iterator[Candidate]:
        """Yield the statement with one of its operands replaced wherever it stands."""
        if not low < RENAMED <= most:
            return
        operands = [node for node in nodes if isinstance(node, ast.Name | ast.Subscript | ast.Attribute)]
        texts = [ast.unparse(node) for node in operands]
        for text in dict.fromkeys(t for t in texts if texts.count(t) > 1):
            places = [node for node, one in zip(operands, texts) if one == text]
            for leaf in self.leaves:
                if leaf.text != text:
                    pairs = [one for place in places for one in (place, leaf.node)]
                    made, value = replaced(self.statement.node, *pairs), replaced(self.root, *pairs)
                    if (result := self._whole(value)) is not None:
                        yield Candidate(self.statement, RENAMED, None, "", {}, result, made)

    def statements(self) -> Iterator[Candidate]:
        """Yield edits of what is done with the value."""
        node = self.statement.node
        for called in [one.func for one in ast.walk(self.root or node) if isinstance(one, ast.Call)]:
            owner = self.values(called.value) if isinstance(called, ast.Attribute) else None
            for name in functions_like(called, owner[0] if owner else None, self.scopes[0]):
                yield Candidate(self.statement, 1.0, None, "", {}, None, replaced(node, called, name))
        target: Any = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and not isinstance(node.targets[0], ast.Tuple):
            yield self._as(node, node.targets[0], "n + f", ast.AugAssign(target, ast.Add(), node.value))
        place = node.target if isinstance(node, ast.AugAssign) else target
        for new in indices(place) if isinstance(place, ast.Subscript) else ():
            yield Candidate(self.statement, TARGET, None, "", {}, None, replaced(node, place, new))
        added = ast.Assign if isinstance(node, ast.Assign) else ast.Add
        if isinstance(place, ast.Subscript) and isinstance(getattr(node, "op", node), added) and self.np:
            call = self._added_at(place, node.value)  # type: ignore[attr-defined]
            if call:
                made = ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))
                yield Candidate(self.statement, 1.0, None, "", {}, None, made)
        if isinstance(node, ast.AugAssign):
            yield self._as(node, node.target, "n - f", ast.Assign([node.target], node.value))
            if isinstance(node.op, ast.Add | ast.Sub):
                other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
                yield self._as(node, node.target, "-n", ast.AugAssign(node.target, other, node.value))

    def _added_at(self, place: ast.Subscript, value: ast.expr) -> ast.expr | None:
        """Return a call that adds to elements as often as their index is there; None if no index repeats."""
        read = ast.Subscript(place.value, place.slice, ast.Load())
        index = self.values(place.slice) if not any(isinstance(one, ast.Slice) for one in ast.walk(place)) else None
        parts = index[0] if index and isinstance(index[0], tuple) else index and (index[0],)
        if not parts or not any(kind(one) == "i" and np.ndim(one) for one in parts):
            return None
        target = _read(place.value)
        if self.module is np:
            return ast.Call(ast.parse(f"{self.np}.add.at", mode="eval").body, [target, read.slice, value], [])
        where = read.slice if isinstance(read.slice, ast.Tuple) else ast.Tuple([read.slice], ast.Load())
        keywords = [ast.keyword("accumulate", ast.Constant(True))]
        return ast.Call(ast.Attribute(target, "index_put_", ast.Load()), [where, value], keywords)

    def _as(self, node: Any, target: ast.expr, form: str, made: ast.stmt) -> Candidate:
        """Return a statement of another kind, with the value that would have the same effect in this one."""
        made = ast.fix_missing_locations(ast.copy_location(made, node))
        before, values = self.values(_read(target)), self.values(node.value)
        result = None
        if values is not None and (before is not None or form == "-n"):
            with suppress(Exception):
                of = [eval(_form(form)[1], {"n": v, "f": before[k] if before else 0}) for k, v in enumerate(values)]
                result = self._of_root(of)
        return Candidate(self.statement, 1.0, None, "", {}, result, made)


def _read(target: ast.expr) -> ast.expr:
    """Return what is written to as an expression that reads it."""
    read = copy.deepcopy(target)
    for one in ast.walk(read):
        if hasattr(one, "ctx"):
            one.ctx = ast.Load()
    return read


def code_of(node: Any) -> CodeType:
    """Return an expression as code."""
    return compile(ast.fix_missing_locations(ast.Expression(node)), "<edit>", "eval")
