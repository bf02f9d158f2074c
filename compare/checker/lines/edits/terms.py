"""Missing terms: which product of two of the user's expressions, added to a line, explains what is missing."""

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from compare.checker.lines.edits import grammar
from compare.checker.lines.edits.bench import Bench, Candidate, expression, form_code
from compare.checker.lines.edits.operands import unprobed
from compare.checker.lines.trace.record import Event
from compare.checker.lines.trace.sensitivity import EXACT, Sensitivity
from manual.arrays import Array

#: A form, its operands and its values.
Term = tuple[str, dict[str, ast.expr], list[Array]]

#: The most arrays whose products are formed, and the most elements of a product.
MOST, LARGEST = 48, 20_000


def parts(bench: Bench) -> list[ast.expr]:
    """Return the expressions of a statement's value that have one array each, in the order of its arrays."""
    found: list[ast.expr] = []

    def visit(node: Any) -> None:
        node = unprobed(node)
        if isinstance(node, ast.Tuple | ast.List):
            for one in node.elts:
                visit(one)
        elif isinstance(node, ast.Dict):
            for one in node.values:
                visit(one)
        else:
            found.append(node)

    visit(bench.root)
    return found


def missing_terms(
    bench: Bench, natural: list[list[Array]], weights: list[list[Array]], known: Sensitivity
) -> Iterator[tuple[bool, Candidate]]:
    """Yield a statement with a product more, where that may be right; the flag as for other edits."""
    nodes = parts(bench)
    places = [k for k, node in enumerate(nodes) if bench.is_real(node)]
    if any(len(leaves) != len(places) for leaves in natural) or not places:
        return
    wanted = {natural[0][k].shape for k in range(len(places))}
    table = list(_products(bench, wanted))
    for k, place in enumerate(places):
        shape = natural[0][k].shape
        terms = [(form, operands, values) for form, operands, values in table if values[0].shape == shape]
        if not terms or any(one[k].shape != shape for one in natural):
            continue
        change = np.zeros((len(known.names), len(terms)))
        for occurrence, its in enumerate(weights):
            stacked = np.array([values[occurrence].ravel() for *_, values in terms]).T
            change += its[k].reshape(len(known.names), stacked.shape[0]) @ stacked
        for sign, letter in ((1, "+"), (-1, "-")):
            right = np.abs(sign * change - known.missing[:, None]) <= EXACT * known.scales[:, None]
            wrong = known.missing != 0
            sure = np.asarray(right[~wrong].all(0) & right[wrong].any(0))
            for j, (form, operands, values) in enumerate(terms):
                n = next((n for n, value in enumerate(values) if value.any()), 0)
                likely = (
                    not sure[j]
                    and (known.forward or len(natural) > 1)
                    and known.known.has(natural[n][k] + sign * values[n])
                )
                if sure[j] or likely:
                    made = {"n": nodes[place]} | operands
                    cost = grammar.PRODUCTS[form]
                    yield bool(sure[j]), Candidate(bench.statement, cost, nodes[place], f"n {letter} {form}", made)


def missing_lines(bench: Bench, events: list[Event], known: Sensitivity) -> Iterator[tuple[bool, Candidate]]:
    """Yield a statement with another before it, ``x += …`` or ``x = …``, that explains what is missing."""
    first = events[0].ids
    arrays = {n: ids for n, ids in first.items() if all(np.shape(e.ids.get(n, 0)) == ids.shape for e in events)}
    wanted = {ids.shape for ids in arrays.values()}
    table: list[Term] = []
    for form in ("f", "f.sum(0)", "f.sum((0, 1))"):
        table += list(_alone(bench, form, wanted))
    table += list(_products(bench, wanted))
    for name, ids in arrays.items():
        terms = [term for term in table if all(value.shape == ids.shape for value in term[2])]
        if not terms:
            continue
        change, now = np.zeros((len(known.names), len(terms))), np.zeros(len(known.names))
        for occurrence, event in enumerate(events):
            stacked = np.array([values[occurrence].ravel() for *_, values in terms]).T
            weights = known.weight(event.ids[name]).reshape(len(known.names), stacked.shape[0])
            change += weights @ stacked
            now += weights @ np.ravel(eval(name, dict(bench.scopes[occurrence])))
        wrong = known.missing != 0
        for before, sign in ((0 * now, ast.Add()), (now, None)):
            right = np.abs(change - (known.missing + before)[:, None]) <= EXACT * known.scales[:, None]
            sure = np.asarray(right[~wrong].all(0) & right[wrong].any(0))
            for j in range(len(terms)):
                form, operands, values = terms[j]
                seen = next((value for value in values if value.any()), values[0])
                carried = not sign and len(events) > 1 and known.known.has(seen)
                if not (sure[j] or carried):
                    continue
                target: Any = ast.parse(name, mode="eval").body
                target.ctx = ast.Store()
                value = expression(form, operands)
                line: ast.stmt = ast.AugAssign(target, sign, value) if sign else ast.Assign([target], value)
                line = ast.fix_missing_locations(ast.copy_location(line, bench.statement.node))
                cost = grammar.PRODUCTS.get(form, 2.0)
                yield bool(sure[j]), Candidate(bench.statement, cost, None, "", {}, inserted=line)


def _alone(bench: Bench, form: str, shapes: set[tuple[int, ...]]) -> Iterator[Term]:
    """Yield a form of the user's arrays that has one of these shapes."""
    code = form_code(form)
    for leaf in bench.leaves:
        try:
            values = [np.asarray(eval(code, {"np": bench.module, "f": value}), float) for value in leaf.values]
        except Exception:
            continue
        if values[0].shape in shapes and len({value.shape for value in values}) == 1:
            yield form, {"f": leaf.node}, values


def _products(bench: Bench, shapes: set[tuple[int, ...]]) -> Iterator[Term]:
    """Yield the products of the user's expressions that have one of these shapes."""
    arrays = [leaf for leaf in bench.leaves if hasattr(leaf.values[0], "shape")][:MOST]
    largest = max(map(np.prod, shapes), default=0)
    if largest > LARGEST:
        return
    seen = set()
    for form in grammar.PRODUCTS:
        code = form_code(form)
        for one in arrays:
            for other in arrays:
                values = []
                try:
                    for k in range(len(bench.scopes)):
                        value = eval(code, {"np": bench.module, "f": one.values[k], "g": other.values[k]})
                        shape = _grown(np.shape(value), shapes)
                        if shape is None:
                            break
                        values.append(np.broadcast_to(np.asarray(value, float), shape))
                except Exception:
                    continue
                if len(values) < len(bench.scopes):
                    continue
                key = b"".join(value.tobytes() for value in values)  # at many steps of a corner it is zero
                if key in seen or not all(np.isfinite(value).all() for value in values):
                    continue
                seen.add(key)
                operands = {"f": one.node, "g": other.node, "np": ast.Name(bench.np, ast.Load())}
                yield form, operands, values


def _grown(shape: tuple[int, ...], shapes: set[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the one of these shapes that a value of this shape has, or gets where it is added; None if none."""
    if shape in shapes:
        return shape
    fitting = (s for s in shapes if len(s) == len(shape) and 1 in shape)
    return next((s for s in fitting if all(a in (1, b) for a, b in zip(shape, s))), None)
