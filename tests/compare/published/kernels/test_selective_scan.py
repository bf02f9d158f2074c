import numpy as np
import pytest
from tiers import first

from compare import check_backward
from compare.published.kernels import selective_scan

CHANGES = {
    "C1": ("-np.exp(a)", "-np.exp(-a)", "rates"),
    "C2": ("np.logaddexp(0, u[t])", "np.maximum(0, u[t])", "delta"),
    "C3": (" * rates", " + rates", "decay"),
    "C4": ("decay * s_prev", "s_prev", "s"),
    "C5": (" + w * x[t]", "", "output"),
    "C6": (" + d_s_carried", "", "d_s"),
    "C7": ("* s)", "* s_prev)", "d_c"),
    "C8": ("d_s * s_prev", "d_s * s", "d_decay"),
    "C9": ("* decay ", "", "d_rates"),
    "C10": (" + d_s_b * x", "", "d_delta"),
    "C11": (" * sigmoid(u[t])", "", "d_u"),
    "C12": ("delta * x", "x", "d_b"),
    "C13": (" + w * d_y[t]", "", "d_x"),
    "C14": ("+=", "=", "d_w"),
    "C15": (" * rates", "", "d_a"),
}


@pytest.mark.slow
@pytest.mark.parametrize("equation", first(5, CHANGES))
def test_a_change_of_an_equation_is_named(equation, changed):
    old, new, name = CHANGES[equation]
    report = changed("selective_scan", equation, old, new)
    assert [fault.name for fault in report.faults] == [name], report


def test_it_agrees_with_autograd_at_all_sizes():
    report = check_backward(
        selective_scan.forward,
        selective_scan.backward,
        selective_scan.autograd,
        selective_scan.INPUTS,
        axes=selective_scan.AXES,
    )
    assert report.agrees, report
    assert len(report.as_run) == 15


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
