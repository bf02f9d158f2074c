"""Mutants of a source file: every small change of an expression or a statement inside its functions."""

import ast
import random
from collections.abc import Iterator
from typing import NamedTuple

#: What an operator is replaced by.
BINARY = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*", "Pow": "*", "FloorDiv": "*", "Mod": "*", "BitAnd": "|"}
COMPARISON = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "==", "In": "not in", "Is": "is not"}
COMPARISON |= {"NotIn": "in", "IsNot": "is"}


class Mutant(NamedTuple):
    """A source with one change in a function, and the change in words."""

    function: str
    line: int
    change: str
    source: str


def mutants(source: str, rng: random.Random) -> list[Mutant]:
    """Return all mutants of a source; ``rng`` chooses the name that replaces a name."""
    found = []
    text = source.encode()  # offsets of the syntax tree are in bytes
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for function, node, new in _changes(ast.parse(source), rng):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        changed = (text[:start] + new.encode() + text[end:]).decode()
        old = " ".join(text[start:end].decode().split())
        if old != new:
            found.append(Mutant(function, node.lineno, f"{old} -> {new}", changed))
    return found


def _changes(tree: ast.Module, rng: random.Random) -> Iterator[tuple[str, ast.AST, str]]:
    """Yield a function, a node in it, and what to write in its place."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            names = sorted({node.id for node in ast.walk(function) if isinstance(node, ast.Name)})
            for statement in function.body:
                for node, new in _in(statement, names, rng):
                    yield function.name, node, new


def _in(node: ast.AST, names: list[str], rng: random.Random) -> Iterator[tuple[ast.AST, str]]:
    """Yield the changes of a statement or expression and of all that it consists of."""
    if isinstance(node, ast.FunctionDef | ast.Raise | ast.Assert | ast.JoinedStr):
        return  # found individually; what an error says is none of our business
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    for new in _replacements(node, names, rng):
        yield node, new
    for name, value in ast.iter_fields(node):
        if name != "annotation":
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _in(child, names, rng)


def _replacements(node: ast.AST, names: list[str], rng: random.Random) -> Iterator[str]:
    """Yield what may stand in a node's place."""
    write = ast.unparse
    match node:
        case ast.Assign() | ast.AugAssign() | ast.Expr():
            yield "pass"
            if isinstance(node, ast.AugAssign):
                yield f"{write(node.target)} = {write(node.value)}"
        case ast.BinOp(left, op, right):
            if type(op).__name__ in BINARY:
                yield f"(({write(left)}) {BINARY[type(op).__name__]} ({write(right)}))"
            yield f"({write(left)})"
            yield f"({write(right)})"
        case ast.UnaryOp(_, operand):
            yield f"({write(operand)})"
        case ast.Compare(left, [op], [right]):
            yield f"({write(left)} {COMPARISON[type(op).__name__]} {write(right)})"
        case ast.BoolOp(op, values):
            yield "(" + (" or " if isinstance(op, ast.And) else " and ").join(map(write, values)) + ")"
        case ast.IfExp(_, yes, no):
            yield f"({write(yes)})"
            yield f"({write(no)})"
        case ast.Constant(value) if isinstance(value, bool):
            yield str(not value)
        case ast.Constant(value) if isinstance(value, int | float):
            yield str(value + 1)
        case ast.Name(name, ast.Load()) if len(names) > 1 and rng.random() < 0.2:  # most of these only raise
            yield rng.choice([other for other in names if other != name])
        case ast.Call(function, arguments, keywords):
            if isinstance(function, ast.Attribute) and not arguments and not keywords:
                yield f"{write(function.value)}"  # .copy(), .T, .sum()
            if len(arguments) > 1 and not any(isinstance(a, ast.Starred) for a in arguments):
                swapped = [write(a) for a in (arguments[1], arguments[0], *arguments[2:])]
                yield f"{write(function)}({', '.join([*swapped, *map(write, keywords)])})"
