import numpy as np
import pytest

from compare.published.kernels import mlstm
from compare.published.kernels.findings import check


@pytest.mark.slow
def test_of_the_published_backward_pass_one_equation_is_wrong():
    report = check(mlstm, "mlstm as published", normaliser=False)
    assert [fault.name for fault in report.faults] == ["d_c"]
    assert "# (M13)" in report.faults[0].code
    wrong = {one.label for one in report.as_run if not one.agrees}
    assert {"d_q", "d_k", "d_i", "d_f"} <= wrong
    assert "d_v" not in wrong


def test_both_branches_of_the_normaliser_are_taken():
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=shape) for name, shape in mlstm.INPUTS[-1].items()}
    _, (*_, m, _, _, r, n, _) = mlstm.forward(**inputs)
    larger = np.abs(r) > np.exp(-m)
    assert 0.2 < larger.mean() < 0.8
    assert np.array_equal(n, np.where(larger, np.abs(r), np.exp(-m)))


def test_it_is_the_recurrent_form_of_the_paper():
    """C_t = f C + i v kᵀ and n_t = f n + i k, with h = C q / max(|nᵀ q|, 1), keys divided by the root of their size."""
    B, T, D, H = 2, 9, 3, 4
    rng = np.random.default_rng(1)
    q, k = rng.normal(size=(2, B, T, D))
    v, i, f = rng.normal(size=(B, T, H)), rng.normal(size=(B, T)), rng.normal(size=(B, T))
    h, _ = mlstm.forward(q, k, v, i, f)
    for b in range(B):
        C, n = np.zeros((H, D)), np.zeros(D)
        for t in range(T):
            forget, enter, key = 1 / (1 + np.exp(-f[b, t])), np.exp(i[b, t]), k[b, t] / np.sqrt(D)
            C = forget * C + enter * np.outer(v[b, t], key)
            n = forget * n + enter * key
            expected = C @ q[b, t] / max(abs(n @ q[b, t]), 1)
            assert np.allclose(h[b, t], expected, rtol=1e-12)


def test_large_input_gates_do_not_overflow():
    rng = np.random.default_rng(2)
    q, k = rng.normal(size=(2, 2, 5, 3))
    v, i, f = rng.normal(size=(2, 5, 4)), 1000 * rng.random((2, 5)), rng.normal(size=(2, 5))
    h, tape = mlstm.forward(q, k, v, i, f)
    assert np.isfinite(h).all()
    assert all(np.isfinite(d).all() for d in mlstm.backward(tape, np.ones_like(h)))
