"""The limit: the matrix products that any forward and backward of a layer must do, and nothing else.

The input's product with its weights for all steps; for each step the state's product on the way and the adjoint's on
the way back, which wait for each other; and one product each for the gradients of both weights and of the input.
Each is laid out both ways, rows or columns for the batch, with NumPy also in tiles as ``manual.fast.products`` has
them, and whichever is fastest counts.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from compare.benchmark.case import Case, Result, Work
from manual.fast import products as fast_products
from manual.fast.products import PART_ROWS, tile_width

Shape = tuple[int, int]
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # of two factors and of their product


def products(case: Case) -> list[tuple[int, Shape, Shape]]:
    """How often which shapes are multiplied."""
    T, B, D, H = case.size
    G, M = case.rows, T * B
    return [
        (1, (M, D), (D, G)),
        (T, (B, H), (H, G)),
        (T, (B, G), (G, H)),
        (1, (G, M), (M, H)),
        (1, (G, M), (M, D)),
        (1, (M, G), (G, D)),
    ]


def with_numpy(case: Case) -> Work:
    """With NumPy's BLAS, in one piece or in pieces that it need not repack; a shard of the batch in each thread."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> Any:
        return rng.normal(size=shape).astype(case.dtype)

    def forms(first: Shape, second: Shape) -> list[Shapes]:
        return [*whole(first, second), *in_pieces(first, second)]

    n = min(case.threads, case.B)
    shards = [replace(case, B=(k + 1) * case.B // n - k * case.B // n) for k in range(n)]
    works = [_fastest(shard, forms, draw, np.matmul) for shard in shards]
    if n == 1:
        return works[0]
    pool = ThreadPoolExecutor(n)

    def run() -> Result:
        for done in [pool.submit(work) for work in works]:
            done.result()
        return Result({}, {})

    return run


def with_torch(case: Case) -> Work:
    """With the BLAS of torch."""
    import torch

    torch.set_num_threads(case.threads)
    dtype = getattr(torch, case.dtype)

    def draw(shape: tuple[int, ...]) -> Any:
        return torch.randn(shape, dtype=dtype)

    return _fastest(case, whole, draw, lambda a, b, out: torch.matmul(a, b, out=out))


def whole(first: Shape, second: Shape) -> list[Shapes]:
    """Factors and result of the product as it is, and with all of them transposed."""
    (M, K), (_, N) = first, second
    return [((m, K), (K, n), (m, n)) for m, n in ((M, N), (N, M))]


def in_pieces(first: Shape, second: Shape) -> list[Shapes]:
    """The same as stacks: of parts of the inner axis, whose results are left unadded, and of tiles of columns."""
    stacks: list[Shapes] = []
    for (m, K), _, (_, n) in whole(first, second):
        for parts in (1, 2, 4, 8, 16, 32):
            inner = K // parts
            width = tile_width(m, inner, n)
            if K % parts == 0 and inner >= min(K, PART_ROWS) and m * inner * width <= fast_products.SMALL_PRODUCT:
                tiles = n // width
                stacks.append(((parts, 1, m, inner), (parts, tiles, inner, width), (parts, tiles, m, width)))
    return stacks


def _fastest(
    case: Case,
    forms: Callable[[Shape, Shape], list[Shapes]],
    draw: Callable[[tuple[int, ...]], Any],
    multiply: Callable[[Any, Any, Any], Any],
) -> Work:
    """Each product in the form that takes the least time."""
    chosen = []
    for times, first, second in products(case):
        timed = []
        for shapes in forms(first, second):
            arrays = [draw(shape) for shape in shapes]
            elapsed = []
            for _ in range(4):
                start = perf_counter()
                for _ in range(min(times, 8)):
                    multiply(*arrays)
                elapsed.append(perf_counter() - start)
            timed.append((min(elapsed), arrays))
        chosen.append((times, min(timed, key=lambda pair: pair[0])[1]))

    def run() -> Result:
        for times, arrays in chosen:
            for _ in range(times):
                multiply(*arrays)
        return Result({}, {})

    return run
