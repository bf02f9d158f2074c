"""What was wrong, in words, from the edit that mends it."""

import ast
from typing import Any

from compare.checker.lines.edits.bench import Candidate
from compare.checker.lines.edits.grammar import DEGREES
from compare.checker.lines.edits.text import replacement, segment, written
from compare.checker.lines.statement import Statement

#: What is said of a form: the factor, divisor or term in it is missing.
FACTORS = {
    "n * f": "{f}",
    "n * (1 - f)": "(1 - {f})",
    "n * f * (1 - f)": "{f} (1 - {f})",
    "n * (1 - f ** 2)": "(1 - {f}²)",
    "n * (f > 0)": "({f} > 0)",
    "n * f ** 2": "{f}²",
    "n * np.tanh(f)": "tanh({f})",
    "n * (1 - np.tanh(f) ** 2)": "(1 - tanh²({f}))",
    "n * np.exp(f)": "exp({f})",
    "n * (1 + f)": "(1 + {f})",
    "n * len(f)": "len({f})",
    "2 * n": "2",
    "3 * n": "3",
}
DIVISORS = {"n / f": "{f}", "n / len(f)": "len({f})", "n / 2": "2"}
DIVISORS |= {f"n / f.{size}": "the number of elements of {f}" for size in ("size", "numel()")}
DIVISORS |= {f"n / f.shape[{k}]": f"the size of axis {k} of {{f}}" for k in (1, -1)}


def words(candidate: Candidate) -> str:
    """Say what is wrong in a few words."""
    statement, node, form = candidate.statement, candidate.node, candidate.form
    if candidate.inserted is not None:
        return f"a line is missing before this one: {written(statement, candidate.inserted)}"
    if node is None:
        return _of_statement(candidate)
    named = {letter: segment(statement, one) for letter, one in candidate.operands.items() if letter != "np"}
    if form in FACTORS:
        return f"the factor {FACTORS[form].format(**named)} is missing"
    if form in DIVISORS:
        return f"the division by {DIVISORS[form].format(**named)} is missing"
    if form.startswith(("n + ", "n - ")) and form not in DEGREES:
        term = replacement(candidate)[1].removeprefix(replacement(candidate)[0]).strip()
        if term[:1] in "+-" and term[1:2] == " ":
            return f"the term {term[2:] if term[0] == '+' else '-' + term[2:]} is missing"
    if form == "-n" or (isinstance(node, ast.UnaryOp) and candidate.operands.get("x") is node.operand):
        return "the sign is wrong"
    new = candidate.operands.get("x")
    if isinstance(node, ast.BinOp) and new is not None:
        return _of_operation(candidate, node, new)
    if form in ("n.T", "n.swapaxes(-1, -2)"):
        return f"{named['n']} has to be transposed"
    if isinstance(node, ast.Attribute) and node.attr == "T" and new is node.value:
        return f"{segment(statement, node.value)} is transposed where it should not be"
    old, text = replacement(candidate)
    return f"{old} in the place of {text}"


def _of_operation(candidate: Candidate, node: ast.BinOp, new: ast.expr) -> str:
    statement = candidate.statement
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if new is one:
            extra = segment(statement, other)
            if isinstance(node.op, ast.Mult):
                return f"the factor {extra} is too much"
            if isinstance(node.op, ast.Add | ast.Sub):
                return f"the term {extra} is too much"
            if isinstance(node.op, ast.Div):
                return f"divided by {extra} where it should not be"
    if isinstance(new, ast.BinOp) and new.left is node.right and new.right is node.left:
        return "the operands are in the wrong order"
    old, text = segment(statement, node), replacement(candidate)[1]
    return f"{old} in the place of {text}"


def _of_statement(candidate: Candidate) -> str:
    old: Any = candidate.statement.node
    new: Any = candidate.made
    if isinstance(old, ast.For | ast.While | ast.If):
        name = "iter" if isinstance(old, ast.For) else "test"
        before, after = (written(candidate.statement, getattr(one, name)) for one in (old, new))
        return f"{before} in the place of {after}"
    if isinstance(new, ast.Expr) and not isinstance(old, ast.Expr):
        return f"{written(candidate.statement, new)} is needed: an index that repeats counts once here"
    kinds = {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*="}
    if type(old) is not type(new) or (isinstance(old, ast.AugAssign) and type(old.op) is not type(new.op)):
        signs = [kinds.get(type(one.op), "…=") if isinstance(one, ast.AugAssign) else "=" for one in (old, new)]
        why = ": what was added before is lost" if signs == ["=", "+="] else ""
        return f"{signs[0]} in the place of {signs[1]}{why}"
    before, after = _changed_names(candidate.statement, old, new)
    return f"{before} in the place of {after}"


def _changed_names(statement: Statement, old: ast.AST | None, new: ast.AST | None) -> tuple[str, str]:
    """Return the first expression in which two statements differ."""
    if isinstance(old, ast.expr) and isinstance(new, ast.expr):
        names = (ast.Name, ast.Subscript, ast.Attribute)
        if isinstance(old, names) or isinstance(new, names) or type(old) is not type(new):
            return written(statement, old), written(statement, new)
    for one, other in zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new)) if old and new else ():
        if ast.dump(one) != ast.dump(other):
            return _changed_names(statement, one, other)
    return (written(statement, old), written(statement, new)) if old and new else ("", "")
