"""One traced run gives the derivative of every number, whatever the code does with its arrays."""

import inspect
import math

import numpy as np
import pytest

from compare.checker.lines.trace import traced
from compare.checker.lines.trace.tape import Tape

RNG = np.random.default_rng(7)
X, W, V = RNG.normal(size=(4, 3, 2)), RNG.normal(size=(5, 6)), RNG.normal(size=6)


def recurrent(np, x, w, v):
    h, out, kept = np.zeros((3, 3)), np.empty((4, 3, 6)), []
    for t in range(len(x)):
        z = np.concatenate([x[t], h], axis=1) @ w
        z[:, 1:] *= 2
        out[t] = np.tanh(z) / (1 + np.exp(-z))
        h = out[t][:, ::2].copy()
        kept.append(h * v[:3])
    return np.array(kept).mean(axis=0), out.reshape(4, -1).T


def moved(np, x, w, v):
    out = np.zeros(6)
    np.add.at(out, [0, 2, 2], x[0, :, 1])
    out += np.where(v > 0, v, 0.2 * v)
    np.maximum(w[0], v, out=out, where=v > 0)
    return (
        np.stack([out, np.roll(v, 1), w[::-1][1]]),
        np.take_along_axis(w, np.argsort(w, axis=1), axis=1),
        np.pad(array=v, pad_width=2),
    )


def products(np, x, w, v):
    e = np.einsum("tbd,bk->tdk", x, w[:3]), np.tensordot(x, w[:3], ([1], [0])), np.outer(v, v[:2]), w.dot(v)
    filled = np.einsum("tbd,tbd->b", x, x[:1, :, :1])
    return *e, filled, np.cumsum(w, axis=1), np.multiply.reduce(w[:, :2], axis=1), np.inner(v, w), np.dot(w.T, w)


def norms(np, x, w, v):
    s = np.exp(w - w.max(axis=1, keepdims=True))
    p = s / s.sum(axis=1, keepdims=True)
    return p, (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1), np.linalg.norm(v)


def unknown(np, x, w, v):
    return np.linalg.inv(w[:, :5] @ w[:, :5].T + np.eye(5)), np.arctan(v), np.clip(w, -0.5, 0.5), abs(v) ** 3


def scalars(np, x, w, v):
    total = 0.0
    for one in v:
        total += one * math.pi
    return np.asarray(total), x[0, 0].item(1) * w, np.array([[v[0], 1.0], [2.0, v[1] * v[2]]])


@pytest.mark.parametrize("function", [recurrent, moved, products, norms, unknown, scalars])
def test_adjoints_are_derivatives(function):
    given = [X.copy(), W.copy(), V.copy()]
    tape = Tape()
    with traced.writing(tape):
        leaves = [traced.leaf(one) for one in given]
        ids = [tape.ids(one).copy() for one in leaves]
        returned = function(traced.NumPy(np), *leaves)
        sums = [(tape.ids(one).copy(), RNG.normal(size=(2, *np.shape(one)))) for one in returned]
    adjoints = tape.adjoints(sums)
    direction = [RNG.normal(size=one.shape) for one in given]
    ends = []
    for sign in (-1, 1):
        moved_to = function(np, *(one + sign * 1e-6 * d for one, d in zip(given, direction)))
        ends.append(sum((weights * one).reshape(2, -1).sum(1) for one, (_, weights) in zip(moved_to, sums)))
    by_differences = (ends[1] - ends[0]) / 2e-6
    from_tape = sum((adjoints[:, its] * d).reshape(2, -1).sum(1) for its, d in zip(ids, direction))
    np.testing.assert_allclose(from_tape, by_differences, rtol=1e-6)


@pytest.mark.parametrize("function", [recurrent, moved, products, norms, unknown, scalars])
def test_values_are_those_of_numpy(function):
    with traced.writing(Tape()):
        seen = function(traced.NumPy(np), *(traced.leaf(one.copy()) for one in (X, W, V)))
    for one, other in zip(seen, function(np, X, W, V)):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("name", traced.RULES)
def test_a_rule_takes_its_arguments_by_their_names_in_numpy(name):
    parameters = inspect.signature(traced.RULES[name]).parameters.values()
    named = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    try:
        known = [*inspect.signature(getattr(np, name)).parameters]
    except ValueError:  # of what older versions have in C
        known = ["dst", "src", "casting", "where"] if name == "copyto" else ["a", "b", "out"]
    assert set(named) <= set(known)


def test_a_division_by_a_plain_zero_is_traced():
    with traced.writing(Tape()), np.errstate(all="ignore"):
        assert np.isinf(traced.leaf(np.ones(3)) / 0).all()


def test_a_copy_alone_has_the_adjoint_of_its_own_use():
    tape = Tape()
    with traced.writing(tape):
        v = traced.leaf(V.copy())
        one = traced.alone(v)
        result = one * 2 + v * 3
    adjoints = tape.adjoints([(tape.ids(result), np.ones((1, 6)))])[0]
    np.testing.assert_array_equal(adjoints[tape.ids(one)], np.full(6, 2.0))
    np.testing.assert_array_equal(adjoints[tape.ids(v)], np.full(6, 5.0))
