"""Functions in C as llm.c has them: a right one is accepted, of a wrong one the line or the gradient is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from edits import edited
from extras import needs_c

from compare import c_function, check_backward, probe

PROGRAM = Path(__file__).parent / "programs" / "rms_norm.c"
SHAPES = "float* dinp[B, T, C], float* dweight[C], const float* dout[B, T, C], const float* inp[B, T, C]"
FORWARD = (
    "float* out[B, T, C], float* rstd[B, T], const float* inp[B, T, C], const float* weight[C], int B, int T, int C"
)
BACKWARD = f"{SHAPES}, const float* weight[C], const float* rstd[B, T], int B, int T, int C"
INPUTS = [{"inp": shape, "weight": shape[-1:]} for shape in ((2, 3, 5), (1, 1, 4))]

pytestmark = needs_c


def reference(inp, weight):
    return inp * probe("rstd", (inp.pow(2).mean(-1) + 0.01).rsqrt())[..., None] * weight


def checked(file, real="float"):
    def typed(arguments):
        return arguments.replace("float", real)

    first = c_function(file, "rms_norm_forward", typed(FORWARD), writes="out rstd")
    second = c_function(file, "rms_norm_backward", typed(BACKWARD), adds="dinp dweight")

    def forward(inp, weight):
        out, rstd = first(inp, weight)
        return out, (inp, weight, rstd)

    return check_backward(forward, lambda tape, dout: second(dout, *tape), reference, INPUTS)


@pytest.fixture
def changed(tmp_path):
    def made(*changes):
        (tmp_path / "rms_norm.c").write_text(edited(PROGRAM.read_text(), *changes))
        return tmp_path / "rms_norm.c"

    return made


def test_a_right_layer_is_accepted_in_its_own_precision():
    report = checked(PROGRAM)
    assert report.agrees and report.dtype == "float32", report
    assert {one.name for one in report.as_run} == {"output", "rstd", "d_rstd", "d_inp", "d_weight"}


@pytest.mark.slow
def test_in_double_precision_it_is_held_to_twelve_digits(changed, monkeypatch):
    monkeypatch.setenv("CC", "cc -Dreal=double")
    report = checked(changed(), "double")
    assert report.agrees and report.dtype == "float64" and report.tolerance == 1e-12


#: What is replaced, by what, and the quantity that is wrong.
WRONG = [
    ("1 / sqrt(total / C + (real)0.01)", "1 / sqrt(total / C)", "rstd"),
    ("total / C", "total / (C - 1)", "rstd"),
    ("d_rstd[row] += d[i] * weight[i] * x[i]", "d_rstd[row] += d[i] * x[i]", "d_rstd"),
    ("d_rstd[row] += d[i] * weight[i] * x[i]", "d_rstd[row] = d[i] * weight[i] * x[i]", "d_rstd"),
    ("dweight[i] += d[i] * x[i] * rstd[row]", "dweight[i] += d[i] * x[i]", "d_weight"),
    ("dweight[i] += d", "dweight[i] = d", "d_weight"),
    ("* r * r * r * x[i] / C", "* r * r * r * x[i]", "d_inp"),
    ("weight[i] * r - d_rstd", "weight[i] * r + d_rstd", "d_inp"),
]


@pytest.mark.slow
@pytest.mark.parametrize("old, new, name", WRONG)
def test_of_a_wrong_layer_the_quantity_is_named_and_the_line_of_its_probe(changed, old, new, name):
    file = changed((old, new))
    report = checked(file)
    assert report.outcome == "disagree" and report.titles == [name]
    if name.endswith("rstd"):
        (fault,) = report.faults
        assert Path(fault.file) == file and f'PROBE("{name}"' in fault.code
        assert file.read_text().splitlines()[fault.line - 1].strip() == fault.code


@pytest.mark.slow
def test_what_is_never_written_is_not_zero_by_luck(changed):
    report = checked(changed(("i < B * T * C", "i < B * T * C - 1")))
    assert report.titles == ["output"] and "not finite" in str(report)


@pytest.mark.parametrize("place", ["dinp[B * T * C] = 1", "dweight[-1] = 0"])
def test_a_write_outside_an_array_is_named(changed, place):
    file = changed(('    PROBE("d_rstd"', f'    {place};\n    PROBE("d_rstd"'))
    with pytest.raises(ValueError, match=rf"rms_norm_backward: {place[:4]}\w*: wrote outside its \d+ numbers"):
        checked(file)


@pytest.mark.slow
def test_an_argument_that_is_written_to_is_said(changed):
    file = changed(('    PROBE("rstd"', '    ((real *)inp)[0] = 0;\n    PROBE("rstd"'))
    assert checked(file).written == ("inp",)


def test_a_name_that_the_reference_lacks_has_its_line(changed):
    with pytest.raises(ValueError, match=r"rms_norm\.c:18: probe: expected one of .* got 'rsdt'; did you mean 'rstd'"):
        checked(changed(('PROBE("rstd"', 'PROBE("rsdt"')))


def test_sizes_come_from_shapes_and_what_is_not_known_is_an_argument(tmp_path):
    code = """void ramp(double *out, const int *index, int n, int m, double scale, long k) {
        for (int i = 0; i < n * m; i++) out[i] = scale * index[i % n] + k;
    }"""
    (tmp_path / "ramp.c").write_text(code)
    arguments = "double* out[n * m], const int* index[n], int n, int m, double scale, long k"
    ramp = c_function(str(tmp_path / "ramp.c"), "ramp", arguments, writes="out")
    np.testing.assert_array_equal(ramp(np.array([1, 2, 3]), 2, 0.5, 10), [10.5, 11, 11.5] * 2)
    for given, words in (
        ((np.ones(3), 2, 0.5, 10), "ramp: index: expected int32, got float64"),
        ((np.ones((3, 1), int), 2, 0.5, 10), r"ramp: index: expected axes \[n\], got shape \(3, 1\)"),
        ((np.ones(3, int), 2, 0.5), "ramp: expected index, m, scale, k, got 3 arguments"),
    ):
        with pytest.raises(ValueError, match=words):
            ramp(*given)
    two = c_function(tmp_path / "ramp.c", "ramp", arguments.replace("int m", "const double* m[n]"), writes="out")
    with pytest.raises(ValueError, match=r"ramp: m: expected \(3,\) for \[n\], got \(2,\)"):
        two(np.ones(3, int), np.ones(2), 1.0, 1)


@pytest.mark.parametrize(
    "file, name, arguments, words",
    [
        ("nowhere.so", "f", "float* x[n]", "library: expected a shared library or a C file, got .*nowhere.so"),
        ("bad.so", "f", "float* x[n]", "library: expected a shared library that can be loaded, got .*bad.so"),
        ("bad.c", "f", "float* x[n]", "library: expected a C file that compiles, got .*bad.c: .*bad.c:1.*error"),
        ("good.c", "g", "float* x[n]", "name: expected a function that .*good.c has, got 'g'"),
        ("good.c", "f", "float* x", "f: x: expected an argument float"),
        ("good.c", "f", "quad* x[n]", r"arguments: expected a type, .* got 'quad\* x\[n\]'"),
        ("good.c", "f", "float x[n]", r"arguments: expected a type, .* got 'float x\[n\]'"),
    ],
)
def test_what_cannot_be_called_is_named(tmp_path, file, name, arguments, words):
    (tmp_path / "bad.c").write_text("int f( {")
    (tmp_path / "bad.so").write_text("no library")
    (tmp_path / "good.c").write_text("void f(float *x, int n) {}")
    with pytest.raises(ValueError, match=words):
        c_function(tmp_path / file, name, f"{arguments}, int n", writes="x")


def test_without_a_compiler_the_message_names_it(changed, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ValueError, match=r"library: expected a C compiler, cc, gcc or clang, on the path to compile"):
        c_function(changed(), "rms_norm_forward", FORWARD, writes="out rstd")


def test_an_array_may_lie_in_memory_as_it_likes():
    forward = c_function(PROGRAM, "rms_norm_forward", FORWARD, writes="out rstd")
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    out, rstd = forward(x[:, ::-1], np.ones(4))
    assert out.dtype == np.float32 and rstd.shape == (2, 3)
    np.testing.assert_allclose(out[:, ::-1], reference(torch.tensor(x), 1).numpy(), rtol=1e-5)
