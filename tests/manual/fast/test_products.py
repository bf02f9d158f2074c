from dataclasses import replace

import numpy as np
import pytest
from oracles import Experiment, complex_step, relative_error

from manual.activations import sigmoid
from manual.fast import products
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh
from manual.fast.lstm import LSTMMemory
from manual.fast.products import FromGates, ToGates, sum_of_outer_products, sums_of_outer_products, tile_width
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel

T, D, H, G = 7, 3, 6, 4


def adjoints(rng, B):
    """(G, T, B, H), as a tape keeps them."""
    return rng.normal(size=(T, G, 1, H)).swapaxes(0, 1) if B == 1 else rng.normal(size=(G, T, B, H))


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "width"),
    [
        (64, 35, 32, 32),  # all at once
        (64, 193, 128, 64),
        (64, 385, 256, 32),
        (32, 769, 512, 32),
        (256, 200, 48, 16),  # no 64 and no 32 divide 48
        (256, 67, 64, 32),
        (512, 600, 512, 512),  # no tile is narrow enough
        (512, 600, 50, 50),  # nothing divides 50
    ],
)
def test_tile_width(rows, inner, columns, width, monkeypatch):
    monkeypatch.setattr(products, "SMALL_PRODUCT", 10**6)
    assert tile_width(rows, inner, columns) == width


@pytest.mark.parametrize(
    ("blas", "found", "limit"),
    [
        ("scipy-openblas", ["X86_V3", "X86_V4"], 10**6),
        ("openblas64", ["AVX2", "AVX512_SKX"], 10**6),
        ("scipy-openblas", ["X86_V3"], 0),
        ("accelerate", ["X86_V4"], 0),
    ],
)
def test_where_a_blas_repacks_everything_a_tile_is_as_wide_as_a_gate(blas, found, limit, monkeypatch):
    told = {"SIMD Extensions": {"found": found}, "Build Dependencies": {"blas": {"name": blas}}}
    monkeypatch.setattr(np, "show_config", lambda mode: told if mode == "dicts" else None)
    assert products.small_product_limit() == limit
    monkeypatch.setattr(products, "SMALL_PRODUCT", limit)
    assert tile_width(64, 193, 128) == (64 if limit else 128)


OPENBLAS = {"Build Dependencies": {"blas": {"name": "scipy-openblas"}}}


@pytest.mark.parametrize("told", [{}, OPENBLAS, OPENBLAS | {"SIMD Extensions": {"baseline": ["ASIMD"]}}])
def test_a_numpy_that_says_nothing_of_its_build_is_taken_to_repack(told, monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda mode: told if mode == "dicts" else None)
    assert products.small_product_limit() == 0


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("B", [1, 5])
def test_to_gates(B, tiled, rng, request):
    """The weights of all gates, the third of them first, the last three negated, in whole gates and in tiles."""
    if tiled:
        request.getfixturevalue("small_tiles")
    gates = ToGates(G, B, D + 8, H, np.float64)
    assert gates.width == (2 if tiled and B > 1 else H)
    w, more, rows = rng.normal(size=(G * H, D)), rng.normal(size=(G * H, 8)), rng.normal(size=(B, D + 8))
    gates.load(w, more, first=2, negated=3)
    z = np.zeros((G, B, H))
    gates.multiply(rows, gates.weights, gates.out(z))
    expected = (rows @ np.hstack([w, more]).T).reshape(B, G, H).swapaxes(0, 1)
    expected = np.roll(expected, -2, axis=0)
    expected[1:] *= -1
    assert relative_error(z, expected) < 1e-14


@pytest.mark.parametrize("B", [1, 5])
def test_the_trailing_columns_are_hoisted_for_one_row_of_many_weights(B, rng, monkeypatch):
    K = D + 8
    monkeypatch.setattr(products, "HOISTED_WEIGHTS", D * G * H)
    gates, plain = (ToGates(G, B, K, H, np.float64, hoisted) for hoisted in (D, D - 1))
    assert (gates.hoisted, plain.hoisted) == (D if B == 1 else 0, 0)
    w, rows = rng.normal(size=(G * H, K)), rng.normal(size=(T, B, K))
    expected = (rows @ w.T).reshape(T, B, G, H).swapaxes(1, 2)
    for to_gates in (gates, plain):
        to_gates.load(w[:, : K - D], w[:, K - D :])
        z = np.zeros((T, 6, B, H))[:, 1:5]
        to_gates.hoist(rows, z)
        for row, out in zip(to_gates.rows(rows), to_gates.out(z), strict=True):
            to_gates.multiply(row, to_gates.weights, out)
        assert relative_error(z, expected) < 1e-14


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("gates", [slice(0, 4), slice(1, 4), slice(2, 3)])
@pytest.mark.parametrize("B", [1, 5])
def test_from_gates(B, gates, tiled, rng, request):
    """For all steps and for one, of all gates, of some and of one."""
    if tiled:
        request.getfixturevalue("small_tiles")
    d_z = adjoints(rng, B)[gates]
    n, N = len(d_z), 8
    w = rng.normal(size=(n * H, N))
    expected = np.einsum("gtbh,ghn->tbn", d_z, w.reshape(n, H, N))
    of_all, of_step = FromGates(n, B, H, N, np.float64, steps=T), FromGates(n, B, H, N, np.float64)
    if not of_all.one_product:
        assert of_all.share_tiles.shape == ((n, T, 4, B, 2) if tiled else (n, T, 1, B, N))
    for from_gates, steps in ((of_all, slice(None)), (of_step, slice(2, 3))):
        from_gates.load(w)
        out = np.zeros((len(range(T)[steps]) * B, N))
        from_gates(from_gates.operand(d_z[:, steps]), out)
        assert relative_error(out, expected[steps].reshape(-1, N)) < 1e-14


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("B", [1, 3, 5, 70])
def test_sum_of_outer_products(B, tiled, rng, request):
    if tiled:
        request.getfixturevalue("small_tiles")
    d_z, rows = adjoints(rng, B), rng.normal(size=(T, B, 9))
    expected = np.einsum("gtbh,tbk->ghk", d_z, rows[:, :, 2:])
    assert relative_error(sum_of_outer_products(d_z, rows[:, :, 2:]).reshape(expected.shape), expected) < 1e-14
    for part, columns in zip(sums_of_outer_products(d_z, rows[:, :, 2:], 4), (slice(4), slice(4, None)), strict=True):
        assert relative_error(part.reshape(*expected.shape[:2], -1), expected[:, :, columns]) < 1e-14


def test_a_sum_over_many_rows_of_units_that_make_no_whole_parts(small_tiles, rng):
    d_z, rows = rng.normal(size=(G, 7, 3, 5)), rng.normal(size=(7, 3, 9))
    expected = np.einsum("gtbh,tbk->ghk", d_z, rows)
    assert relative_error(sum_of_outer_products(d_z, rows).reshape(expected.shape), expected) < 1e-14


@pytest.mark.parametrize("B", [1, 3])
def test_equation_f1(B):
    """The gates in the order g o i f, the sigmoids o i f negated, and σ of them from the exponential."""
    e = Experiment.random(LSTMKernel(), 4, B, 2, 5)
    memory = LSTMMemory(4, B, 2, 5, 5, e.x.dtype)
    memory.load(e.x, e.state, e.weights, negated=3)
    z = np.zeros((4, B, 5))
    memory.to_gates.multiply(memory.rows[0], memory.to_gates.weights, memory.to_gates.out(z))
    bias = e.weights["bias_ih"] + e.weights["bias_hh"]
    expected = e.x[0] @ e.weights["weight_ih"].T + bias + e.state[0] @ e.weights["weight_hh"].T
    expected = expected.reshape(B, 4, 5)
    for block, gate, factor in ((0, 2, 1), (1, 3, -1), (2, 0, -1), (3, 1, -1)):
        assert relative_error(z[block], factor * expected[:, gate]) < 1e-14
    assert relative_error(1 / (1 + np.exp(z[1])), 1 / (1 + np.exp(-expected[:, 3]))) < 1e-14


Z, V = np.random.default_rng(0).normal(0, 2, (2, 3, 4))


def test_equation_f2():
    out = np.empty((3, 4))
    product_by_sigmoid(sigmoid(Z) * V, sigmoid(Z), out)
    assert relative_error(out, complex_step(lambda z: (V / (1 + np.exp(-z))).sum(), Z)) < 1e-15


def test_equation_f3():
    out, s, v = np.empty((3, 4)), sigmoid(V), np.tanh(Z)
    product_by_tanh(s * v, s, v, out)
    assert relative_error(out, complex_step(lambda z: (s * np.tanh(z)).sum(), Z)) < 1e-15


def test_equation_f4(kernels):
    """The sum over steps and rows of d_z times x, of d_z alone, and of d_z times h_prev."""
    kernel, fast = kernels
    experiment = Experiment.random(kernel)
    seen, (_, (_, _, gradients)) = experiment.recorded(), replace(experiment, kernel=fast).run()
    d_z = np.concatenate([seen[f"d_z_{gate}"] for gate in kernel.gates], axis=2)
    assert relative_error(gradients["weight_ih"], np.einsum("tbg,tbd->gd", d_z, experiment.x)) < 1e-14
    assert relative_error(gradients["bias_ih"], np.einsum("tbg->g", d_z)) < 1e-14
    if not isinstance(kernel, GRUKernel):
        assert relative_error(gradients["weight_hh"], np.einsum("tbg,tbd->gd", d_z, seen["h_prev"])) < 1e-14


def spied(monkeypatch, owner, name, observe):
    """Have every call of a function observed too, with its result; return what was observed."""
    seen, function = [], getattr(owner, name)

    def call(*arguments):
        result = function(*arguments)
        seen.append(observe(result, *arguments))
        return result

    monkeypatch.setattr(owner, name, call)
    return seen


def test_tiles_change_nothing_but_the_order_of_sums(kernels, request, monkeypatch):
    experiment = replace(Experiment.random(kernels[0], T=T, B=5, D=4, H=H), kernel=kernels[1])
    whole = experiment.results()
    request.getfixturevalue("small_tiles")
    narrower = spied(monkeypatch, products, "tile_width", lambda width, rows, inner, columns: width < columns)
    tiled = experiment.results()
    assert any(narrower)
    assert all(relative_error(tiled[name], array) < 1e-14 for name, array in whole.items())


def test_hoisting_changes_nothing_but_the_order_of_sums(kernels, monkeypatch):
    experiment = replace(Experiment.random(kernels[0], T=T, B=1, D=D, H=H), kernel=kernels[1])
    plain = experiment.results()
    monkeypatch.setattr(products, "HOISTED_WEIGHTS", 1)
    columns = spied(monkeypatch, ToGates, "hoist", lambda result, product, rows, z: product.hoisted)
    hoisted = experiment.results()
    assert any(columns)
    assert all(relative_error(hoisted[name], array) < 1e-14 for name, array in plain.items())
