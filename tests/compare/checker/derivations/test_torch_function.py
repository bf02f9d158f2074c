"""What a ``torch.autograd.Function`` may do, and what torch would otherwise answer with an error of its own."""

import pytest
import torch
from functions import function_of

from compare import check_function

X, W = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize(
    "gradients, wrong",
    [
        (lambda x, w, d_y: (2 * d_y @ w.T, d_y.T @ x), ["d_x", "d_w"]),  # and all else is still checked
        (lambda x, w, d_y: (d_y @ w.T, (x[:, :, None] * d_y[:, None])), []),  # which torch sums to the right shape
    ],
)
def test_a_gradient_of_a_wrong_shape_is_a_finding_unless_torch_sums_it(gradients, wrong):
    for function in (Function := function_of(torch.matmul, gradients)), Function.apply:
        report = check_function(function, lambda x, w: x @ w, X, W)
        assert [fault.name for fault in report.faults] == wrong and report.agrees is not bool(wrong), str(report)


class Scaled(torch.autograd.Function):
    """x times a factor, which has a default."""

    @staticmethod
    def forward(ctx, x, factor=2.0):
        ctx.factor = factor
        return factor * x

    @staticmethod
    def backward(ctx, d_y):
        return 3 * ctx.factor * d_y, None


class SeparateContext(torch.autograd.Function):
    """The same with a context of its own."""

    @staticmethod
    def forward(x, factor=2.0):
        return factor * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, d_y):
        return 6 * d_y, None


@pytest.mark.parametrize("function", [Scaled, SeparateContext])
@pytest.mark.parametrize("more", [(), (2.0,)])
def test_arguments_are_named_as_in_the_forward_pass_where_some_have_defaults(function, more):
    report = check_function(function, lambda x, factor=2.0: factor * x, X, *more)
    assert [fault.name for fault in report.faults] == ["d_x"]


class DoubledInPlace(torch.autograd.Function):
    """2 x, written into x."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, d_y):
        return 2 * d_y


def test_a_function_may_work_in_place_where_it_says_so():
    report = check_function(DoubledInPlace, lambda x: x.mul_(2), X)
    assert report.agrees, str(report)


def test_a_function_that_writes_into_an_argument_without_saying_so_is_named():
    def function(x):
        y = x * 1
        x.detach().zero_()
        return y

    report = check_function(function, lambda x: x * 1, X)
    assert report.kinds == ["arguments changed"]
    assert report.writes == ["x"]


def test_a_module_that_applies_a_function_is_checked_as_a_function():
    class Layer(torch.nn.Module):
        def forward(self, x):
            return DoubledInPlace.apply(x.clone())

    report = check_function(Layer(), lambda x: 2 * x, X)
    assert report.agrees, str(report)
    assert [one.label for one in report.as_run] == ["output", "d_x"]
    with pytest.raises(ValueError, match=r"function: expected a torch.autograd.Function or a function, got Layer"):
        check_function(Layer, lambda x: 2 * x, X)


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: (2 * x, x), "function: expected output, got Tensor, Tensor"),
        (lambda x: {"y": 2 * x}, "function: expected output, got y"),
    ],
)
def test_what_is_returned_must_be_what_the_reference_returns(function, words):
    with pytest.raises(ValueError, match=words):
        check_function(function, lambda x: 2 * x, X)
