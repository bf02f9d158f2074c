"""The forms in which arguments come: each has a right version that is accepted, and wrong ones that are named."""

import re
from itertools import count, product

import pytest
import torch
from functions import function_of
from tiers import first_of_each

from compare import check_function

T, B, D, H = 2, 5, 3, 4

#: What is wrong: the argument, and what is made of its gradient.
FAULTS = [
    ("x", lambda d: 2 * d),
    ("x", lambda d: d.flip(0)),
    ("w", torch.neg),
    ("w", torch.zeros_like),
    ("b", lambda d: d / B),
    ("b", lambda d: d + 1),
]
NUMBER = count()


def drawn(dtype=torch.float64):
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, dtype=dtype, generator=generator) for shape in ((B, D), (H, D), (H,))]


def exact(x, w, b):
    return x @ w.mT + b


def gradients(fault, x, w, d):
    """Return the gradients of x, w and b, one of which is wrong."""
    found = {"x": d @ w.conj(), "w": d.mT @ x.conj(), "b": d.sum(0)}
    if fault:
        found[fault[0]] = fault[1](found[fault[0]])
    return tuple(found.values())


def affine(fault):
    return function_of(exact, lambda x, w, b, d: gradients(fault, x, w, d)).apply


def with_a_dict(fault):
    x, w, b = drawn()
    function = affine(fault)
    return check_function(
        lambda p, *, x, twice: [{"y": function(x, p["w"], p["b"][0])}, twice * x],
        lambda p, *, x, twice: [{"y": exact(x, p["w"], p["b"][0])}, twice * x],
        {"w": w, "b": [b]},
        keywords={"x": x, "twice": 2},
    )


def with_a_list(fault):
    return check_function(lambda given: {"y": affine(fault)(*given)}, lambda given: {"y": exact(*given)}, drawn())


class Layer(torch.nn.Module):
    """An affine layer with a buffer that its forward pass changes."""

    def __init__(self, function=exact):
        super().__init__()
        self.function = function
        self.w, self.b = map(torch.nn.Parameter, drawn()[1:])
        self.register_buffer("factor", torch.full((), 3.0))

    def forward(self, x):
        self.factor += 1
        return self.factor * self.function(x, self.w, self.b)


def with_a_module(fault):
    layer, other = Layer(affine(fault)), Layer()
    torch.nn.init.zeros_(other.w)  # the state of the module counts, not its own
    torch.nn.init.zeros_(other.factor)
    report = check_function(layer, other, drawn()[0])
    assert (layer.factor, other.factor) == (3, 0)
    return report


def with_a_function_of_its_own_parameters(fault):
    layer = Layer(affine(fault))
    return check_function(layer, lambda x: (layer.factor + 1) * exact(x, layer.w, layer.b), drawn()[0])


def with_an_operator(fault):
    def forward(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return exact(x, w, b)

    operator = torch.library.custom_op(f"forms::affine{next(NUMBER)}", forward, mutates_args=())
    operator.register_fake(lambda x, w, b: x.new_empty(len(x), len(w)))
    operator.register_autograd(
        lambda ctx, d: gradients(fault, *ctx.saved_tensors, d),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs[:2]),
    )
    return check_function(operator, exact, *drawn())


def with_complex_numbers(fault):
    return check_function(affine(fault), exact, *drawn(torch.complex128))


FORMS = {
    with_a_dict: {"x": "d_x", "w": "d_p['w']", "b": "d_p['b'][0]"},
    with_a_list: {"x": "d_given[0]", "w": "d_given[1]", "b": "d_given[2]"},
    with_a_module: {"x": "d_x", "w": "d_w", "b": "d_b"},
    with_a_function_of_its_own_parameters: {"x": "d_x", "w": "d_w", "b": "d_b"},
    with_an_operator: {"x": "d_x", "w": "d_w", "b": "d_b"},
    with_complex_numbers: {"x": "d_x", "w": "d_w", "b": "d_b"},
}


@pytest.mark.slow
@pytest.mark.parametrize("form, fault", first_of_each(lambda case: case[0], product(FORMS, FAULTS)))
def test_a_right_one_is_accepted_and_a_wrong_one_is_named(form, fault):
    report = form(None)
    assert report.agrees, str(report)
    assert [found.name for found in form(fault).faults] == [FORMS[form][fault[0]]]


def test_outputs_are_matched_by_their_keys_and_have_the_names_of_their_places():
    x, _, _ = drawn()
    report = check_function(lambda x: {"b": x, "a": [2 * x]}, lambda x: {"a": [2 * x], "b": x}, x)
    assert report.agrees, str(report)
    assert [one.label for one in report.as_run] == ["a[0]", "b", "d_x"]
    with pytest.raises(ValueError, match=r"function: expected a\[0\], b, got b, a"):
        check_function(lambda x: {"b": x, "a": 2 * x}, lambda x: {"a": [2 * x], "b": x}, x)


@pytest.mark.slow
def test_a_gradient_that_is_not_conjugated_is_wrong():
    z, w = torch.randn(2, H, D, dtype=torch.complex64)
    product = function_of(torch.mul, lambda z, w, d: (d * w, d * z.conj()))
    report = check_function(product, lambda z, w: z * w, z, w)
    assert [fault.name for fault in report.faults] == ["d_z"]


def test_the_state_of_a_module_needs_the_same_names():
    with pytest.raises(
        ValueError, match=r"reference: expected the parameters .* w, b, factor, .* has b, bias, w, weight"
    ):
        check_function(Layer(), torch.nn.Linear(D, H), drawn()[0])


def test_what_requires_a_gradient_and_is_no_argument_is_always_said():
    layer, x = torch.nn.Linear(D, H).double(), drawn()[0]
    report = check_function(lambda x: 2 * layer(x), lambda x: 2 * layer(x.clone()), x)
    assert re.search(r"Requires a gradient, and was not compared: layer\.\w+, layer\.\w+; pass it", str(report))
    hidden = torch.ones(D, dtype=torch.float64, requires_grad=True)
    report = check_function(lambda x: x * [hidden][0], lambda x: x * hidden.detach() * 2, x)
    assert not report.agrees
    assert "not compared: hidden" in str(report)
