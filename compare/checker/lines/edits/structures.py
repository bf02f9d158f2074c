"""Other structures of an expression: operators, operands, axes, indices, keys."""

import ast
import copy
import itertools
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from compare.checker.lines.edits import grammar

#: The most signs of one kind of which two are changed together.
MOST = 6

#: The most operands of which two are exchanged.
OPERANDS = 10


def structures(node: ast.expr, texts: list[str]) -> Iterator[tuple[float, ast.expr]]:
    """Yield other structures of an expression, with their cost."""
    if isinstance(node, ast.BinOp):
        kind = type(node.op).__name__
        for name in grammar.OPERATORS.get(kind, ()):
            yield 1.0, ast.BinOp(node.left, getattr(ast, name)(), node.right)
        yield 1.0, node.left
        yield 1.0, node.right
        if kind in ("Sub", "Div", "MatMult"):
            yield 1.0, ast.BinOp(node.right, node.op, node.left)
        if kind == "MatMult":
            left, right = _transposed(node.left), _transposed(node.right)
            yield 1.2, ast.BinOp(left, node.op, right)
            yield 1.2, ast.BinOp(right, node.op, left)
    elif isinstance(node, ast.UnaryOp):
        yield 1.0, node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for name in grammar.COMPARISONS.get(type(node.ops[0]).__name__, ()):
            yield 1.0, ast.Compare(node.left, [getattr(ast, name)()], node.comparators)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        v: Any = node.value
        for new in dict.fromkeys([v + 1, v - 1, -v, 2 * v, v / 2 if v % 2 else v // 2]):
            if new != v:
                yield 1.15, ast.Constant(new) if new >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-new))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield 1.0, ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from ((1.0, ast.Constant(new)) for new in _strings(node.value, texts))
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield 1.0, node.value
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Subscript):
        yield from _indices(node)
    elif isinstance(node, ast.IfExp):
        yield 1.0, node.body
        yield 1.0, node.orelse
    elif isinstance(node, ast.Tuple | ast.List) and 1 < len(node.elts) <= 6 and isinstance(node.ctx, ast.Load):
        for one, other in itertools.combinations(node.elts, 2):
            yield 1.2, replaced(node, one, other, other, one)
    elif isinstance(node, ast.Dict):
        yield from ((1.2, new) for new in _exchanged(node))


def twice(root: ast.expr, nodes: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield an expression with two of its signs changed: both plus and minus, or both numbers, as in a shift."""
    signs = [k for k, one in enumerate(ast.walk(root)) if isinstance(getattr(one, "op", None), ast.Add | ast.Sub)]
    for pair in itertools.combinations(signs[:MOST], 2):
        made = copy.deepcopy(root)
        walked: list[Any] = list(ast.walk(made))
        for k in pair:
            walked[k].op = ast.Sub() if isinstance(walked[k].op, ast.Add) else ast.Add()
        yield made
    for first, second in itertools.combinations([one for one in nodes if _is_signed(one)][:MOST], 2):
        yield replaced(root, first, _signed(first), second, _signed(second))


def exchanged(root: ast.expr, nodes: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield an expression with two of its operands exchanged."""
    operands = [one for one in nodes if isinstance(one, ast.Name | ast.Subscript | ast.Attribute)]
    for first, second in itertools.combinations(operands[:OPERANDS], 2):
        inside = second in ast.walk(first) or first in ast.walk(second)
        if not inside and ast.dump(first) != ast.dump(second):
            yield replaced(root, first, second, second, first)


def _is_signed(node: ast.expr) -> bool:
    """Whether an expression is a whole number, or one with a minus before it."""
    number = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(number, ast.Constant) and type(number.value) is int and number.value != 0


def _signed(node: ast.expr) -> ast.expr:
    """Return a number with the other sign."""
    return node.operand if isinstance(node, ast.UnaryOp) else ast.UnaryOp(ast.USub(), node)


def _strings(value: str, texts: list[str]) -> list[str]:
    """Return other keys in the user's code; for the subscripts of ``einsum``, other orders of the letters."""
    if "->" in value:
        terms, _, out = value.partition("->")
        found = []
        parts = [*terms.split(","), out]
        for k, part in enumerate(parts):
            for i in range(len(part)):
                for j in range(i):
                    letters = list(part)
                    letters[i], letters[j] = letters[j], letters[i]
                    new = [*parts[:k], "".join(letters), *parts[k + 1 :]]
                    found.append(f"{','.join(new[:-1])}->{new[-1]}")
        return found
    keys = {text.split("'")[1] for text in texts if text.count("'") == 2}
    return sorted(keys - {value})


def _transposed(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _calls(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield other calls: another function, another axis, swapped arguments, or what is called on, or with."""
    func = node.func
    if isinstance(func, ast.Attribute):
        for pair in grammar.FUNCTIONS:
            if func.attr in pair:
                other = pair[1 - pair.index(func.attr)]
                yield 1.0, ast.Call(ast.Attribute(func.value, other, ast.Load()), node.args, node.keywords)
        if not (isinstance(func.value, ast.Name) and func.value.id in ("np", "math")):
            yield 1.0, func.value
    if node.args:
        yield 1.1, node.args[0]
    if len(node.args) == 2:
        yield 1.1, ast.Call(func, node.args[::-1], node.keywords)
    if isinstance(func, ast.Name) and func.id == "len":
        yield 1.1, ast.Attribute(node.args[0], "size", ast.Load())
        for suffix in ("shape[1]", "shape[-1]", "sum()"):
            yield 1.1, ast.parse(f"{ast.unparse(node.args[0])}.{suffix}", mode="eval").body
    if isinstance(func, ast.Name) and func.id == "range":
        if len(node.args) == 2:
            yield 1.0, ast.Call(func, node.args[1:], [])
        yield from _ends(node)
        if len(node.args) == 1:
            yield 1.0, ast.Call(func, [ast.Constant(1), node.args[0]], [])
    named = {k.arg for k in node.keywords}
    for k, keyword in enumerate(node.keywords):
        rest = [*node.keywords[:k], *node.keywords[k + 1 :]]
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant | ast.UnaryOp):
            for axis in (0, 1, -1):
                new = ast.Constant(axis) if axis >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-axis))
                yield 1.0, ast.Call(func, node.args, [*rest, ast.keyword("axis", new)])
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Tuple):
            for axes in itertools.combinations(range(4), len(keyword.value.elts)):
                yield 1.0, replaced(node, keyword.value, ast.parse(str(axes), mode="eval").body)
        if keyword.arg in ("axis", "keepdims"):
            yield 1.1, ast.Call(func, node.args, rest)
    if isinstance(func, ast.Attribute) and func.attr in ("sum", "mean", "max", "min"):
        if "keepdims" not in named:
            yield 1.0, ast.Call(func, node.args, [*node.keywords, ast.keyword("keepdims", ast.Constant(True))])
        if "axis" not in named:
            for axis in (0, 1):
                yield 1.0, ast.Call(func, node.args, [ast.keyword("axis", ast.Constant(axis)), *node.keywords])


def functions_like(called: ast.expr, owner: Any, scope: dict[str, Any]) -> Iterator[ast.expr]:
    """Yield the user's other functions, or methods of the same owner, that take as many arguments as a called one."""
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    there = (
        {one: getattr(type(owner), one, None) for one in dir(type(owner))}
        if isinstance(called, ast.Attribute)
        else scope
    )
    own = {one: value for one, value in there.items() if isinstance(value, FunctionType) and not one.startswith("__")}
    for other, function in own.items() if name in own else ():
        its, theirs = function.__code__, own[name].__code__
        if (its.co_filename, its.co_argcount) == (theirs.co_filename, theirs.co_argcount) and function is not own[name]:
            named = ast.Name(other, ast.Load())
            yield ast.Attribute(called.value, other, ast.Load()) if isinstance(called, ast.Attribute) else named


def _ends(node: ast.Call) -> Iterator[tuple[float, ast.expr]]:
    """Yield a range whose ends are one farther or nearer."""
    for k, end in enumerate(node.args):
        for new in _shifted(end):
            yield 1.0, ast.Call(node.func, [*node.args[:k], new, *node.args[k + 1 :]], [])


def _indices(node: ast.Subscript) -> Iterator[tuple[float, ast.expr]]:
    """Yield other indices, with their cost: shifted by one, other ends of a slice, or none."""
    yield from ((1.0, new) for new in indices(node))
    yield 1.2, node.value


def indices(node: ast.Subscript) -> Iterator[ast.Subscript]:
    """Yield a subscript with other indices, in the context that it has."""
    index = node.slice
    parts = list(index.elts) if isinstance(index, ast.Tuple) else [index]
    for k, part in enumerate(parts):
        for new in _shifted(part):
            made: ast.expr = ast.Tuple([*parts[:k], new, *parts[k + 1 :]], ast.Load()) if len(parts) > 1 else new
            yield ast.fix_missing_locations(ast.copy_location(ast.Subscript(node.value, made, node.ctx), node))
    if len(parts) == 2:
        swapped = ast.Subscript(node.value, ast.Tuple(parts[::-1], ast.Load()), node.ctx)
        yield ast.fix_missing_locations(ast.copy_location(swapped, node))


def _shifted(part: ast.expr) -> Iterator[ast.expr]:
    if isinstance(part, ast.Slice):
        for field in ("lower", "upper", "step"):
            bound = getattr(part, field)
            options: list[Any] = [*_shifted(bound), None] if bound is not None else []
            if bound is None and field != "step":
                options = [ast.Constant(1), ast.UnaryOp(ast.USub(), ast.Constant(1))]
            if field == "step":
                options = [None] if bound is not None else [ast.UnaryOp(ast.USub(), ast.Constant(1))]
            for new in options:
                ends = {"lower": part.lower, "upper": part.upper, "step": part.step}
                yield ast.Slice(**ends | {field: new})
        if part.lower is not None or part.upper is not None:
            yield ast.Slice(part.upper, part.lower, part.step)
        if part.lower is not None and part.upper is None:
            for new in _shifted(part.lower):
                yield ast.Slice(new, ast.UnaryOp(ast.USub(), ast.Constant(1)), part.step)
    elif isinstance(part, ast.Constant) and isinstance(part.value, int):
        yield ast.Constant(part.value + 1)
        yield ast.Constant(part.value - 1) if part.value else ast.UnaryOp(ast.USub(), ast.Constant(1))
    elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add | ast.Sub):
        yield part.left
        yield ast.BinOp(part.left, ast.Sub() if isinstance(part.op, ast.Add) else ast.Add(), part.right)
    elif isinstance(part, ast.UnaryOp):
        yield part.operand
    elif isinstance(part, ast.Subscript):
        yield from indices(part)
    elif isinstance(part, ast.Name | ast.Call | ast.Attribute):
        yield ast.BinOp(part, ast.Sub(), ast.Constant(1))
        yield ast.BinOp(part, ast.Add(), ast.Constant(1))


def headers(node: ast.stmt, texts: list[str]) -> Iterator[tuple[float, ast.stmt]]:
    """Yield a loop or a condition with other headers, with their cost."""
    name = "iter" if isinstance(node, ast.For) else "test"
    head: ast.expr = getattr(node, name)
    for part in ast.walk(head):
        if isinstance(part, ast.expr):
            for cost, new in structures(part, texts):
                yield cost, _with(node, name, replaced(head, part, new))
    for new in _exchanged(head):
        yield 1.2, _with(node, name, new)
    if isinstance(node, ast.For):
        call = isinstance(head, ast.Call) and isinstance(head.func, ast.Name) and head.func.id == "reversed"
        if not call:
            yield 1.1, _with(node, name, ast.Call(ast.Name("reversed", ast.Load()), [head], []))
    else:
        yield 1.0, _with(node, name, ast.UnaryOp(ast.Not(), head))


def _exchanged(tree: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression with two of its names exchanged."""
    names = [one for one in ast.walk(tree) if isinstance(one, ast.Name)]
    for one, other in itertools.combinations(names, 2):
        if one.id != other.id:
            yield replaced(tree, one, other, other, one)


def _with(node: ast.stmt, name: str, head: ast.expr) -> ast.stmt:
    made = type(node)(**dict(ast.iter_fields(node)) | {name: head})
    return ast.fix_missing_locations(ast.copy_location(made, node))


def replaced(tree: Any, *pairs: Any) -> Any:
    """Return a copy of a tree in which nodes are others; the parts of new ones keep the places they had.

    Args:
        tree: the tree.
        pairs: a node and what stands in its place, one pair after the other.
    """
    news = dict(zip(map(id, pairs[::2]), pairs[1::2]))

    def copied(one: Any) -> Any:
        if id(one) in news:
            return news[id(one)]
        if isinstance(one, ast.AST):
            made = type(one)(**{name: copied(value) for name, value in ast.iter_fields(one)})
            made.__dict__.update({k: v for k, v in one.__dict__.items() if k not in made._fields})
            return made
        return [copied(value) for value in one] if isinstance(one, list) else one

    return ast.fix_missing_locations(copied(tree))
