import numpy as np

from compare.published.kernels import selective_scan


def test_it_is_the_sum_over_all_earlier_steps():
    T, B, D, N = 6, 2, 3, 4
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, T, B, D))
    b, c = rng.normal(size=(2, T, B, N))
    a, w = rng.normal(size=(D, N)), rng.normal(size=D)
    y, _ = selective_scan.forward(x, u, a, b, c, w)
    delta = np.log1p(np.exp(u))
    for t in range(T):
        expected = w * x[t]
        for j in range(t + 1):
            decay = np.exp(-np.exp(a) * delta[j + 1 : t + 1].sum(axis=0)[:, :, None])  # (B, D, N)
            expected = expected + np.einsum("bdn,bd,bn,bn->bd", decay, delta[j] * x[j], b[j], c[t])
        assert np.allclose(y[t], expected, rtol=1e-12)
