"""What is strange in a program that is right: which lines compute what no right run does.

It ranks lines that a change mends equally well. It blames none by itself, so names may count.
"""

import ast
import re
from collections import Counter
from typing import Any

from compare.checker.lines.case import Case
from compare.checker.lines.program import Edits, Program
from compare.checker.lines.trace.sensitivity import Sensitivity, targets, traced

#: How people name an adjoint.
ADJOINT = re.compile(r"(?:d_?loss_d_?|d[EJL]_?d_?|delta_?|grad_?|d_?|g_?)(\w+)|(\w+?)_?(?:grad|bar|adj)")


def strange_lines(case: Case, known: Sensitivity, edits: Edits) -> set[tuple[int, str]]:
    """Return the statements that are strange with some edits, by number, each with what is strange about it.

    Its "value" is that of no right run, even up to a factor, or its "scale" is: what bears the name of a variable of
    forward is the adjoint of that, times the same number for most of them.
    """
    run = traced(case, known.problem, edits, known.run)
    if isinstance(run, str):
        return {(number, "value") for number in case.program.by_number}
    strange, scales, sums = set[tuple[int, str]](), dict[int, float](), _sums(case.program)
    for event in run.events:
        if event.forward:
            continue
        if not all(known.known.has(value, scaled=True) for value in event.value if value.any()):
            strange.add((event.statement, "value"))
        for name, value in zip(targets(case.program.by_number[event.statement].node), event.value):
            found = ADJOINT.fullmatch(name) if name not in sums else None
            scale = known.known.scale(found[1] or found[2], value) if found else None
            if scale is not None:
                scales[event.statement] = round(scale, 6)
    usual = Counter([1.0, *scales.values()]).most_common(1)[0][0]
    return strange | {(number, "scale") for number, scale in scales.items() if scale != usual or scale == 0}


def _sums(program: Program) -> set[str]:
    """Return the names of the variables that are added to or written into, and so are no adjoint before."""
    found = set()
    for node in (statement.node for statement in program.statements):
        target: Any = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found |= {ast.unparse(one) for one in node.value.args[:1]}
        elif isinstance(target, ast.Subscript):
            found.add(ast.unparse(target.value))
        elif isinstance(node, ast.AugAssign) or (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.BinOp)
            and isinstance(node.value.op, ast.Add)
            and ast.unparse(target) in (ast.unparse(node.value.left), ast.unparse(node.value.right))
        ):
            found.add(ast.unparse(target))
    return found
