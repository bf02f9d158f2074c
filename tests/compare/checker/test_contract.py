"""What autograd may ask of a Function whose gradients are right: strides, order, parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from functions import function_of
from tiers import rarely
from torch.autograd import gradcheck

from compare import check_function, checker

W = torch.nn.Parameter(torch.tensor(1.25, dtype=torch.float64))


def memory(tensor):
    """Return what a kernel reads that takes memory for contiguous."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    flat = tensor.as_strided((count,), (1,), 0)
    return flat[(torch.arange(tensor.numel()) + tensor.storage_offset()) % count].view(tensor.shape)


def reference(a, b):
    return a * a * b, a + torch.sin(b)


class Right(torch.autograd.Function):
    """y = a² b, z = a + sin(b)"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * a * b, a + torch.sin(b)

    @staticmethod
    def backward(ctx, d_y, d_z):
        a, b = ctx.saved_tensors
        return 2 * a * b * d_y + d_z, a * a * d_y + torch.cos(b) * d_z


class IncomingAsContiguous(Right):
    @staticmethod
    def backward(ctx, d_y, d_z):
        return Right.backward(ctx, memory(d_y), memory(d_z))


class InputsAsContiguous(Right):
    @staticmethod
    def forward(ctx, a, b):
        return Right.forward(ctx, memory(a), memory(b))


class WritesIncoming(Right):
    @staticmethod
    def backward(ctx, d_y, d_z):
        a, b = ctx.saved_tensors
        return 2 * a * b * d_y + d_z, d_y.mul_(a * a) + torch.cos(b) * d_z


class WritesSaved(Right):
    @staticmethod
    def forward(ctx, a, b):
        ctx.slope = 2 * a * b
        return Right.forward(ctx, a, b)

    @staticmethod
    def backward(ctx, d_y, d_z):
        a, b = ctx.saved_tensors
        return ctx.slope.mul_(d_y) + d_z, a * a * d_y + torch.cos(b) * d_z


class KeepsOnTheClass(Right):
    @staticmethod
    def forward(ctx, a, b):
        KeepsOnTheClass.b = b
        return Right.forward(ctx, a, b)

    @staticmethod
    def backward(ctx, d_y, d_z):
        (a, _), b = ctx.saved_tensors, KeepsOnTheClass.b
        return 2 * a * b * d_y + d_z, a * a * d_y + torch.cos(b) * d_z


class BothOrNone(Right):
    @staticmethod
    def backward(ctx, d_y, d_z):
        return Right.backward(ctx, d_y, d_z) if ctx.needs_input_grad[0] else (None, None)


class BothOutputs(Right):
    @staticmethod
    def forward(ctx, a, b):
        ctx.set_materialize_grads(False)
        return Right.forward(ctx, a, b)


class NeedsRows(Right):
    @staticmethod
    def forward(ctx, a, b):
        a[0].sum()
        return Right.forward(ctx, a, b)


class Refuses(Right):
    @staticmethod
    def backward(ctx, d_y, d_z):
        if not (d_y.is_contiguous() and d_z.is_contiguous()):
            raise RuntimeError("expected contiguous gradients")
        return Right.backward(ctx, memory(d_y), memory(d_z))


class Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a * a * W

    @staticmethod
    def backward(ctx, d_y):
        (a,) = ctx.saved_tensors
        return 2 * a * W.detach() * d_y


class Wrong(Right):
    @staticmethod
    def backward(ctx, d_y, d_z):
        d_a, d_b = Right.backward(ctx, d_y, d_z)
        return d_a, 1.01 * d_b


#: The rows of the table in the guide, and a Function that is wrong in this respect alone.
ROWS = {
    "a wrong gradient": Wrong,
    "incoming gradient with other strides": IncomingAsContiguous,
    "incoming gradient expanded, as `.sum()` gives it": IncomingAsContiguous,
    "incoming gradient written to": WritesIncoming,
    "inputs with other strides, or expanded": InputsAsContiguous,
    "a second backward pass on one graph": WritesSaved,
    "another forward pass before the backward pass": KeepsOnTheClass,
    "one input alone that requires a gradient": BothOrNone,
    "one output alone that is used": BothOutputs,
    "a tensor that is no argument": Hidden,
    "no rows": NeedsRows,
}


def table():
    """Return the cells of the guide's table by row: gradcheck, opcheck, JAX check_grads, this check."""
    text = (Path(checker.__file__).parent / "README.md").read_text().partition("| | gradcheck |")[2]
    rows = [line.strip("| ").split("|") for line in text.partition("\n\n")[0].splitlines()[2:]]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


def inputs(dtype=torch.float64):
    rng = torch.Generator().manual_seed(4)
    return [torch.randn(3, 4, generator=rng, dtype=torch.float64).to(dtype) for _ in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_function_that_meets_all_demands_agrees(dtype):
    report = check_function(Right, reference, *inputs(dtype))
    assert report.agrees, str(report)
    assert report.notes == ["Second derivatives are claimed, and not checked: order=2 checks them"]


@pytest.mark.parametrize(
    "broken, kinds",
    [
        (IncomingAsContiguous, ["incoming strides", "expanded incoming"]),
        (InputsAsContiguous, ["input strides", "expanded input"]),
        (WritesIncoming, ["incoming written"]),
        (WritesSaved, ["second backward"]),
        (KeepsOnTheClass, ["another forward"]),
        (BothOrNone, ["one input"]),
        (BothOutputs, ["one output"]),
        (NeedsRows, ["no rows"]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, *rarely(torch.bfloat16, mark=pytest.mark.slow)])
def test_each_part_of_the_contract_has_its_kind_its_call_and_its_remedy(broken, kinds, dtype):
    report = check_function(broken, reference, *inputs(dtype))
    assert [kind for kind in report.kinds if kind not in kinds] == []
    assert kinds[0] in report.kinds
    assert report.outcome == "disagree"
    assert "the gradients are right, but" in str(report)
    for found, data in zip(report.broken, report.as_json()["broken"]):
        assert all(part in str(report) for part in (found.title, found.call, found.fix))
        assert data["kind"] == found.kind


def test_a_clear_refusal_is_right_and_noted():
    report = check_function(Refuses, reference, *inputs())
    assert report.agrees, str(report)
    assert "Refuses an incoming gradient with other strides, with a clear error" in str(report)


def test_the_gradient_of_a_tensor_that_is_no_argument_is_missed():
    report = check_function(Hidden, lambda a: a * a * W, inputs()[0])
    assert report.kinds == ["hidden leaf"]
    assert check_function(lambda a: a * a * W, lambda a: a * a * W, inputs()[0]).agrees


def test_inputs_reach_the_function_in_the_strides_that_they_have():
    seen = []

    def function(x):
        seen.append((x.stride(), x.storage_offset()))
        return Right.apply(x, x.detach())[0]

    x = torch.randn(6, 8, dtype=torch.float64)[1::2, 3::2].T
    check_function(function, lambda x: x * x * x.detach(), x)
    assert ((2, 16), 11) in seen
    column = torch.randn(3, 1, dtype=torch.float64).expand(3, 5)
    check_function(function, lambda x: x * x * x.detach(), column)
    assert ((1, 0), 0) in seen


@pytest.mark.slow
def test_opcheck_tests_a_custom_operator():
    @torch.library.custom_op("verdicts::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    double.register_autograd(lambda ctx, d_y: 2 * d_y)
    x = torch.randn(3, 4, dtype=torch.float64)
    double.register_fake(lambda x: torch.empty_like(x))
    assert check_function(double, lambda x: 2 * x, x).agrees
    double.register_fake(lambda x: x.new_empty(2))
    report = check_function(double, lambda x: 2 * x, x)
    assert report.kinds == ["custom operator"]
    assert "test_faketensor" in str(report)


def test_the_table_in_the_guide_has_a_row_for_each():
    assert [*table()] == [*ROWS]


@pytest.mark.slow
@pytest.mark.parametrize("row, function", ROWS.items())
def test_what_gradcheck_and_this_check_see(row, function):
    arguments = inputs()[: 1 if function is Hidden else 2]
    try:
        passes = gradcheck(function.apply, [a.requires_grad_() for a in arguments], raise_exception=False)
    except TypeError:  # from the function, where an incoming gradient is None
        passes = False
    report = check_function(function, (lambda a: a * a * W) if function is Hidden else reference, *arguments)
    seen, _, _, ours = table()[row]
    assert ("no" if passes else "yes", "no" if report.agrees else "yes") == (seen, ours.partition(",")[0])


class Nowhere:
    """A context that keeps nothing."""

    def save_for_backward(self, *tensors):
        pass

    def set_materialize_grads(self, value):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row, cells in table().items() if cells[1]])
def test_what_opcheck_sees(row):
    function = ROWS[row]

    def forward(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return function.forward(Nowhere(), a, b)

    def keep(ctx, inputs, output):
        function.forward(ctx, *inputs)

    operator = torch.library.custom_op(f"verdicts::{function.__name__.lower()}", forward, mutates_args=())
    operator.register_fake(lambda a, b: (torch.empty_like(a), torch.empty_like(a)))
    operator.register_autograd(function.backward, setup_context=keep)
    arguments = tuple(a.requires_grad_() for a in inputs())
    found = {*torch.library.opcheck(operator, arguments, raise_exception=False).values()}
    assert table()[row][1] == ("no" if found == {"SUCCESS"} else "yes")


@pytest.mark.slow
def test_what_check_grads_of_jax_sees():
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    def passes(factor, x):
        function = jax.custom_vjp(lambda x: x * x)
        function.defvjp(lambda x: (x * x, x), lambda x, d_y: (factor * 2 * x * d_y,))
        try:
            check_grads(function, (x,), order=1, modes=["rev"])
        except AssertionError:
            return "no"
        return "yes"

    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert passes(1, x) == "yes"
    assert (passes(1.2, x), table()["a wrong gradient"][2]) == ("no", "yes")
    assert (passes(1.2, x[:0]), table()["no rows"][2]) == ("yes", "no")


@pytest.mark.parametrize(
    "forward, gradient",
    [
        (torch.linalg.inv, lambda a, d_y: -(torch.linalg.inv(a).mT @ d_y @ torch.linalg.inv(a).mT)),
        (torch.logdet, lambda a, d_y: d_y * torch.linalg.inv(a).mT),
    ],
)
def test_values_that_no_matrix_may_have_break_nothing(forward, gradient):
    """Expanded from one row, a matrix is singular; in another order of its elements, its logarithm is not finite."""
    a = np.random.default_rng(4).normal(size=(4, 4))
    report = check_function(function_of(forward, gradient), forward, torch.from_numpy(a @ a.T + 4 * np.eye(4)))
    assert report.agrees, str(report)
