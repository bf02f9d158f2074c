import numpy as np
import pytest
from oracles import relative_error

pytest.importorskip("numba", reason="the extra `compiled` is not installed")

from manual.compiled.loops import add_outer, add_transposed, load, multiply, unload

T, B, D, P, N = 4, 3, 2, 5, 7
K = D + 1 + P


@pytest.mark.parametrize("columns", [N, N - 2], ids=["all columns", "the first columns"])
def test_products_and_the_gradient_of_their_matrix(rng, columns):
    W, v, w = rng.normal(size=(K, N)), rng.normal(size=K), rng.normal(size=columns)
    start = rng.normal(size=columns)
    out = start.copy()
    add_transposed(W, v, out)
    assert relative_error(out, start + v @ W[:, :columns]) < 1e-14
    product = np.empty(K)
    multiply(W, w, product)
    assert relative_error(product, W[:, :columns] @ w) < 1e-14
    outer = W.copy()
    add_outer(v, w, outer)
    assert relative_error(outer[:, :columns], W[:, :columns] + np.outer(v, w)) < 1e-14
    assert np.array_equal(outer[:, columns:], W[:, columns:])


def test_rows_and_weights_are_laid_side_by_side_and_taken_apart(rng):
    x, h_0 = rng.normal(size=(T, B, D)), rng.normal(size=(B, P))
    W_ih, W_hh, b_ih, b_hh = (rng.normal(size=shape) for shape in ((N, D), (N, P), (N,), (N,)))
    x_1_h, W = np.full((T + 1, B, K), np.nan), np.full((K, N), np.nan)
    load(x, h_0, W_ih, W_hh, b_ih, b_hh, x_1_h, W)
    assert np.array_equal(x_1_h[:T, :, : D + 1], np.concatenate([x, np.ones((T, B, 1))], axis=2))
    assert np.array_equal(x_1_h[0, :, D + 1 :], h_0)
    assert np.array_equal(W, np.concatenate([W_ih.T, (b_ih + b_hh)[None], W_hh.T]))
    parts = [np.full_like(array, np.nan) for array in (W_ih, W_hh, b_ih, b_hh)]
    unload(W, *parts)
    for part, expected in zip(parts, (W_ih, W_hh, b_ih + b_hh, b_ih + b_hh), strict=True):
        assert np.array_equal(part, expected)
