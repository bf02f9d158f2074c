import numpy as np
import pytest
import torch
from oracles import complex_step, relative_error

from compare.published.losses import loss
from compare.published.recipes import RECIPES

T, H = 8, 5
RNG = np.random.default_rng(0)
Z, BITS = RNG.normal(size=(T, 1, 1)), RNG.integers(0, 2, (T, 1, 1)).astype(float)
OUTPUT, TARGET = RNG.normal(size=(T, 1, H)), RNG.normal(size=(T, 1, H))


def logistic(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy(z):
    return -(BITS * np.log(logistic(z)) + (1 - BITS) * np.log(1 - logistic(z))).sum()


def check(objective, formula, at, target):
    """The value and gradient of NumPy's side, and the value of torch's, against the formula."""
    assert objective.value(at, target) == pytest.approx(formula(at), rel=1e-14)
    assert relative_error(objective.gradient(at, target), complex_step(formula, at)) < 1e-13
    theirs = objective.torch_value(torch.from_numpy(at), torch.from_numpy(target))
    assert float(theirs) == pytest.approx(formula(at), rel=1e-14)


def of(name):
    return loss(RECIPES[name].loss, RECIPES[name].loss_scale)


@pytest.mark.parametrize("name", ["no-bias-lstm", "scalar-bias-lstm", "gru-layer", "concatenated-lstm"])
def test_equation_w1_is_summed_over_the_bits(name):
    check(of(name), cross_entropy, Z, BITS)
    assert relative_error(of(name).gradient(Z, BITS), logistic(Z) - BITS) < 1e-13


@pytest.mark.parametrize("name", ["matlab-rnn", "trask-rnn"])
def test_equation_w2_is_half_the_squares(name):
    check(of(name), lambda z: 0.5 * ((logistic(z) - BITS) ** 2).sum(), Z, BITS)


def test_equation_w3_is_summed_over_the_units_and_averaged_over_the_steps():
    output, target = RNG.normal(size=(2, 15, 1, 20))
    check(of("lstm-class"), lambda h: ((h - target) ** 2).sum() / 30, output, target)


def test_equation_w4_is_the_sum_of_the_last_h():
    check(of("lstm-layer"), lambda h: h[-1].sum(), OUTPUT, TARGET)
