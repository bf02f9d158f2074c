"""Each kernel agrees with autograd, and a change of one of its equations is named."""

import pytest
from tiers import first

from compare.published.kernels.findings import KERNELS, check

#: For each kernel, by equation: what is changed on its line, and what is then found wrong.
CHANGES = {
    "attention": {
        "S1": (" / np.sqrt(D)", " / D", "s"),
        "S2": ("e.sum(axis=2", "e.sum(axis=1", "p"),
        "S3": ("p @ v", "p @ v * 2", "y"),
        "S4": ("p.swapaxes(1, 2) @ d_y", "p.swapaxes(1, 2) @ y", "d_v"),
        "S5": ("d_y @", "y @", "d_p"),
        "S6": ("d_y * y", "d_y", "d_s"),
        "S7": ("d_p - delta", "d_p", "d_s"),
        "S8": ("np.sqrt(D)", "D", "d_q"),
        "S9": (" @ q", " @ q[:, ::-1]", "d_k"),
    },
    "layer_norm": {
        "N1": ("x.mean(axis=-1", "x.mean(axis=0", "mu"),
        "N2": ("x - mu", "x + mu", "u"),
        "N3": (" + epsilon", " + 0.1", "r"),
        "N4": ("u * r", "u", "x_hat"),
        "N5": (" + bias", "", "output"),
        "N6": ("weight * d_y", "d_y", "d_x_hat"),
        "N7": ("d_x_hat * u", "d_x_hat * x_hat", "d_r"),
        "N8": ("r**3", "r", "d_u"),
        "N9": ("-d_u", "d_u", "d_mu"),
        "N10": ("d_mu / D", "d_mu", "d_x"),
        "N11": ("d_y * x_hat", "d_y * u", "d_weight"),
        "N12": ("axis=rows", "axis=rows[:-1]", "d_bias"),
    },
    "mlstm": {
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
    },
    "selective_scan": {
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
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel, equation", [case for kernel, own in CHANGES.items() for case in first(6, [(kernel, one) for one in own])]
)
def test_a_change_of_an_equation_is_named(kernel, equation, changed):
    old, new, name = CHANGES[kernel][equation]
    report = changed(kernel, equation, old, new)
    assert [fault.name for fault in report.faults] == [name], report


@pytest.mark.slow
def test_equation_m3(changed):
    """No gradient depends on m, so another m is a misplaced probe and no wrong equation."""
    report = changed("mlstm", "M3", "l.max(axis=2)", "l[:, :, 0]")
    assert report.kinds[0] == "probe misplaced"
    assert report.misplaced[0].name == "m"
    assert report.gradients_right


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel, compared", [("attention", 9), ("layer_norm", 12), ("mlstm", 21), ("selective_scan", 15)]
)
def test_it_agrees_with_autograd_at_all_sizes(kernel, compared):
    report = check(KERNELS[kernel], kernel)
    assert report.agrees, report
    assert len(report.sizes) >= len(KERNELS[kernel].INPUTS)
    assert len(report.as_run) == compared
