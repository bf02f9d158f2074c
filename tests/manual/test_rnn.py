import numpy as np
import pytest
from oracles import Experiment, complex_step, relative_error

from manual.rnn import RNNKernel

PHI = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}


@pytest.fixture(scope="module", params=PHI)
def nonlinearity(request):
    return request.param


@pytest.fixture(scope="module")
def experiment(nonlinearity):
    return Experiment.random(RNNKernel(nonlinearity))


def test_equation_r1(experiment):
    w, seen = experiment.weights, experiment.recorded()
    expected = np.einsum("tbd,hd->tbh", experiment.x, w["weight_ih"]) + w["bias_ih"] + w["bias_hh"]
    expected += np.einsum("tbj,hj->tbh", seen["h_prev"], w["weight_hh"])
    assert relative_error(seen["z_h"], expected) < 1e-14


def test_equation_r2(experiment, nonlinearity):
    seen = experiment.recorded()
    assert relative_error(seen["h"], PHI[nonlinearity](seen["z_h"])) < 1e-14


@pytest.mark.parametrize("number, name", [("R3", "h"), ("R4", "z_h"), ("R5", "h_prev")])
def test_adjoint_equation(number, name, experiment):
    assert relative_error(experiment.recorded()[f"d_{name}"], experiment.adjoint(name)) < 1e-13


def test_equation_r6(experiment):
    _, (d_x, _, _) = experiment.run()
    assert relative_error(d_x, complex_step(lambda x: experiment.loss(x=x), experiment.x)) < 1e-13


@pytest.mark.parametrize(
    "number, name", [("R7", "weight_ih"), ("R8", "weight_hh"), ("R9", "bias_ih"), ("R10", "bias_hh")]
)
def test_weight_equation(number, name, experiment):
    _, (_, _, gradients) = experiment.run()
    expected = complex_step(lambda w: experiment.loss(weights={name: w}), experiment.weights[name])
    assert relative_error(gradients[name], expected) < 1e-13


def test_an_unknown_nonlinearity_is_named():
    with pytest.raises(ValueError, match="nonlinearity: expected one of tanh, relu, sigmoid, got 'gelu'"):
        RNNKernel("gelu")
