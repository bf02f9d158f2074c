"""The matrix products of a recurrent layer, laid out so that BLAS need not repack what it multiplies.

A BLAS copies both factors of a product into an order of its own before it multiplies. With few rows that copy costs
about as much as the product, and a recurrent layer makes it anew at every step. With AVX-512, OpenBLAS, which NumPy
brings along, leaves it out where a product has few multiplications, and is then faster than any large product is. So
the weights are kept as tiles of a few columns, each contiguous, and a step is a stack of small products. Elsewhere a
tile is as wide as a gate.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import add, concatenate, dot, matmul

from manual.arrays import Array


def unpacked() -> int:
    """Multiplications up to which the BLAS at hand leaves the factors of a product as they are; 0 if it never does."""
    told: Any = np.show_config(mode="dicts")  # what there is none of, it leaves out
    found = told.get("SIMD Extensions", {}).get("found", [])
    blas = told.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return 10**6 if "openblas" in blas and {"X86_V4", "AVX512_SKX"} & set(found) else 0


UNPACKED = unpacked()

#: Columns of a tile, in the order of preference.
WIDTHS = (64, 32, 16)

#: Weights that take longer to read at every step than their products with all steps' rows take.
MANY = 1 << 14

#: Columns of a tile, and the least number of rows, where a sum over rows is cut into parts.
NARROW, LONG = 32, 128


def tile_width(rows: int, inner: int, columns: int) -> int:
    """How many columns of a product (rows, inner) @ (inner, columns) are multiplied at a time: all or a part."""
    for width in (columns, *WIDTHS):
        if columns % width == 0 and rows * inner * width <= UNPACKED:
            return width
    return columns


def tiles(array: Array, width: int) -> Array:
    """(…, rows, columns) as (…, tiles, rows, width), a view."""
    return array.reshape(*array.shape[:-1], -1, width).swapaxes(-2, -3)


class ByGate:
    """The products of rows (B, K) with the weights (H, K) of each of G gates: a contiguous block (B, H) for each.

    ``multiply(rows, weights, out)`` computes them, with ``rows`` and ``out`` from the methods of these names.

    Args:
        known: how many of the first columns are known before the first step. A product with one row takes as long as
            the weights take to be read, so where they are many, these columns' share is computed for all steps at once.
    """

    def __init__(self, G: int, B: int, K: int, H: int, dtype: Any, known: int = 0):
        self.known = known if B == 1 and known * G * H >= MANY else 0
        self.width = H if B == 1 else tile_width(B, K, H)
        if B == 1:  # one row for all gates
            shares = np.zeros((G * H, self.known), dtype), np.zeros((G * H, K - self.known), dtype)
            self.known_weights, self.weights = shares[0].T, shares[1].T
            self.entries = [w.reshape(G, 1, H, -1).transpose(0, 3, 1, 2) for w in shares if w.size]
            self.product = np.zeros((1, G * H), dtype)
            self.multiply: Callable[..., Any] = self._add_product if self.known else dot
        else:
            self.weights = np.zeros((G, H // self.width, K, self.width), dtype)
            self.entries = [self.weights.swapaxes(1, 2)]
            self.multiply = matmul

    def load(self, *weights: Array, first: int = 0, halved: int = 0) -> None:
        """Take in weights.

        Args:
            weights: (G H, k) each, to stand side by side.
            first: the gate that becomes the first; the ones before it become the last.
            halved: how many of what are then the last gates are halved.
        """
        G, _, n, width = self.entries[0].shape
        w = concatenate(weights, axis=1).reshape(G, n, width, -1).transpose(0, 3, 1, 2)
        start = 0
        for entries in self.entries:
            columns = slice(start, start + entries.shape[1])
            entries[: G - first] = w[first:, columns]
            if first:
                entries[G - first :] = w[:first, columns]
            if halved:
                entries[G - halved :] *= 0.5  # (F1)
            start = columns.stop

    def start(self, rows: Array, z: Array) -> None:
        """Put into z (T, G, B, H) what the known columns of rows (T, B, K) make of it, if that is done beforehand."""
        if self.known:
            matmul(rows[:, 0, : self.known], self.known_weights, z.reshape(len(z), -1))

    def rows(self, rows: Array) -> Array:
        """What of rows (…, K) to give ``multiply``."""
        return rows[..., self.known :]

    def out(self, z: Array) -> Array:
        """What to give ``multiply`` to fill the blocks z (…, G, B, H)."""
        if z.shape[-2] == 1:
            return z.reshape(*z.shape[:-3], 1, -1)
        return tiles(z, self.width)

    def _add_product(self, rows: Array, weights: Array, out: Array) -> None:
        dot(rows, weights, self.product)
        add(out, self.product, out)


class OverGates:
    """The sum over G gates of blocks (R, H) times weights (H, N), with R rows in each of some steps.

    Args:
        steps: how many steps are done at once; their rows then follow each other.
    """

    def __init__(self, G: int, B: int, H: int, N: int, dtype: Any, steps: int = 1):
        self.in_rows = B == 1 or G == 1  # a row of all gates lies as one in memory
        if self.in_rows:
            self.weights = np.zeros((G * H, N), dtype)
        else:
            width = tile_width(B, H, N)
            self.weights = np.zeros((G, 1, N // width, H, width), dtype)
            shares = np.zeros((G, steps, B, N), dtype)
            self.shares, self.share_tiles = shares.reshape(G, steps * B, N), tiles(shares, width)

    def load(self, weights: Array) -> None:
        """Take in weights (G H, N)."""
        if self.in_rows:
            self.weights[...] = weights
        else:
            G, _, _, H, width = self.weights.shape
            self.weights[:, 0] = tiles(weights.reshape(G, H, -1), width)

    def factor(self, blocks: Array) -> Array:
        """Blocks (G, steps, B, H) as a call takes them."""
        if self.in_rows:
            return np.moveaxis(blocks, 0, -2).reshape(-1, len(self.weights))
        return blocks[:, :, None]

    def __call__(self, factor: Array, out: Array) -> None:
        """Put the sum into ``out`` (steps B, N)."""
        if self.in_rows:
            dot(factor, self.weights, out)
        else:
            matmul(factor, self.weights, self.share_tiles)
            add.reduce(self.shares, out=out)


def over_time(blocks: Array, rows: Array) -> Array:
    """The sum over steps and batch rows of outer products: of blocks (G, T, B, H) and rows (T, B, K), (G H, K)."""
    G, T, B, H = blocks.shape
    M, K = T * B, rows.shape[2]
    width = NARROW if H % NARROW == 0 else H
    part = UNPACKED // (width * K) // B * B
    if H * K * M <= UNPACKED or part < min(LONG, M):
        width, part = H, M
    left, right = blocks.reshape(G, M, H // width, width).transpose(0, 2, 3, 1), rows.reshape(M, K)
    total = matmul(left[..., :part], right[:part])
    share = np.empty_like(total) if part < M else total
    for start in range(part, M, part):
        matmul(left[..., start : start + part], right[start : start + part], share)
        add(total, share, total)
    return total.reshape(G * H, K)
