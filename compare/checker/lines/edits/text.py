"""An edited statement as the user would write it: their names, spelling and spacing wherever nothing changes."""

import ast
import copy
import itertools
from collections.abc import Iterator
from typing import Any

from compare.checker.lines.edits.bench import Candidate, expression
from compare.checker.lines.statement import Body, Statement

#: Expressions that need no parentheses anywhere.
ATOMS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.Tuple, ast.List, ast.Dict)


def replacement(candidate: Candidate) -> tuple[str, str]:
    """Return what an edit replaces and by what, as text; the whole statements if it is not one expression."""
    statement = candidate.statement
    if candidate.node is None:
        return statement.text, edited(candidate)
    new = expression(candidate.form, candidate.operands)
    for spelled in _spellings(statement, new):
        if _same(statement, spelled, ast.Expr(new)):
            return segment(statement, candidate.node), spelled
    return segment(statement, candidate.node), written(statement, new)


def edited(candidate: Candidate) -> str:
    """Return the edited statement as text."""
    statement = candidate.statement
    if candidate.inserted is not None:
        indent = " " * statement.node.col_offset
        return f"{written(statement, candidate.inserted)}\n{indent}{statement.text}"
    (wanted,) = candidate.edited()
    if isinstance(wanted, ast.For | ast.While | ast.If):
        return written(statement, wanted).splitlines()[0]
    if candidate.node is None:
        return _of_statement(statement, wanted)
    new = expression(candidate.form, candidate.operands)
    before, after = _around(statement, candidate.node)
    for spelled in _spellings(statement, new):
        for text in (before + spelled + after, f"{before}({spelled}){after}"):
            if _same(statement, text, wanted):
                return text
    return written(statement, wanted)


def segment(statement: Statement, node: Any) -> str:
    """Return the user's text of an expression, on one line; what is not theirs as its language is written."""
    language = statement.source.language
    text = ast.get_source_segment("\n".join(statement.source.lines), node) if hasattr(node, "lineno") else None
    if text is not None:
        try:
            if language.unparse(language.parse(f"({text})")) == language.unparse(node):  # a target as a value, too
                return " ".join(text.split()) if "\n" in text else text
        except (SyntaxError, ValueError):
            pass
    return written(statement, node)


def written(statement: Statement, node: Any) -> str:
    """Return a node in the user's language and style: quotes, and spaces around a power."""
    text = statement.source.language.unparse(node)
    source = "\n".join(statement.source.lines)
    if source.count("**") >= 2 * source.count(" ** "):
        text = text.replace(" ** ", "**")
    if source.count('"') > source.count("'") and '"' not in text:
        text = text.replace("'", '"')
    if "keepdim=" in source and "keepdims=" not in source:  # as torch names it
        text = text.replace("keepdims=", "keepdim=")
    return text


def _around(statement: Statement, node: Any) -> tuple[str, str]:
    """Return the text of a statement before and after one of its expressions."""
    lines = [line.encode() for line in statement.source.lines]
    first, last = statement.node, statement.node
    before = [*lines[first.lineno - 1 : node.lineno - 1], lines[node.lineno - 1][: node.col_offset]]
    before[0] = before[0][first.col_offset :]
    rest = [lines[node.end_lineno - 1][node.end_col_offset :], *lines[node.end_lineno : last.end_lineno]]
    if last.end_lineno == node.end_lineno:
        rest = [lines[node.end_lineno - 1][node.end_col_offset : last.end_col_offset]]
    else:
        rest[-1] = rest[-1][: last.end_col_offset]
    return b"\n".join(before).decode(), b"\n".join(rest).decode()


def _spellings(statement: Statement, new: ast.expr) -> Iterator[str]:
    """Yield an expression as text: the user's own where nothing changes, in as few parentheses as can be."""
    parts: list[tuple[str, bool]] = []

    class Theirs(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.expr) and hasattr(node, "theirs"):
                parts.append((segment(statement, node), isinstance(node, ATOMS)))
                return ast.Name(f"part_{len(parts) - 1}_", ast.Load())
            return self.generic_visit(node)

    text = written(statement, ast.fix_missing_locations(Theirs().visit(copy.deepcopy(new))))
    options = [(part,) if atom else (part, f"({part})") for part, atom in parts]
    for chosen in itertools.islice(itertools.product(*options), 16):
        made = text
        for k, part in enumerate(chosen):
            made = made.replace(f"part_{k}_", part)
        if isinstance(new, ast.Tuple) and not isinstance(statement.node, Body):
            yield made[1:-1]
        yield made


def _of_statement(statement: Statement, wanted: ast.stmt) -> str:
    """Return a statement of another kind as text."""
    node: Any = statement.node
    new: Any = wanted
    if isinstance(new, ast.Assign | ast.AugAssign) and ast.dump(new.value) == ast.dump(node.value):
        target = new.targets[0] if isinstance(new, ast.Assign) else new.target
        sign = statement.source.language.signs.get(type(new.op)) if isinstance(new, ast.AugAssign) else "="
        if sign:
            return f"{segment(statement, target)} {sign} {segment(statement, node.value)}"
    return written(statement, wanted)


def _same(statement: Statement, text: str, wanted: Any) -> bool:
    """Whether a text is what is wanted: the same text, written anew."""
    language = statement.source.language
    try:
        return language.unparse(language.parse(text)) == language.unparse(wanted)
    except (SyntaxError, ValueError):
        return False
