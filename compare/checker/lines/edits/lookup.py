"""Edits that are looked up: what is needed of a statement tells what is needed of its parts, and so what is missing."""

import ast
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from compare.checker.lines.edits.bench import COMPOUND, OPERANDS, Bench, Candidate, Leaf, form_code
from compare.checker.lines.edits.terms import LARGEST, parts
from compare.checker.lines.statement import names_in
from compare.checker.lines.trace.record import numbers
from compare.checker.recorder import as_float64
from manual.arrays import Array

#: What a factor may be of one of the user's expressions, and what it costs.
ATOMS = {"f": 0.0, "1 / f": 0.25, "(1 - f)": 0.2, "f ** 2": 0.3, "(1 - f ** 2)": 0.35, "np.exp(f)": 0.4}

#: How one of them may be turned to fit.
TURNED = {"f": 0.0, "f[..., None]": 0.1, "f[:, None]": 0.1, "f.T": 0.2}

#: What a factor may be of one of them and an axis, or of two, and what it costs.
REDUCED = {
    "f.sum(axis, keepdims=True)": 0.3,
    "f.mean(axis, keepdims=True)": 0.3,
    "(f - f.mean(axis, keepdims=True))": 0.5,
}
PAIRS = {
    "(f * g).sum(axis, keepdims=True)": 0.4,
    "(f * g).mean(axis, keepdims=True)": 0.4,
    "(f - (f * g).sum(axis, keepdims=True))": 0.5,
    "(f - g * (f * g).sum(axis, keepdims=True))": 0.6,
    "(f - g * (f * g).mean(axis, keepdims=True))": 0.6,
    "(f - f.mean(axis, keepdims=True) - g * (f * g).mean(axis, keepdims=True))": 0.8,
}
PRODUCTS = {"(f @ g)": 0.3, "(f @ g.T)": 0.3, "(f.T @ g)": 0.3, "(f * g).sum(0)": 0.4}

#: What stands in the place of an expression with a product, and what it costs.
PLACES = {"n + {}": 1.2, "n - {}": 1.2, "n * {}": 1.1, "{}": 1.3, "-{}": 1.5}

#: What each factor costs beyond the first, and each expression that the statement does not have yet.
FURTHER, FOREIGN = 0.3, 0.3

#: How near a product is to what is missing, relative to it.
NEAR = 1e-6

#: The most numbers that are compared, and the most products that are proposed.
NUMBERS, PROPOSED = 24, 40

#: The most factors that are tried, the most beside those that are sums, and the most arrays that these are sums of.
MOST, FEW, ARRAYS = 300, 100, 24


def looked_up(bench: Bench, needed: list[list[Array]], deep: bool = False) -> Iterator[tuple[bool, Candidate]]:
    """Yield a statement with a product of a few factors more, or in the place of one of its expressions.

    Args:
        bench: the statement.
        needed: the values that it is to compute, by occurrence. The first that it does not is what tells.
        deep: whether a factor may also be a sum or a mean over an axis, what such a one is taken from, or a product of
            matrices.
    """
    nodes = parts(bench)
    for n, part in enumerate(nodes):
        values = bench.values(part)
        for k, wanted in enumerate(needed if values else ()):
            if len(wanted) != len(nodes) or np.shape(values[k]) != wanted[n].shape:  # type: ignore[index]
                break
            if _where(wanted[n], numbers(values[k])).size > 1:  # type: ignore[index]
                yield from _of_part(bench, part, wanted[n], k, deep)
                break


def _of_part(bench: Bench, part: ast.expr, needed: Array, k: int, deep: bool) -> Iterator[tuple[bool, Candidate]]:
    products: dict[Any, _Products] = {}
    found: list[tuple[float, ast.expr, str, dict[str, ast.expr]]] = []
    for node, wanted in _inside(bench, part, needed, k):
        now = np.broadcast_to(numbers(bench.values(node)[k]), wanted.shape)  # type: ignore[index]
        where = _where(wanted, now)
        if where.size < 2:
            continue
        key = wanted.shape, where.tobytes()
        if key not in products:
            products[key] = _Products(bench, k, wanted.shape, where, deep)
        before, right = (one.reshape(-1)[where] for one in (now, wanted))
        with np.errstate(all="ignore"):
            missing = (right - before, before - right, right / before, right, -right)
        for (place, cost), one in zip(PLACES.items(), missing):
            for more, text, operands in products[key].equal_to(one):
                found.append((cost + more, node, place.format(text), operands | {"n": node}))
    for cost, node, form, operands in sorted(found, key=lambda one: one[0])[:PROPOSED]:
        yield True, Candidate(bench.statement, cost, node, form, operands | {"np": ast.Name(bench.np, ast.Load())})


def _where(wanted: Array, now: Array) -> Array:
    """Return the places at which a value is farthest from what is wanted."""
    finite = np.isfinite(wanted)
    off = np.where(finite, np.abs(wanted - now), 0.0).ravel()
    places = np.argsort(-off, kind="stable")[:NUMBERS]
    return places[off[places] > NEAR * np.abs(wanted).max(initial=0, where=finite)]


def _inside(bench: Bench, node: ast.expr, wanted: Array, k: int) -> Iterator[tuple[ast.expr, Array]]:
    """Yield the expressions in one, each with the value that gives the whole one the value wanted."""
    yield node, wanted
    match node:
        case ast.UnaryOp(op=ast.USub()):
            yield from _inside(bench, node.operand, -wanted, k)
        case ast.Attribute(attr="T"):
            yield from _inside(bench, node.value, wanted.T, k)
        case ast.BinOp():
            values = bench.values(node.left), bench.values(node.right)
            if values[0] is None or values[1] is None:
                return
            left, right = numbers(values[0][k]), numbers(values[1][k])
            with np.errstate(all="ignore"):
                both = _operands(node.op, wanted, left, right)
            for one, value, now in zip((node.left, node.right), both, (left, right)):
                if value is not None and now.dtype.kind == "f" and not isinstance(one, ast.Constant):
                    yield from _inside(bench, one, value, k)


def _operands(operator: ast.operator, wanted: Array, left: Array, right: Array) -> tuple[Any, Any]:
    """Return for each operand what makes an operation give what is wanted, None if that is not unique."""
    match operator:
        case ast.Add():
            return wanted - right, wanted - left
        case ast.Sub():
            return wanted + right, left - wanted
        case ast.Mult():
            return wanted / right, wanted / left
        case ast.Div():
            return wanted * right, left / wanted
        case ast.MatMult() if left.ndim == right.ndim == 2:
            first, second = _factor(right.T, wanted.T), _factor(left, wanted)
            return None if first is None else first.T, second
    return None, None


def _factor(matrix: Array, product: Array) -> Array | None:
    """Return what a matrix times it is a product; None if that is not unique."""
    solution, _, rank, _ = np.linalg.lstsq(matrix, product, rcond=1e-10)
    exact = rank == matrix.shape[1] and np.allclose(matrix @ solution, product, rtol=NEAR, atol=1e-9)
    return solution if exact else None


#: A factor: what it costs, its form, and the expressions for the letters of this.
_Atom = tuple[float, str, tuple[ast.expr, ...]]


class _Products:
    """Products of three factors, or four if ``deep``, at some places of arrays of a shape."""

    def __init__(self, bench: Bench, k: int, shape: tuple[int, ...], where: Array, deep: bool):
        self._shape, self._where = shape, where
        self._atoms: list[_Atom] = [(0.0, "1", ())]
        self._rows, self._seen = [np.ones(len(where))], set[bytes]()
        its = bench.root or ast.Constant(0)
        own, self._own = names_in(its), {ast.unparse(one) for one in ast.walk(its) if isinstance(one, ast.expr)}
        given = [(leaf, as_float64(leaf.values[k], copy=False)) for leaf in bench.leaves]
        given = [(leaf, value.astype(float)) for leaf, value in given if value.dtype.kind in "fi"]
        given.sort(key=lambda one: (names_in(one[0].node).isdisjoint(own), one[1].shape != shape))
        turned = [one for leaf, value in given for one in self._turned(leaf, value)]
        for form, cost in ATOMS.items():
            for more, text, leaf, row in turned if len(self._rows) < (FEW if deep else MOST) else ():
                with np.errstate(all="ignore"):
                    value = eval(form_code(form), {"np": np, "f": row})
                self._add(cost + more, form.replace("f", text), (leaf,), value)
        self._simple = len(self._rows)
        if deep:
            self._reduce([(leaf, value) for leaf, value in given if value.ndim and value.size <= LARGEST][:ARRAYS])
        self._table = np.array(self._rows)
        first, second = np.triu_indices(self._simple, 0, len(self._table))
        products = self._table[first, 0] * self._table[second, 0]
        self._pairs, order = np.stack([first, second], 1), np.argsort(products)
        self._sorted, self._order = products[order], order
        self._rest = self._pairs[(second < self._simple) & (deep | (first == 0))]

    def _turned(self, leaf: Leaf, value: Array) -> Iterator[tuple[float, str, Leaf, Array]]:
        """Yield an expression as it fits the shape, if it does."""
        for form, cost in TURNED.items():
            try:
                row = np.broadcast_to(eval(form_code(form), {"f": value}), self._shape).reshape(-1)[self._where]
            except (ValueError, IndexError):
                continue
            yield cost, form, leaf, row
            return

    def _reduce(self, given: list[tuple[Leaf, Array]]) -> None:
        """Add sums and means over axes, what they are taken from, and products of matrices."""
        for leaf, value in given:
            for axis in _axes(value.ndim):
                for form, cost in REDUCED.items():
                    self._try(cost, form, axis, (leaf,), (value,))
        for (leaf, value), (other, its) in itertools.product(given, repeat=2):
            if its.shape == value.shape[value.ndim - its.ndim :]:
                for axis in _axes(value.ndim):
                    for form, cost in PAIRS.items():
                        self._try(cost, form, axis, (leaf, other), (value, its))
            for form, cost in PRODUCTS.items() if value.ndim <= 2 and its.ndim <= 2 else ():
                self._try(cost, form, "", (leaf, other), (value, its))

    def _try(self, cost: float, form: str, axis: str, found: tuple[Leaf, ...], values: tuple[Array, ...]) -> None:
        """Add a factor, if it fits the shape."""
        text = form.replace("axis", axis)
        if values[0].ndim > len(self._shape):
            text = text.replace(", keepdims=True", "")
        try:
            value = eval(form_code(text), {"np": np} | dict(zip("fg", values)))
            row = np.broadcast_to(value, self._shape).reshape(-1)[self._where]
        except ValueError:
            return
        self._add(cost, text, found, row)

    def _add(self, cost: float, text: str, found: tuple[Leaf, ...], row: Array) -> None:
        key = row.round(12).tobytes()
        if key not in self._seen and np.isfinite(row).all() and row.all():
            self._seen.add(key)
            self._rows.append(row)
            cost += sum(COMPOUND for leaf in found if not isinstance(leaf.node, OPERANDS))
            cost += sum(FOREIGN for leaf in found if leaf.text not in self._own)
            self._atoms.append((cost, text, tuple(leaf.node for leaf in found)))

    def equal_to(self, wanted: Array) -> Iterator[tuple[float, str, dict[str, ast.expr]]]:
        """Yield the products that are equal to a value there: what they cost, their text, and its operands."""
        if not (np.isfinite(wanted).all() and wanted.all()) or np.ptp(wanted) <= NEAR * np.abs(wanted[0]):
            return
        rest = wanted[0] / self._table[self._rest, 0].prod(1)
        within = NEAR * np.abs(rest)
        low, high = np.searchsorted(self._sorted, rest - within), np.searchsorted(self._sorted, rest + within)
        found = np.repeat(np.arange(len(rest)), high - low)
        pairs = self._order[np.arange(len(found)) - np.repeat(np.cumsum(high - low) - high, high - low)]
        chosen = np.unique(np.sort(np.hstack([self._rest[found], self._pairs[pairs]]), 1), axis=0)
        products = np.prod([self._table[factors] for factors in chosen.T], 0)
        off = np.abs(products - wanted).max(1, initial=0)
        for factors in chosen[off <= NEAR * np.abs(wanted).max()]:
            if factors.any():
                yield _written([self._atoms[n] for n in factors if n])


def _axes(ndim: int) -> list[str]:
    """Return the axes, and some of the axes, of an array, as text."""
    several = [str(axes) for n in range(2, ndim) for axes in itertools.combinations(range(ndim), n)]
    return [*map(str, range(ndim - 1)), "-1", *several]


def _written(atoms: list[_Atom]) -> tuple[float, str, dict[str, ast.expr]]:
    """Return what a product costs, its text, and its operands."""
    text, letters, operands = "", iter("fghklm"), dict[str, ast.expr]()
    for _, form, nodes in sorted(atoms, key=lambda atom: atom[1].startswith("1 /")):
        named = {letter: next(letters) for letter, _ in zip("fg", nodes)}
        operands |= dict(zip(named.values(), nodes))
        factor = "".join(named.get(word, word) for word in re.split(r"\b", form))
        over = factor.startswith("1 /")
        text = f"{text or '1'} / {factor[4:]}" if over else f"{text} * {factor}" if text else factor
    return sum(cost for cost, *_ in atoms) + FURTHER * (len(atoms) - 1), text, operands
