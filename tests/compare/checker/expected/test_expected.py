"""How exact is right: true zeros, several sizes, large values, the derivation's own precision."""

import re

import numpy as np
import pytest
import torch
from derived import write
from zoo.memory import B, D, H, Memory, names

from compare import check_backward, check_file, probe

# Gradients that are zero.


def centred_forward(x, b):
    a = x * x + b
    return np.sin(a - a.mean(axis=0)), a


def centred_backward(a, d_y):
    d = d_y * np.cos(a - a.mean(axis=0))
    d_a = d - d.mean(axis=0)
    return None, d_a.sum(axis=0)


def centred(x, b):
    a = x * x + b
    return torch.sin(a - a.mean(dim=0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_noise_in_a_gradient_that_is_truly_zero_is_no_fault(seed):
    report = check_backward(centred_forward, centred_backward, centred, {"x": (B, H), "b": (H,)}, seed=seed)
    assert report.agrees, str(report)
    assert report.left_out == ("d_x",)


@pytest.mark.slow
def test_a_small_number_where_the_gradient_is_truly_zero_is_a_fault():
    def backward(a, d_y):
        d_x, d_b = centred_backward(a, d_y)
        return d_x, d_b + 1e-9

    report = check_backward(centred_forward, backward, centred, {"x": (B, H), "b": (H,)})
    assert names(report) == ["d_b"]


# Sizes and values.


@pytest.mark.exhaustive
def test_a_carry_that_is_cut_after_eight_steps_shows_where_there_are_more(tmp_path):
    path = write(
        tmp_path / "mine.py",
        "lstm",
        ('probe("d_c_prev", t, d_c * f)', 'probe("d_c_prev", t, d_c * f * (len(tape) - t < 8))'),
    )
    report = check_file(path)
    assert not report.agrees
    assert names(report) == ["d_c_prev"]
    assert [size.label for size in report.sizes if not size.agrees] == ["T = 64, B = 2, D = 3, H = 4"]
    assert re.search("Agrees at T = 6, B = 3, .*Differs at T = 64, B = 2", str(report))


@pytest.mark.exhaustive
def test_a_pre_activation_that_is_clipped_shows_where_values_are_large(tmp_path):
    path = write(tmp_path / "mine.py", "lstm", ('probe("z_i", t, z["i"])', 'probe("z_i", t, np.clip(z["i"], -10, 10))'))
    report = check_file(path)
    assert names(report) == ["z_i"]
    assert [size.label for size in report.sizes if not size.agrees] == ["T = 4, B = 3, D = 2, H = 5, large values"]


@pytest.mark.slow
def test_one_of_several_sizes_may_be_the_only_one_that_differs():
    sizes = [{"x": (t, B, D), "c_0": (B, H)} for t in (3, 1, 7)]
    cut = ('d_z @ p["U"].T, d_c * f', 'd_z @ p["U"].T, d_c * f * (len(tape) - t < 5)', "")

    class Several(Memory):
        inputs = sizes

    report = Several.check(cut)
    assert [size.agrees for size in report.sizes] == [True, True, False, True, True, True]
    assert {(fault.name, fault.steps) for fault in report.faults} == {("d_c", (0, 1)), ("d_c_0", ())}


# Precision.


def in_float32(p, x, c_0):
    p, x, c_0 = {n: a.astype("float32") for n, a in p.items()}, x.astype("float32"), c_0.astype("float32")
    return Memory.forward(p, x, c_0)


def back_in_float32(p, tape, d_hs):
    return Memory.backward({n: a.astype("float32") for n, a in p.items()}, tape, d_hs.astype("float32"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_right_float32_code_passes_as_float32_code(seed):
    report = check_backward(in_float32, back_in_float32, Memory.reference, Memory.inputs, seed=seed, **Memory.options)
    assert report.dtype == "float32"
    assert report.agrees, str(report)
    assert "float32" in str(report)


@pytest.mark.slow
def test_an_error_of_a_hundred_thousandth_in_float32_code_is_a_fault():
    def backward(p, tape, d_hs):
        d_x, d_c, grads = back_in_float32(p, tape, d_hs)
        return d_x, d_c, grads | {"V": grads["V"] * np.float32(1 + 1e-5)}

    report = check_backward(in_float32, backward, Memory.reference, Memory.inputs, **Memory.options)
    assert names(report) == ["V"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 13, 31])
def test_noise_in_a_gradient_that_is_truly_zero_is_no_fault_in_float32_either(seed):
    """These are the draws of the first forty on which the noise was more than twice autograd's."""

    def forward(x, b):
        centred = x + b - (x + b).mean(axis=0)
        r = 1 / np.sqrt((centred * centred).mean(axis=0) + np.float32(1e-5))
        return centred * r, (centred * r, r)

    def backward(tape, d_n):
        n, r = tape
        d_x = r * (d_n - d_n.mean(axis=0) - n * (d_n * n).mean(axis=0))
        return d_x, d_x.sum(axis=0)

    def reference(x, b):
        y = probe("y", x + b)
        centred = y - y.mean(dim=0)
        return centred * (centred * centred).mean(dim=0).add(1e-5).rsqrt()

    def check(backward):
        return check_backward(forward, backward, reference, {"x": (16, 4), "b": (4,)}, dtype="float32", seed=seed)

    assert check(backward).agrees
    assert names(check(lambda tape, d_n: (backward(tape, d_n)[0], d_n.sum(axis=0)))) == ["d_b"]


@pytest.mark.slow
def test_a_step_that_is_zero_up_to_rounding_hides_no_error_at_the_others():
    x = np.array([0.7, 0.2, -1.1], np.float32)

    def forward(x):
        return np.stack([probe("y", (x_t + np.float32(0.1) - np.float32(0.3)) * (1 - 0.1 * (x_t < 0))) for x_t in x]), x

    def reference(x):
        return torch.stack([probe("y", x_t + 0.1 - 0.3) for x_t in x])

    report = check_backward(forward, lambda x, d: d, reference, {"x": x})
    assert report.dtype == "float32"
    assert [(fault.name, fault.steps) for fault in report.faults] == [("y", (2,))]


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_large_values_are_left_out_where_the_reference_overflows(dtype):
    inner = (lambda x: np.exp(np.exp(x))) if dtype == "float64" else np.exp
    slope = np.exp if dtype == "float64" else np.ones_like
    outer = (lambda x: torch.exp(torch.exp(x))) if dtype == "float64" else torch.exp
    report = check_backward(
        lambda x: (inner(x), x), lambda x, d: d * inner(x) * slope(x), outer, {"x": (40,)}, dtype=dtype
    )
    assert report.agrees, str(report)
    assert not any("large" in size.label for size in report.sizes)


def test_one_gradient_in_a_lower_precision_than_the_rest_is_noted():
    def check(d_x_dtype):
        return check_backward(
            lambda x, w: (x * w, (x, w)),
            lambda tape, d: ((d * tape[1]).astype(d_x_dtype), d * tape[0]),
            lambda x, w: x * w,
            {"x": (4, 3), "w": (4, 3)},
        )

    assert "Returned in float32, unlike the rest: d_x" in str(check(np.float32))
    assert "unlike the rest" not in str(check(np.float64))


@pytest.mark.slow
def test_where_torch_approximates_softplus_an_exact_one_agrees():
    """Beyond 20 torch takes x for softplus(x), and large values reach beyond."""

    def forward(x):
        a = probe("a", np.logaddexp(0, x))
        return np.exp(-a) * x, (x, a)

    def backward(tape, d_y):
        x, a = tape
        d_a = probe("d_a", -d_y * np.exp(-a) * x)
        return d_y * np.exp(-a) + d_a / (1 + np.exp(-x))

    def reference(x):
        return torch.exp(-probe("a", torch.nn.functional.softplus(x))) * x

    report = check_backward(forward, backward, reference, {"x": (40, 5)})
    assert report.agrees, str(report)
    assert any("large" in size.label for size in report.sizes)
    worse = check_backward(lambda x: forward(x * (1 + 1e-9)), backward, reference, {"x": (40, 5)})
    assert not worse.agrees


def test_a_gradient_is_wrong_where_all_true_ones_are_zero():
    report = check_backward(lambda x: (np.sign(x), None), lambda tape, d_y: d_y, torch.sign, {"x": (4, 3)})
    assert names(report) == ["d_x"]
    assert report.faults[0].worst.error < 1e6
    assert check_backward(lambda x: (np.sign(x), None), lambda tape, d_y: 1e-17 * d_y, torch.sign, {"x": (4, 3)}).agrees
