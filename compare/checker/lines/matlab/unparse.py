"""Write a syntax tree as MATLAB has it."""

import ast
from typing import Any

from compare.checker.lines.matlab.expressions import OTHER, OWN, SAME
from compare.checker.lines.matlab.tokens import UnreadableError

OPERATORS = {
    ast.Add: ("+", 4),
    ast.Sub: ("-", 4),
    ast.Mult: (".*", 5),
    ast.Div: ("./", 5),
    ast.MatMult: ("*", 5),
    ast.Pow: (".^", 7),
    ast.Eq: ("==", 3),
    ast.NotEq: ("~=", 3),
    ast.Lt: ("<", 3),
    ast.LtE: ("<=", 3),
    ast.Gt: (">", 3),
    ast.GtE: (">=", 3),
    ast.And: ("&&", 2),
    ast.Or: ("||", 1),
}

#: MATLAB's names of functions, by those in Python.
NAMES = {**{one: one for one in SAME}, **{python: matlab for matlab, python in OTHER.items()}}
HELPERS = {python: matlab for matlab, python in OWN.items()}

ATOM = 9


def unparse(node: Any) -> str:
    """Return an expression, or a statement on one line, as text.

    Raises:
        UnreadableError: MATLAB has nothing like it.
    """
    if isinstance(node, ast.Assign):
        (target,) = node.targets
        if isinstance(target, ast.Tuple):
            names = ["~" if isinstance(one, ast.Name) and one.id == "_" else unparse(one) for one in target.elts]
            return f"[{', '.join(names)}] = {unparse(node.value)}"
        return f"{unparse(target)} = {unparse(node.value)}"
    if isinstance(node, ast.AugAssign):
        return f"{unparse(node.target)} = {_binary(node.target, node.op, node.value)[0]}"
    if isinstance(node, ast.Expr):
        return unparse(node.value)
    if isinstance(node, ast.For):
        return f"for {unparse(node.target)} = {unparse(node.iter)}"
    if isinstance(node, ast.While | ast.If):
        return f"{'while' if isinstance(node, ast.While) else 'if'} {unparse(node.test)}"
    return _written(node)[0]


def _written(node: Any) -> tuple[str, int]:
    """Return an expression, and how tightly it binds."""
    if isinstance(node, ast.Name):
        return node.id, ATOM
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "'" + node.value.replace("'", "''") + "'", ATOM
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return repr(node.value), ATOM
    if isinstance(node, ast.UnaryOp):
        sign = {ast.USub: "-", ast.UAdd: "+", ast.Not: "~"}[type(node.op)]
        return sign + _within(node.operand, 6), 6
    if isinstance(node, ast.BinOp):
        if isinstance(node.left, ast.List) and isinstance(node.op, ast.Mult):
            return f"cell(1, {unparse(node.right)})", ATOM
        return _binary(node.left, node.op, node.right)
    if isinstance(node, ast.BoolOp):
        sign, level = OPERATORS[type(node.op)]
        return f" {sign} ".join(_within(one, level + (k > 0)) for k, one in enumerate(node.values)), level
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _binary(node.left, node.ops[0], node.comparators[0])
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return _within(node.value, 8) + "'", 8
    if isinstance(node, ast.Attribute) and node.attr == "size":
        return f"numel({unparse(node.value)})", ATOM
    if isinstance(node, ast.Subscript):
        return _subscript(node), ATOM
    if isinstance(node, ast.Lambda):
        return f"@({', '.join(one.arg for one in node.args.args)}) {unparse(node.body)}", 0
    if isinstance(node, ast.Dict):
        fields = [f"{unparse(key)}, {unparse(value)}" for key, value in zip(node.keys, node.values)]
        return f"struct({', '.join(fields)})", ATOM
    if isinstance(node, ast.Call):
        return _call(node)
    raise UnreadableError(f"nothing in MATLAB is like {ast.unparse(node)}")


def _binary(left: Any, operator: Any, right: Any) -> tuple[str, int]:
    sign, level = OPERATORS[type(operator)]
    if any(isinstance(one, ast.Constant) for one in (left, right)) and sign in (".*", "./"):
        sign = sign[1:] if sign == ".*" or isinstance(right, ast.Constant) else sign
    return f"{_within(left, level)} {sign} {_within(right, level + 1)}", level


def _within(node: Any, level: int) -> str:
    text, own = _written(node)
    return text if own >= level else f"({text})"


def _subscript(node: ast.Subscript) -> str:
    index = node.slice
    if isinstance(index, ast.Constant) and isinstance(index.value, str):
        return f"{_within(node.value, ATOM)}.{index.value}"
    if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and not isinstance(index, ast.Tuple):
        return unparse(node.value)  # some of the outputs
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        axis = index.operand if isinstance(index, ast.UnaryOp) else index
        if isinstance(axis, ast.Constant) and isinstance(axis.value, int):
            last = isinstance(index, ast.UnaryOp)
            return f"size({unparse(node.value.value)}, {2 if last else axis.value + 1})"
    if isinstance(index, ast.Call) and getattr(index.func, "id", "") == "page_":
        return f"{_within(node.value, ATOM)}{{{unparse(index.args[0])}}}"
    if isinstance(index, ast.Tuple):
        return f"{_within(node.value, ATOM)}({', '.join(map(_index, index.elts))})"
    raise UnreadableError(f"nothing in MATLAB is like {ast.unparse(node)}")


def _index(node: Any) -> str:
    if isinstance(node, ast.Slice) and node.lower is node.upper is node.step is None:
        return ":"
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("one_", "page_", "span_"):
        return ":".join(map(unparse, node.args))
    raise UnreadableError("an index")


def _call(node: ast.Call) -> tuple[str, int]:
    function, given = node.func, node.args
    if isinstance(function, ast.Attribute) and not (isinstance(function.value, ast.Name) and function.value.id == "np"):
        return _method(node, function), ATOM
    if isinstance(function, ast.Attribute):
        if function.attr not in NAMES:
            raise UnreadableError(f"np.{function.attr}")
        texts = [unparse(one) for one in (given[0].elts if isinstance(given[0], ast.Tuple) else given)]
        if function.attr == "zeros" and texts == ["0", "0"]:
            return "[]", ATOM
        return f"{NAMES[function.attr]}({', '.join(texts)})", ATOM
    name = getattr(function, "id", "")
    if name == "times" and len(given) == 2:
        return _binary(given[0], ast.MatMult(), given[1])
    if name in ("rows_", "columns_"):
        texts = [unparse(one).removeprefix("[").removesuffix("]") if _is_row(one) else unparse(one) for one in given]
        return f"[{('; ' if name == 'rows_' else ', ').join(texts)}]", ATOM
    if name == "column_":
        return f"{unparse(given[0])}(:)", ATOM
    if name == "element_":
        return f"{unparse(given[0])}({unparse(given[1])})", ATOM
    if name == "end_":
        return "end", ATOM
    if name == "len":
        return f"size({unparse(given[0])}, 1)", ATOM
    if name in ("steps_", "span_"):
        return ":".join(_within(one, 4) for one in given), 3
    if name == "reversed" and isinstance(given[0], ast.Call) and len(given[0].args) == 2:
        first, last = given[0].args
        return f"{_within(last, 4)}:-1:{_within(first, 4)}", 3
    if node.keywords or (name.endswith("_") and name not in HELPERS):
        raise UnreadableError(name)
    return f"{HELPERS.get(name, name)}({', '.join(map(unparse, given))})", ATOM


def _is_row(node: Any) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "columns_"


def _method(node: ast.Call, function: ast.Attribute) -> str:
    """Return a sum or a mean along an axis that stays, or of everything."""
    keeps = any(keyword.arg == "keepdims" for keyword in node.keywords)
    axis = node.args[0] if node.args else None
    value = unparse(function.value)
    if function.attr in ("sum", "mean") and keeps and axis is not None:
        negative = isinstance(axis, ast.UnaryOp)
        number = axis.operand if isinstance(axis, ast.UnaryOp) else axis
        if isinstance(number, ast.Constant) and isinstance(number.value, int):
            return f"{function.attr}({value}, {2 if negative else number.value + 1})"
    if function.attr in ("sum", "mean") and axis is None and not node.keywords and _is_name(function.value):
        return f"{function.attr}({value}(:))"
    raise UnreadableError(function.attr)


def _is_name(node: Any) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant))
