"""The matrix products of a recurrent layer, laid out so that BLAS need not repack its operands.

A BLAS copies both operands of a product into an order of its own before it multiplies. With few rows that copy costs
about as much as the product, and a recurrent layer repeats it at every step. With AVX-512, OpenBLAS, which NumPy
ships, skips the copy for small products, and is then faster than for any large one. So the weights are stored as tiles
of a few columns, each contiguous, and a step is a stack of small products. Elsewhere a tile is as wide as a gate.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import add, dot, matmul

from manual.arrays import Array


def small_product_limit() -> int:
    """Return the number of multiplications up to which this BLAS skips packing; 0 if it never does."""
    config: Any = np.show_config(mode="dicts")  # a key that does not apply is missing
    simd = config.get("SIMD Extensions", {}).get("found", [])
    blas = config.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return 10**6 if "openblas" in blas and {"X86_V4", "AVX512_SKX"} & set(simd) else 0


#: Multiplications of the largest product whose operands are not packed.
SMALL_PRODUCT = small_product_limit()

#: Columns of a tile, in the order of preference.
TILE_WIDTHS = (64, 32, 16)

#: Input weights from which on one row's product with them is hoisted: reading them at each step takes longer.
HOISTED_WEIGHTS = 1 << 14

#: Columns of a tile, and the least number of rows, of a sum over rows that is cut into parts.
PART_WIDTH, PART_ROWS = 32, 128


def tile_width(rows: int, inner: int, columns: int) -> int:
    """Return how many columns of a product (rows, inner) @ (inner, columns) to multiply at a time."""
    for width in (columns, *TILE_WIDTHS):
        if columns % width == 0 and rows * inner * width <= SMALL_PRODUCT:
            return width
    return columns


def tiles(array: Array, width: int) -> Array:
    """View (…, rows, columns) as (…, tiles, rows, width)."""
    return array.reshape(*array.shape[:-1], -1, width).swapaxes(-2, -3)


class ToGates:
    """The products of rows (B, K) with the weights (H, K) of each of G gates: a contiguous block (B, H) for each.

    ``multiply(rows, weights, out)`` computes them, with ``rows`` and ``out`` from the methods of these names.

    Args:
        G: gates.
        B: rows.
        K: columns of the rows, and of the weights.
        H: rows of a gate's weights.
        dtype: of everything.
        hoisted: how many trailing columns are known before the first step. One row's product takes as long as reading
            the weights, so where these are many, the trailing columns' share is computed for all steps at once.
    """

    def __init__(self, G: int, B: int, K: int, H: int, dtype: Any, hoisted: int = 0):
        self.hoisted = hoisted if B == 1 and hoisted * G * H >= HOISTED_WEIGHTS else 0
        self.width = H if B == 1 else tile_width(B, K, H)
        if B == 1:  # one row for all gates
            parts = np.zeros((G * H, K - self.hoisted), dtype), np.zeros((G * H, self.hoisted), dtype)
            self.weights, self.hoisted_weights = (part.T for part in parts)
            self.by_column = [part.reshape(G, 1, H, -1).transpose(0, 3, 1, 2) for part in parts if part.size]
            self.product = np.zeros((1, G * H), dtype)
            self.multiply: Callable[..., Any] = self._add_product if self.hoisted else dot
        else:
            self.weights = np.zeros((G, H // self.width, K, self.width), dtype)
            self.by_column = [self.weights.swapaxes(1, 2)]
            self.multiply = matmul

    def load(self, *weights: Array, first: int = 0, negated: int = 0) -> None:
        """Copy weights.

        Args:
            weights: (G H, k) each, to be placed side by side. The hoisted columns begin with one of them.
            first: the gate that becomes the first; those before it become the last.
            negated: how many of what are then the last gates are negated.
        """
        G, _, n, width = self.by_column[0].shape
        parts, start = list(self.by_column), 0
        for W in weights:
            if start == parts[0].shape[1]:
                del parts[0]
                start = 0
            columns, w = slice(start, start + W.shape[1]), W.reshape(G, n, width, -1).transpose(0, 3, 1, 2)
            parts[0][: G - first, columns] = w[first:]
            parts[0][G - first :, columns] = w[:first]
            start = columns.stop
        if negated:
            for part in self.by_column:
                np.negative(part[G - negated :], part[G - negated :])  # (F1)

    def hoist(self, rows: Array, z: Array) -> None:
        """Write the trailing columns' share of rows (T, B, K) to z (T, G, B, H), if it is hoisted."""
        if self.hoisted:
            matmul(rows[:, 0, -self.hoisted :], self.hoisted_weights, z.reshape(len(z), -1))

    def rows(self, rows: Array) -> Array:
        """View the columns of rows (…, K) that ``multiply`` takes."""
        return rows[..., : rows.shape[-1] - self.hoisted]

    def out(self, z: Array) -> Array:
        """View the blocks z (…, G, B, H) as ``multiply`` fills them."""
        if z.shape[-2] == 1:
            return z.reshape(*z.shape[:-3], 1, -1)
        return tiles(z, self.width)

    def _add_product(self, rows: Array, weights: Array, out: Array) -> None:
        dot(rows, weights, self.product)
        add(out, self.product, out)


class FromGates:
    """The sum over G gates of blocks (R, H) times weights (H, N), for R = steps · B rows.

    Args:
        G: gates.
        B: rows of a step.
        H: columns of a block.
        N: columns of the sum.
        dtype: of everything.
        steps: how many steps are multiplied at once.
    """

    def __init__(self, G: int, B: int, H: int, N: int, dtype: Any, steps: int = 1):
        self.one_product = B == 1 or G == 1  # all gates of a row are contiguous in memory
        if self.one_product:
            self.weights = np.zeros((G * H, N), dtype)
        else:
            width = tile_width(B, H, N)
            self.weights = np.zeros((G, 1, N // width, H, width), dtype)
            shares = np.zeros((G, steps, B, N), dtype)
            self.shares, self.share_tiles = shares.reshape(G, steps * B, N), tiles(shares, width)

    def load(self, weights: Array) -> None:
        """Copy weights (G H, N)."""
        if self.one_product:
            self.weights[...] = weights
        else:
            G, _, _, H, width = self.weights.shape
            self.weights[:, 0] = tiles(weights.reshape(G, H, -1), width)

    @property
    def plain(self) -> Array:
        """The weights (G H, N) again."""
        if self.one_product:
            return self.weights
        G, _, _, H, _ = self.weights.shape
        return self.weights[:, 0].swapaxes(1, 2).reshape(G * H, -1)

    def operand(self, blocks: Array) -> Array:
        """View blocks (G, steps, B, H) as a call takes them."""
        if self.one_product:
            return np.moveaxis(blocks, 0, -2).reshape(-1, len(self.weights))
        return blocks[:, :, None]

    def operands(self, blocks: Array) -> list[Array]:
        """View blocks (G, T, B, H) as T calls of one step each take them."""
        return [self.operand(blocks[:, t : t + 1]) for t in range(blocks.shape[1])]

    def __call__(self, operand: Array, out: Array) -> None:
        """Write the sum to ``out`` (R, N)."""
        if self.one_product:
            dot(operand, self.weights, out)
        else:
            matmul(operand, self.weights, self.share_tiles)
            add.reduce(self.shares, out=out)


def sums_of_outer_products(blocks: Array, rows: Array, P: int) -> tuple[Array, Array]:
    """Return the sum of outer products with the first P columns of rows (T, B, K) and that with the others.

    For long weights and few rows they are two products: to take one apart costs more than to multiply twice.
    """
    G, T, B, H = blocks.shape
    K = rows.shape[2]
    if T * B < K and G * H * K >= HOISTED_WEIGHTS:
        return sum_of_outer_products(blocks, rows[:, :, :P]), sum_of_outer_products(blocks, rows[:, :, P:])
    total = sum_of_outer_products(blocks, rows)
    return total[:, :P].copy(), total[:, P:]


def sum_of_outer_products(blocks: Array, rows: Array) -> Array:
    """Return the sum over steps and rows of the outer products of blocks (G, T, B, H) and rows (T, B, K): (G H, K)."""
    G, T, B, H = blocks.shape
    M, K = T * B, rows.shape[2]
    width = PART_WIDTH if H % PART_WIDTH == 0 else H
    part = SMALL_PRODUCT // (width * K) // B * B
    if H * K * M <= SMALL_PRODUCT or part < min(PART_ROWS, M):
        width, part = H, M
    left, right = blocks.reshape(G, M, H // width, width).transpose(0, 2, 3, 1), rows.reshape(M, K)
    total = matmul(left[..., :part], right[:part])
    share = np.empty_like(total) if part < M else total
    for start in range(part, M, part):
        matmul(left[..., start : start + part], right[start : start + part], share)
        add(total, share, total)
    return total.reshape(G * H, K)
