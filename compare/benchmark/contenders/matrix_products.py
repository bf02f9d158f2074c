"""The bare matrix products that any forward and backward pass of a layer has to compute: a lower bound of its time.

The input's product with its weights for all steps; for each step the state's product in the forward and the adjoint's
in the backward pass, which depend on each other from step to step; and one product each for the gradients of both
weights and of the input. Each is timed in several layouts, with rows or columns for the batch, with NumPy also in tiles
as in ``manual.fast.products``, and the fastest one counts.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from compare.benchmark.case import Inputs, Result, TimedCase, Work
from manual.fast import products
from manual.fast.products import PART_ROWS, tile_width

Matrix = tuple[int, int]
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # of both factors and of their product


def required_products(case: TimedCase) -> list[tuple[int, Matrix, Matrix]]:
    """List how many times which shapes are multiplied."""
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


def with_numpy(case: TimedCase, inputs: Inputs) -> Work:
    """Multiply with NumPy's BLAS, whole or in tiles that it need not repack, with a shard of the batch per thread."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> Any:
        return rng.normal(size=shape).astype(case.dtype)

    def layouts(first: Matrix, second: Matrix) -> list[Shapes]:
        return [*whole(first, second), *tiled(first, second)]

    n = min(case.threads, case.B)
    shards = [replace(case, B=(k + 1) * case.B // n - k * case.B // n) for k in range(n)]
    works = [_fastest(shard, layouts, draw, np.matmul) for shard in shards]
    if n == 1:
        return works[0]
    pool = ThreadPoolExecutor(n)

    def run() -> Result:
        for future in [pool.submit(work) for work in works]:
            future.result()
        return Result({}, {})

    return run


def with_torch(case: TimedCase, inputs: Inputs) -> Work:
    """Multiply with torch's BLAS."""
    import torch

    torch.set_num_threads(case.threads)
    dtype = getattr(torch, case.dtype)

    def draw(shape: tuple[int, ...]) -> Any:
        return torch.randn(shape, dtype=dtype)

    return _fastest(case, whole, draw, lambda a, b, out: torch.matmul(a, b, out=out))


def whole(first: Matrix, second: Matrix) -> list[Shapes]:
    """Return the shapes of factors and product, as they are and with everything transposed."""
    (M, K), (_, N) = first, second
    return [((m, K), (K, n), (m, n)) for m, n in ((M, N), (N, M))]


def tiled(first: Matrix, second: Matrix) -> list[Shapes]:
    """Return stacks of the same product: tiles of columns, and parts of the inner axis whose sum is left out."""
    stacks: list[Shapes] = []
    for (m, K), _, (_, n) in whole(first, second):
        for parts in (1, 2, 4, 8, 16, 32):
            inner = K // parts
            width = tile_width(m, inner, n)
            if K % parts == 0 and inner >= min(K, PART_ROWS) and m * inner * width <= products.SMALL_PRODUCT:
                tiles = n // width
                stacks.append(((parts, 1, m, inner), (parts, tiles, inner, width), (parts, tiles, m, width)))
    return stacks


def _fastest(
    case: TimedCase,
    layouts: Callable[[Matrix, Matrix], list[Shapes]],
    draw: Callable[[tuple[int, ...]], Any],
    multiply: Callable[[Any, Any, Any], Any],
) -> Work:
    """Return the products of a case, each in the layout that takes the least time."""
    chosen = []
    for times, first, second in required_products(case):
        timed = []
        for shapes in layouts(first, second):
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
