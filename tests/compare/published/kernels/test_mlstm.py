from functools import partial

import numpy as np
import pytest
from tiers import first

from compare import check_backward
from compare.published.kernels import mlstm

CHANGES = {
    "M1": ("logaddexp(0, -f)", "logaddexp(0, f)", "a"),
    "M2": (" - a[:, None, :]", "", "l"),
    "M4": (" - m[:, :, None]", "", "w"),
    "M5": (" / np.sqrt(D)", " / D", "s"),
    "M6": ("w * s", "w + s", "c"),
    "M7": ("c.sum(axis=2)", "c.sum(axis=1)", "r"),
    "M8": ("np.exp(-m)", "1", "n"),
    "M9": (" / n[:, :, None]", "", "h"),
    "M10": ("d_h / n", "d_h", "d_v"),
    "M11": ("-(d_h", "(d_h", "d_n"),
    "M12": ("np.sign(r) * ", "", "d_r"),
    "M13": (" + d_r[:, :, None]", "", "d_c"),
    "M14": (" * w", "", "d_s"),
    "M15": (" / np.sqrt(D)", "", "d_q"),
    "M16": ("d_s.swapaxes(1, 2)", "d_s", "d_k"),
    "M17": ("d_c * c", "d_c * w", "d_l"),
    "M18": ("axis=1", "axis=2", "d_i"),
    "M19": ("d_l.sum(axis=2) - ", "-", "d_a"),
    "M20": ("sigmoid(-f)", "sigmoid(f)", "d_f"),
}


@pytest.mark.parametrize("equation", first(6, CHANGES))
@pytest.mark.slow
def test_a_change_of_an_equation_is_named(equation, changed):
    old, new, name = CHANGES[equation]
    report = changed("mlstm", equation, old, new)
    assert [fault.name for fault in report.faults] == [name], report


@pytest.mark.slow
def test_equation_m3(changed):
    """No gradient depends on m, so another m is a misplaced probe and no wrong equation."""
    report = changed("mlstm", "M3", "l.max(axis=2)", "l[:, :, 0]")
    assert report.kinds[0] == "probe misplaced"
    assert report.misplaced[0].name == "m"
    assert report.gradients_right


def check(**options):
    backward = partial(mlstm.backward, **options)
    return check_backward(mlstm.forward, backward, mlstm.autograd, mlstm.INPUTS, axes="B")


def test_it_agrees_with_autograd_at_all_sizes():
    report = check()
    assert report.agrees, report
    assert len(report.sizes) == len(mlstm.INPUTS) + 3
    assert len(report.as_run) == 21


@pytest.mark.slow
def test_of_the_published_backward_pass_one_equation_is_wrong():
    report = check(normaliser=False)
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
