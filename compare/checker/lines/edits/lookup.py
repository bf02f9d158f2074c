"""Edits that are looked up: what is needed of a statement tells what is needed of its parts, and so what is missing."""

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from compare.checker.lines.edits.bench import COMPOUND, OPERANDS, Bench, Candidate
from compare.checker.lines.edits.terms import parts
from compare.checker.lines.trace.record import numbers
from manual.arrays import Array

#: What a factor may be of one of the user's expressions, and what it costs.
ATOMS = {"{}": 0.0, "(1 - {})": 0.2, "{} ** 2": 0.3, "(1 - {} ** 2)": 0.35, "np.exp({})": 0.4, "1 / {}": 0.25}

#: What stands in the place of an expression with a product, and what it costs.
PLACES = {"n + {}": 1.2, "n - {}": 1.2, "n * {}": 1.1, "{}": 1.3, "-{}": 1.5}

#: What each factor costs beyond the first.
FURTHER = 0.3

#: How near a product is to what is missing, relative to it.
NEAR = 1e-7

#: The most numbers that are compared, the most factors that are tried, and the most products that are proposed.
NUMBERS, MOST, PROPOSED = 24, 300, 12


def looked_up(bench: Bench, needed: list[Array]) -> Iterator[tuple[bool, Candidate]]:
    """Yield a statement with a product of up to three factors more, or in the place of one of its expressions.

    Args:
        bench: the statement.
        needed: the values that it is to compute at the first occurrence.
    """
    nodes = parts(bench)
    for part, wanted in zip(nodes, needed) if len(nodes) == len(needed) else ():
        values = bench.values(part)
        if values is None or np.shape(values[0]) != wanted.shape:
            continue
        off = np.abs(wanted - numbers(values[0])) > NEAR * np.abs(wanted).max(initial=0)
        if off.sum() < 2:
            continue
        products = _Products(bench, wanted.shape, np.flatnonzero(off)[:NUMBERS])
        found: list[tuple[float, ast.expr, str, dict[str, ast.expr]]] = []
        for node, target in _inside(bench, part, wanted):
            now = products.of(bench.values(node)[0])  # type: ignore[index]
            right = products.of(target)
            with np.errstate(all="ignore"):
                missing = (right - now, now - right, right / now, right, -right)
            for (place, cost), one in zip(PLACES.items(), missing):
                for more, text, operands in products.equal_to(one):
                    found.append((cost + more, node, place.format(text), operands | {"n": node}))
        for cost, node, form, operands in sorted(found, key=lambda one: one[0])[:PROPOSED]:
            yield True, Candidate(bench.statement, cost, node, form, operands | {"np": ast.Name(bench.np, ast.Load())})


def _inside(bench: Bench, node: ast.expr, wanted: Array) -> Iterator[tuple[ast.expr, Array]]:
    """Yield the expressions in one, each with the value that gives the whole one the value wanted."""
    yield node, wanted
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from _inside(bench, node.operand, -wanted)
    if not isinstance(node, ast.BinOp):
        return
    values = bench.values(node.left), bench.values(node.right)
    if values[0] is None or values[1] is None:
        return
    left, right = numbers(values[0][0]), numbers(values[1][0])
    both: Any = None
    with np.errstate(all="ignore"):
        match node.op:
            case ast.Add():
                both = wanted - right, wanted - left
            case ast.Sub():
                both = wanted + right, left - wanted
            case ast.Mult():
                both = wanted / right, wanted / left
            case ast.Div():
                both = wanted * right, left / wanted
    for one, value, now in zip((node.left, node.right), both or (), (left, right)):
        if value.shape == now.shape and now.dtype.kind == "f":
            yield from _inside(bench, one, value)


class _Products:
    """Products of up to three factors, at some places of arrays of a shape."""

    def __init__(self, bench: Bench, shape: tuple[int, ...], where: Array):
        self._shape, self._where = shape, where
        self._atoms: list[tuple[float, str, ast.expr | None]] = [(0.0, "1", None)]
        rows, seen = [np.ones(len(where))], set()
        for form, cost in ATOMS.items():
            for leaf in bench.leaves:
                value = np.asarray(leaf.values[0]) if len(rows) < MOST else None
                if value is None or value.dtype.kind not in "fi" or len(value.shape) > len(shape):
                    continue
                try:
                    row = self.of(np.broadcast_to(value, shape).astype(float))
                except ValueError:
                    continue
                with np.errstate(all="ignore"):
                    row = eval(form.format("f"), {"np": np, "f": row})
                key = row.round(12).tobytes()
                if key not in seen and np.isfinite(row).all() and row.all():
                    seen.add(key)
                    rows.append(row)
                    self._atoms.append((cost + COMPOUND * (not isinstance(leaf.node, OPERANDS)), form, leaf.node))
        self._table = np.array(rows)
        self._first, self._second = np.triu_indices(len(rows))
        self._pairs = self._table[self._first, 0] * self._table[self._second, 0]
        self._order = np.argsort(self._table[:, 0])
        self._sorted = self._table[self._order, 0]

    def of(self, value: Array) -> Array:
        """Return the numbers of an array at these places."""
        return numbers(value).reshape(-1)[self._where]

    def equal_to(self, wanted: Array) -> Iterator[tuple[float, str, dict[str, ast.expr]]]:
        """Yield the products that are equal to a value there: what they cost, their text, and its operands."""
        if not (np.isfinite(wanted).all() and wanted.all()) or np.allclose(wanted, wanted[0], rtol=NEAR):
            return
        last = wanted[0] / self._pairs
        within = NEAR * np.abs(last)
        low, high = np.searchsorted(self._sorted, last - within), np.searchsorted(self._sorted, last + within)
        for k in np.flatnonzero(low < high):
            for third in self._order[low[k] : high[k]]:
                chosen = [self._first[k], self._second[k], third]
                if sorted(chosen) == chosen and np.allclose(self._table[chosen].prod(0), wanted, rtol=NEAR, atol=0):
                    atoms = [self._atoms[n] for n in chosen if n]
                    if atoms:
                        yield self._written(atoms)

    @staticmethod
    def _written(atoms: list[tuple[float, str, ast.expr | None]]) -> tuple[float, str, dict[str, ast.expr]]:
        text, operands = "", {}
        for letter, (_, form, node) in zip("fgh", sorted(atoms, key=lambda atom: atom[1].startswith("1 /"))):
            assert node is not None
            operands[letter] = node
            if form.startswith("1 /"):
                text = f"{text or '1'} / {letter}"
            else:
                text = f"{text} * {form.format(letter)}" if text else form.format(letter)
        return sum(cost for cost, *_ in atoms) + FURTHER * (len(atoms) - 1), text, operands
