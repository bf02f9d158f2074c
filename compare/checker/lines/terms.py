"""Missing terms: which product of two of the user's expressions, added to a line, explains what is missing."""

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from compare.checker.lines import grammar
from compare.checker.lines.edits import Bench, Candidate, form_code
from compare.checker.lines.sensitivity import EXACT, Sensitivity
from manual.arrays import Array

#: The most arrays whose products are formed, and the most elements of a product.
MOST, LARGEST = 36, 20_000


def parts(bench: Bench) -> list[ast.expr]:
    """Return the expressions of a statement's value that have one array each, in the order of its arrays."""
    found: list[ast.expr] = []

    def visit(node: Any) -> None:
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
                likely = (
                    not sure[j]
                    and (known.forward or len(natural) > 1)
                    and known.known.has(natural[0][k] + sign * values[0])
                )
                if sure[j] or likely:
                    made = {"n": nodes[place]} | operands
                    cost = grammar.PRODUCTS[form]
                    yield bool(sure[j]), Candidate(bench.statement, cost, nodes[place], f"n {letter} {form}", made)


def _products(bench: Bench, shapes: set[tuple[int, ...]]) -> Iterator[tuple[str, dict[str, ast.expr], list[Array]]]:
    """Yield the products of the user's expressions that have one of these shapes."""
    arrays = [leaf for leaf in bench.leaves if isinstance(leaf.values[0], np.ndarray)][:MOST]
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
                        value = eval(code, {"np": np, "f": one.values[k], "g": other.values[k]})
                        if np.shape(value) not in shapes:
                            break
                        values.append(np.asarray(value, float))
                except Exception:
                    continue
                if len(values) < len(bench.scopes):
                    continue
                key = values[0].tobytes(), values[-1].tobytes()
                if key in seen or not all(np.isfinite(value).all() for value in values):
                    continue
                seen.add(key)
                operands = {"f": one.node, "g": other.node, "np": ast.Name(bench.np, ast.Load())}
                yield form, operands, values
