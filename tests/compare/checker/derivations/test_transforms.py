"""Second derivatives, and the rules for forward mode and for batches: right ones agree, wrong ones are named."""

import re

import numpy as np
import pytest
import torch

from compare import check_function, complex_step

B, H = 3, 4
X, W = torch.randn(2, B, H, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def reference(a, b):
    return torch.nn.functional.silu(a) * b


def computed(a, b, d_y):
    s = torch.sigmoid(a)
    return d_y * b * (s + a * s * (1 - s)), d_y * a * s


class Right(torch.autograd.Function):
    """y = a σ(a) b"""

    @staticmethod
    def forward(a, b):
        return a * torch.sigmoid(a) * b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, d_y):
        return computed(*ctx.saved_tensors, d_y)

    @staticmethod
    def jvp(ctx, t_a, t_b):
        a, b = ctx.saved_tensors
        d_a, d_b = computed(a, b, torch.ones_like(a))
        return (0 if t_a is None else d_a * t_a) + (0 if t_b is None else d_b * t_b)

    @staticmethod
    def vmap(info, in_dims, a, b):
        a, b = (x if d is None else x.movedim(d, 0) for x, d in zip((a, b), in_dims))
        return reference(a, b), 0


@pytest.mark.slow
def test_a_right_one_agrees_in_all_of_them():
    report = check_function(Right, reference, X, W, order=2)
    assert report.agrees, str(report)
    assert "Second derivatives agree: 5 quantities of the backward pass compared" in str(report)
    low = check_function(Right, reference, X.float(), W.float(), order=2)
    assert low.agrees, str(low)


class KeepsAnAttribute(Right):
    @staticmethod
    def setup_context(ctx, inputs, output):
        Right.setup_context(ctx, inputs, output)
        ctx.s = torch.sigmoid(inputs[0])

    @staticmethod
    def backward(ctx, d_y):
        (a, b), s = ctx.saved_tensors, ctx.s
        return d_y * b * (s + a * s * (1 - s)), d_y * a * s


class SavesAnIntermediate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        s = torch.sigmoid(a)
        ctx.save_for_backward(a, b, s)
        return a * s * b

    @staticmethod
    def backward(ctx, d_y):
        a, b, s = ctx.saved_tensors
        return d_y * b * (s + a * s * (1 - s)), d_y * a * s


class Detaches(Right):
    @staticmethod
    def backward(ctx, d_y):
        a, b = ctx.saved_tensors
        return computed(a, b.detach(), d_y)


class DetachesIncoming(Right):
    @staticmethod
    def backward(ctx, d_y):
        d_a, d_b = computed(*ctx.saved_tensors, d_y)
        return d_a, d_b.detach() + 0 * d_y


class WithoutGrad(Right):
    @staticmethod
    def backward(ctx, d_y):
        with torch.no_grad():
            return computed(*ctx.saved_tensors, d_y)


class RoundTrip(Right):
    @staticmethod
    def backward(ctx, d_y):
        a, b = ctx.saved_tensors
        return computed(torch.from_numpy(a.detach().numpy()), b, d_y)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong, names, kept",
    [
        (KeepsAnAttribute, {"d_a in backward"}, "ctx.s"),
        (SavesAnIntermediate, {"d_a in backward"}, "s"),
        (Detaches, {"d_b in backward"}, ""),
        (DetachesIncoming, {"d_a in backward", "d_d_output in backward"}, ""),
        (WithoutGrad, {"d_a in backward", "d_b in backward", "d_d_output in backward"}, ""),
        (RoundTrip, {"d_a in backward"}, ""),
    ],
)
def test_a_wrong_second_derivative_is_named_with_what_is_kept(wrong, names, kept):
    first = check_function(wrong, reference, X, W, fast=True)
    assert "Second derivatives are claimed, and not checked" in str(first)
    report = check_function(wrong, reference, X, W, order=2, fast=True)
    assert {fault.name for fault in report.faults} == names
    said = re.findall(r"test_transforms.py:(\d+): (\S+), which forward computed, is a constant", str(report))
    assert [name for _, name in said] == ([kept] if kept else [])


@pytest.mark.slow
def test_what_has_no_second_derivative_says_so():
    class Once(Right):
        backward = torch.autograd.function.once_differentiable(Right.backward)

    Once.backward = staticmethod(Once.backward)
    report = check_function(Once, reference, X, W, fast=True)
    assert "Second derivatives are not checked: its backward pass is once_differentiable" in str(report)
    with pytest.raises(ValueError, match=r"^order: expected 1 for .*Once, got 2: its backward pass is once_diff"):
        check_function(Once, reference, X, W, order=2, fast=True)
    with pytest.raises(ValueError, match=r"^order: expected 1 or 2, got 3"):
        check_function(Right, reference, X, W, order=3)


def jvp(rule):
    return type("Changed", (Right,), {"jvp": staticmethod(rule)})


def vmap(rule):
    return type("Changed", (Right,), {"vmap": staticmethod(rule)})


def front(info, in_dims, *inputs):
    return [x if d is None else x.movedim(d, 0) for x, d in zip(inputs, in_dims)]


@pytest.mark.parametrize(
    "wrong, kind",
    [
        (jvp(lambda ctx, t_a, t_b: 2 * Right.jvp(ctx, t_a, t_b)), "jvp"),
        (jvp(lambda ctx, t_a, t_b: Right.jvp(ctx, t_a, None)), "jvp"),
        (jvp(lambda ctx, t_a, t_b: Right.jvp(ctx, t_b, t_a)), "jvp"),
        (jvp(lambda ctx, t_a, t_b: Right.jvp(ctx, t_a, -t_b)), "jvp"),
        (jvp(lambda ctx, t_a, t_b: None), "jvp"),
        (vmap(lambda info, in_dims, a, b: (reference(a, b), 0)), "vmap"),
        (vmap(lambda info, in_dims, a, b: (2 * reference(*front(info, in_dims, a, b)), 0)), "vmap"),
        (vmap(lambda info, in_dims, a, b: (reference(*front(info, in_dims, a, b)).flip(0), 0)), "vmap"),
        (vmap(lambda info, in_dims, a, b: (reference(*front(info, in_dims, a, b)).detach(), 0)), "vmap"),
        (vmap(lambda info, in_dims, a, b: (reference(*front(info, in_dims, a, b)), 1)), "vmap"),
    ],
)
def test_a_wrong_rule_is_named_with_its_call(wrong, kind):
    report = check_function(wrong, reference, X, W, fast=True)
    assert report.kinds == [kind]
    assert {"jvp": "make_dual", "vmap": "torch.vmap(f, in_dims="}[kind] in str(report)


@pytest.mark.slow
def test_nothing_is_compared_with_what_the_reference_has_not():
    values = complex_step(lambda a, b: a / (1 + np.exp(-a)) * b)
    report = check_function(Right, values, X, W, fast=True)
    assert report.agrees, str(report)
    assert "Not compared: jvp in forward mode, since the reference has none: its gradients cannot be" in str(report)
    with pytest.raises(ValueError, match=r"^order: expected 1 for Right, got 2: the reference's gradients cannot"):
        check_function(Right, values, X, W, order=2, fast=True)
