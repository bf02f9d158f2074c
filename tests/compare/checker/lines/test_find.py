"""From unmodified code: the wrong line, and the line that is right."""

import numpy as np
import pytest
import torch
from edits import edited
from lines_programs import CLOSURES, ELMAN, NORM, SCAN, elman, written
from tiers import rarely

from compare import check_backward, check_function
from compare.checker.derivations.pair import Pair
from compare.checker.lines.find import wrong_lines
from compare.checker.lines.program import Program
from compare.checker.trials import Trials


def norm(x, scale, shift):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], scale, shift)


PROGRAMS = {
    "elman": (
        ELMAN,
        elman,
        [{"x": (4, 3, 2), "h_0": (3, 5)}, {"x": (3, 2, 2), "h_0": (2, 5)}],
        {"W": (2, 5), "U": (5, 5), "b": (5,)},
    ),
    "closures": (
        CLOSURES,
        lambda x, w, v: torch.tanh(x @ w) * torch.tanh(x @ v),
        [{"x": (B, 3), "w": (3, H), "v": (3, H)} for B, H in ((4, 5), (2, 7))],
        None,
    ),
    "norm": (NORM, norm, [{"x": (B, C), "scale": (C,), "shift": (C,)} for B, C in ((5, 4), (3, 6))], None),
}


def found(program, tmp_path, *edits):
    """The wrong lines of a program with texts replaced, and the lines of the right program that were changed."""
    text, reference, inputs, parameters = PROGRAMS[program]
    wrong = edited(text, *edits)
    module = written(wrong, tmp_path)
    trials = Trials(reference, inputs, parameters, None, "", 0)
    result = wrong_lines(Pair(module.forward, module.backward, trials.nested), [*trials("float64")], seconds=60)
    changed = [k for k, (a, b) in enumerate(zip(text.splitlines(), wrong.splitlines()), 1) if a != b]
    return result, changed, text.splitlines()


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("(1 - h**2)", "(1 - h)", "in the place of"),
        *rarely(
            ("d_hs[t] + carry", "d_hs[t]", "the term carry is missing"),
            ("* (1 - h**2)", "", "the factor (1 - h²) is missing"),
            ('["U"] += before', '["U"] += h', "h in the place of before"),
            ('["b"] += d_a', '["b"] = d_a', "= in the place of +="),
            ("d_a.sum(axis=0)", "d_a.mean(axis=0)", "in the place of"),
            ('d_a @ p["U"].T', 'd_a @ p["U"]', "transposed"),
            ("d_x[t] = d_a", "d_x[t] = d_h", "d_h in the place of d_a"),
            ("before.T @ d_a", "before.T @ d_a / len(x)", "divided by len(x) where it should not be"),
            ("x.T @ d_a", "-x.T @ d_a", "the sign is wrong"),
            ("+ h @ p", "- h @ p", "in the place of"),
            ("tape.append((x[t], before, h))", "tape.append((x[t], h, h))", ""),
            mark=pytest.mark.slow,
        ),
    ],
)
def test_a_wrong_line_and_the_right_one(old, new, says, tmp_path):
    result, changed, right = found("elman", tmp_path, (old, new))
    (wrong,) = result
    assert len(wrong.lines) <= 2
    (change,) = [change for change in wrong.changes if change.line == changed[0]]
    assert change.repair == right[changed[0] - 1].strip()
    assert says in change.words


@pytest.mark.slow
@pytest.mark.parametrize("other", [('["U"] += before', '["U"] += h'), ('d_a @ p["U"].T', 'd_a @ p["U"]')])
def test_two_faults_on_one_path_are_mended_one_after_the_other(other, tmp_path):
    result, changed, right = found("elman", tmp_path, ("(1 - h**2)", "h**2"), other)
    assert sorted(line for wrong in result for line in wrong.lines) == changed
    assert {change.repair for wrong in result for change in wrong.changes} == {right[k - 1].strip() for k in changed}


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("d_n = d_y * scale", "d_n = d_y"),
        *rarely(
            (" - d_n.mean(axis=-1, keepdims=True)", ""),
            ("(d_y * self.n).sum(axis=0)", "(d_y * self.inverse).sum(axis=0)"),
            ("- self.n * (d_n * self.n).mean", "- self.n * (d_n * self.n).sum"),
            ("d_n - d_n.mean(axis=-1, keepdims=True) - self.n", "d_n + d_n.mean(axis=-1, keepdims=True) + self.n"),
            ("(centred**2).mean", "(centred**2).sum"),
            ("1 / np.sqrt", "np.sqrt"),
        ),
    ],
)
def test_state_held_by_an_object(old, new, tmp_path):
    result, changed, _ = found("norm", tmp_path, (old, new))
    (wrong,) = result
    assert any(change.span[0] <= changed[0] <= change.span[2] for change in wrong.changes)
    assert all(change.repair for change in wrong.changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new", [("back_gate(d * h)", "back_gate(d * b)"), ("back_b(back_gate", "back_a(back_gate")]
)
def test_what_a_closure_could_name_is_an_operand_though_the_wrong_line_names_it_nowhere(old, new, tmp_path):
    (wrong,), changed, right = found("closures", tmp_path, (old, new))
    assert right[changed[0] - 1].strip() in {change.repair for change in wrong.changes if change.line == changed[0]}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_said_of_a_right_program(program, tmp_path):
    result, _, _ = found(program, tmp_path)
    assert result == []


@pytest.mark.exhaustive
def test_what_no_small_edit_mends_is_not_mended(tmp_path):
    result, _, _ = found("elman", tmp_path, ('d_a @ p["U"].T', 'np.cos(d_a)[:, ::-1] @ np.exp(p["U"])[::-1].T - 0.3'))
    assert not any(change.repair for wrong in result for change in wrong.changes)


@pytest.mark.slow
def test_the_program_is_afterwards_as_it_was(tmp_path):
    text, reference, inputs, parameters = PROGRAMS["elman"]
    module = written(text.replace("(1 - h**2)", "(1 - h)"), tmp_path)
    before = module.forward.__code__, module.backward.__code__, dict(vars(module))
    trials = Trials(reference, inputs, parameters, None, "", 0)
    wrong_lines(Pair(module.forward, module.backward, trials.nested), [*trials("float64")], seconds=60)
    assert (module.forward.__code__, module.backward.__code__, dict(vars(module))) == before
    assert module.np is np


def scan(x, w):
    h, hs = torch.zeros_like(x[0]), []
    for x_t in x:
        h = torch.tanh(x_t + h * w)
        hs.append(h)
    return torch.stack(hs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new",
    [
        ("hs[t + 1] ** 2", "hs[t] ** 2"),
        *rarely(
            ("d_w += (d_z", "d_w = (d_z"),
            ("d_hs[t] + d_h)", "d_hs[t])"),
            ("- 1, -1, -1)", "- 1, 0, -1)"),
        ),
    ],
)
def test_a_torch_function(old, new, tmp_path):
    right = SCAN.replace("d_h = d_z * w", "d_h = d_x[t] * w")  # it goes on writing into what it has used
    module = written(edited(right, (old, new)), tmp_path)
    x, w = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    (fault,) = check_function(module.Scan, scan, x, w).faults
    assert fault.repair == right.splitlines()[fault.line - 1].strip() != fault.code


@pytest.mark.slow
def test_only_the_users_own_files_are_edited(tmp_path):
    module = written(SCAN, tmp_path)
    program = Program(module.Scan, scan, torch.nn.functional.softplus, np.linalg.inv, check_function)
    assert {place.source.file for place in program.functions.values()} == {module.__file__, __file__}


#: A mean of squares, whose gradient is not divided by the number of elements.
MEAN_OF_SQUARES = """\
import torch

class MeanOfSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * x).mean()

    @staticmethod
    def backward(ctx, d_y):
        (x,) = ctx.saved_tensors
        return 2 * d_y * x
"""


@pytest.mark.slow
def test_a_division_by_the_number_of_elements_of_a_tensor_is_found(tmp_path):
    module = written(MEAN_OF_SQUARES, tmp_path)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3)))
    (fault,) = check_function(module.MeanOfSquares, lambda x: (x * x).mean(), x).faults
    assert fault.hint == "the division by the number of elements of x is missing"
    assert fault.repair == "return 2 * d_y * x / x.numel()"


#: A polynomial, whose slope has the wrong coefficients: the first of them is a value of a right run, too.
POLYNOMIAL = """\
import torch

class Polynomial(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a):
        y = torch.zeros_like(x)
        for k in reversed(range(len(a))):
            y = y * x + a[k]
        ctx.save_for_backward(x, a)
        return y * x.abs()

    @staticmethod
    def backward(ctx, d_y):
        x, a = ctx.saved_tensors
        y = sum(c * x**k for k, c in enumerate(a))
        d_x = d_y * y * torch.sign(x)
        slope, power = torch.zeros_like(x), torch.ones_like(x)
        d_a = torch.zeros_like(a)
        for k in range(len(a)):
            d_a[k] = (d_y * x.abs() * power).sum(0)
            if k + 1 < len(a):
                slope = slope + (k + 1) * a[k] * power
            power = power * x
        return d_x + d_y * x.abs() * slope, d_a
"""


@pytest.mark.slow
def test_what_computes_a_value_of_a_right_run_once_need_not_be_right(tmp_path):
    module = written(POLYNOMIAL, tmp_path)
    x, a = (torch.from_numpy(np.random.default_rng(0).normal(size=size)) for size in ((5, 3), (4, 3)))
    found = check_function(module.Polynomial, lambda x, a: sum(c * x**k for k, c in enumerate(a)) * x.abs(), x, a)
    assert [fault.repair for fault in found.faults] == ["slope = slope + (k + 1) * a[k + 1] * power"]


@pytest.mark.slow
def test_of_several_statements_on_a_line_the_wrong_one_is_shown(tmp_path):
    text = "import numpy as np\n\ndef forward(x):\n    return np.tanh(x), np.tanh(x)\n\n"
    module = written(text + "def backward(y, d_y):\n    d = d_y * (1 - y); return d  # both\n", tmp_path)
    trials = Trials(torch.tanh, {"x": (4, 3)}, None, None, "", 0)
    (wrong,) = wrong_lines(Pair(module.forward, module.backward, None), [*trials("float64")], seconds=60)
    pairs = {(change.code, change.repair) for change in wrong.changes}
    assert ("d = d_y * (1 - y)", "d = d_y * (1 - y**2)") in pairs


#: Functions of a closure, and a scale that has the value of a half.
SCALED = """\
import numpy as np

def made(k):
    def forward(x, w):
        scale = 1 / np.sqrt(x.shape[-1])
        return np.tanh(x @ w * scale), (x, w, scale)

    def backward(tape, d_y):
        x, w, scale = tape
        d = d_y * (1 - np.tanh(x @ w * scale) ** 2) * k
        return d @ w.T * scale, x.T @ d * scale
    return forward, backward
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "k, edit, says",
    [(2.0, ("", ""), "the factor k is too much"), (1.0, ("x.T @ d * scale", "x.T @ d"), "the factor scale is missing")],
)
def test_a_factor_with_a_name_comes_before_a_number(k, edit, says, tmp_path):
    """An edit may also leave a variable of the closure without a use."""
    forward, backward = written(SCALED.replace(*edit), tmp_path).made(k)
    trials = Trials(lambda x, w: torch.tanh(x @ w / 2), {"x": (3, 4), "w": (4, 5)}, None, None, "", 0)
    (wrong,) = wrong_lines(Pair(forward, backward, None), [*trials("float64")], seconds=60)
    assert says in {change.words for change in wrong.changes}


#: A root mean square by the number of features, whose gradient is not divided by it.
BY_FEATURES = """\
def forward(x):
    d = x.shape[-1]
    r = ((x**2).sum(-1) / d + 1e-6) ** -0.5
    return x * r[:, None], (x, r)

def backward(tape, dn):
    x, r = tape
    d = x.shape[-1]
    dr = (dn * x).sum(-1)
    dms = -0.5 * r**3 * dr
    return dn * r[:, None] + 2 * dms[:, None] * x
"""


@pytest.mark.slow
def test_a_number_is_no_size_by_chance(tmp_path):
    """With four features 0.5**3 in the place of 0.5 makes everything right, too."""
    module = written(BY_FEATURES, tmp_path)
    trials = Trials(lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt(), {"x": (3, 4)}, None, None, "", 0)
    (wrong,) = wrong_lines(Pair(module.forward, module.backward, None), [*trials("float64")], seconds=60)
    assert {change.words for change in wrong.changes} == {"the division by d is missing"}


#: A function that computes in single precision whatever it is given.
CASTING = """\
import torch

class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return (x.float() ** 2 * w.float()).to(torch.float32)

    @staticmethod
    def backward(ctx, d_y):
        x, w = (one.float() for one in ctx.saved_tensors)
        return d_y * x * w, (d_y * x**2).sum(0)
"""


@pytest.mark.slow
def test_a_cast_to_a_lower_precision_is_no_mistake(tmp_path):
    module = written(CASTING, tmp_path)
    x, w = torch.randn(4, 3), torch.randn(3)
    (fault,) = check_function(module.Squared, lambda x, w: x**2 * w, x, w).faults
    assert fault.line == 12
    assert fault.repair.startswith("return 2 * ")


@pytest.mark.slow
def test_a_line_of_code_that_takes_all_rows_only(tmp_path):
    module = written(
        "import numpy as np\n\n"
        "def forward(x):\n    y = np.tanh(x.reshape(30, 40, 60)).reshape(1200, 60)\n    return y, y\n\n"
        "def backward(y, d_y):\n    return d_y * (1 - y)\n",
        tmp_path,
    )
    (wrong,) = check_backward(module.forward, module.backward, torch.tanh, {"x": (1200, 60)}).wrong_lines
    assert [change.repair for change in wrong.changes] == ["return d_y * (1 - y**2)"]
