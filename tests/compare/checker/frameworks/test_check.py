"""Rules of ``jax.custom_vjp`` and of HIPS autograd's ``defvjp``: a right one is accepted, wrong ones are named."""

import sys

import numpy as np
import pytest
from extras import needs_autograd, needs_jax

import compare

B, D, H = 5, 3, 4
RNG = np.random.default_rng(0)
P, X = {"W": RNG.normal(size=(D, H)), "b": [RNG.normal(size=H)]}, RNG.normal(size=(B, D))


def rule(change=lambda *found: found, slope=lambda y: 1 - y * y):
    """Return the backward pass of tanh(x W + b) with its gradients changed."""

    def backward(d, p, x, y):
        d_z = d * slope(y)
        d_weight, d_bias, d_x = change(x.T @ d_z, d_z.sum(0), d_z @ p["W"].T)
        return {"W": d_weight, "b": [d_bias]}, d_x

    return backward


right = rule()

#: What is wrong, and the backward pass.
FAULTS = [
    ({"d_p['W']", "d_p['b'][0]", "d_x"}, rule(slope=lambda y: 1 - y)),
    ({"d_p['b'][0]"}, rule(lambda W, b, x: (W, b / B, x))),
    ({"d_p['W']"}, rule(lambda W, b, x: (2 * W, b, x))),
    ({"d_x"}, rule(lambda W, b, x: (W, b, 0 * x))),
    ({"d_x"}, rule(lambda W, b, x: (W, b, x[::-1]))),
    ({"d_x"}, rule(lambda W, b, x: (W, b, x * (1 + 1e-9)))),
]


def jax_check(backward, cast=lambda tree: tree, check="check_jax"):
    import jax
    import jax.numpy as jnp

    def reference(p, x):
        return {"y": jnp.tanh(x @ p["W"] + p["b"][0]), "count": len(x) + jnp.arange(2)}

    dense = jax.custom_vjp(reference)

    def forward(p, x):
        outputs = reference(p, x)
        return outputs, (p, x, outputs["y"])

    dense.defvjp(forward, lambda kept, d: backward(d["y"], *kept))
    return getattr(compare, check)(jax.jit(dense), reference, cast(P), cast(X))


def hips_check(backward, cast=lambda tree: tree, check="check_hips"):
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive

    def exact(W, b, x):
        return anp.tanh(anp.dot(x, W) + b)

    dense = primitive(exact)

    def part(pick):
        return lambda y, W, b, x: lambda d: pick(*backward(d, {"W": W, "b": [b]}, x, y))

    defvjp(dense, part(lambda p, x: p["W"]), part(lambda p, x: p["b"][0]), part(lambda p, x: x))
    return getattr(compare, check)(
        lambda p, *, x: dense(p["W"], p["b"][0], x),
        lambda p, *, x: exact(p["W"], p["b"][0], x),
        cast(P),
        keywords={"x": cast(X)},
    )


BOTH = [pytest.param(jax_check, marks=[needs_jax, pytest.mark.slow]), pytest.param(hips_check, marks=needs_autograd)]


@pytest.mark.parametrize("check", BOTH)
def test_a_right_rule_is_accepted_and_each_wrong_one_is_named(check):
    report = check(right)
    assert report.agrees, str(report)
    assert {one.label for one in report.as_run} >= {"d_p['W']", "d_p['b'][0]", "d_x"}
    for names, backward in FAULTS:
        assert {fault.name for fault in check(backward).faults} == names


@needs_jax
@pytest.mark.slow
def test_a_rule_of_jax_is_judged_in_its_own_precision():
    import jax

    def cast(tree):
        return jax.tree.map(lambda array: jax.numpy.asarray(array, "bfloat16"), tree)

    assert jax_check(right, cast).agrees
    assert {fault.name for fault in jax_check(FAULTS[1][1], cast).faults} == {"d_p['b'][0]"}


@needs_jax
@pytest.mark.slow
def test_rounding_is_measured_operation_by_operation():
    def reference(x):
        return (x + 1e6) - 1e6

    assert compare.check_jax(lambda x: (x - 1e6) + 1e6, reference, X).agrees
    assert not compare.check_jax(lambda x: (1 + 1e-6) * x, reference, X).agrees


@needs_jax
@pytest.mark.slow
def test_complex_numbers_are_compared_by_their_parts():
    import jax

    z = X + 1j * X[::-1]
    product = jax.custom_vjp(lambda z: z * z)
    product.defvjp(lambda z: (z * z, z), lambda z, d: (2 * z * d,))
    assert compare.check_jax(product, lambda z: z * z, z).agrees
    product.defvjp(lambda z: (z * z, z), lambda z, d: (2 * z.conj() * d,))
    assert [fault.name for fault in compare.check_jax(product, lambda z: z * z, z).faults] == ["d_z"]


@pytest.mark.parametrize("check", BOTH)
def test_the_assertion_has_the_report_as_its_message(check):
    name = check.__name__.replace("_check", "")
    check(right, check=f"assert_{name}")
    with pytest.raises(AssertionError, match=r"^DISAGREE: .*: wrong: d_x "):
        check(FAULTS[3][1], check=f"assert_{name}")


@pytest.mark.parametrize("door, module, extra", [("jax", "jax", "frameworks"), ("hips", "autograd", "bench")])
def test_without_the_extra_the_message_names_it(door, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"expected {module}, .* pip install -c constraints.txt -e '\.\[{extra}\]'"):
        getattr(compare, f"check_{door}")(lambda x: x, lambda x: x, X)
