"""The limit: the matrix products that any forward and backward of a layer must do, and nothing else.

The input's product with its weights for all steps; for each step the state's product on the way and the adjoint's on
the way back, which wait for each other; and one product each for the gradients of both weights and of the input.
Each is laid out both ways, rows or columns for the batch, and whichever is faster counts.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from compare.contenders import GATES, Case, Result, Work

Shape = tuple[int, int]


def products(case: Case) -> list[tuple[int, Shape, Shape]]:
    """How often which shapes are multiplied."""
    T, B, D, H = case.size
    G, M = GATES[case.cell] * H, T * B
    return [
        (1, (M, D), (D, G)),
        (T, (B, H), (H, G)),
        (T, (B, G), (G, H)),
        (1, (G, M), (M, H)),
        (1, (G, M), (M, D)),
        (1, (M, G), (G, D)),
    ]


def with_numpy(case: Case) -> Work:
    """With the BLAS of NumPy."""
    rng = np.random.default_rng(0)

    def draw(shape: Shape, columns: bool) -> Any:
        return np.asarray(rng.normal(size=shape), case.dtype, order="F" if columns else "C")

    return _faster(case, draw, lambda a, b, out: np.matmul(a, b, out=out))


def with_torch(case: Case) -> Work:
    """With the BLAS of torch."""
    import torch

    torch.set_num_threads(case.threads)
    dtype = getattr(torch, case.dtype)

    def draw(shape: Shape, columns: bool) -> Any:
        return torch.randn(shape[::-1], dtype=dtype).T if columns else torch.randn(shape, dtype=dtype)

    return _faster(case, draw, lambda a, b, out: torch.matmul(a, b, out=out))


def _faster(case: Case, draw: Callable[[Shape, bool], Any], multiply: Callable[[Any, Any, Any], Any]) -> Work:
    """The products in the layout that takes less time."""
    chosen = []
    for times, first, second in products(case):
        timed = []
        for columns in (False, True):
            arrays = draw(first, columns), draw(second, columns), draw((first[0], second[1]), columns)
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
