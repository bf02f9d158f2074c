import numpy as np
from oracles import complex_step, relative_error

from manual.activations import sigmoid
from manual.fast.derivatives import product_by_sigmoid, product_by_tanh

Z = np.random.default_rng(0).normal(0, 2, (3, 4))
V = np.random.default_rng(1).normal(0, 2, (3, 4))


def test_equation_f2():
    out = np.empty((3, 4))
    product_by_sigmoid(sigmoid(Z) * V, sigmoid(Z), out)
    assert relative_error(out, complex_step(lambda z: (V / (1 + np.exp(-z))).sum(), Z)) < 1e-15


def test_equation_f3():
    out = np.empty((3, 4))
    s, v = sigmoid(V), np.tanh(Z)
    product_by_tanh(s * v, s, v, out)
    assert relative_error(out, complex_step(lambda z: (s * np.tanh(z)).sum(), Z)) < 1e-15
