import numpy as np
import pytest
from oracles import Experiment, complex_step, relative_error

from manual.gru import GRUKernel

H = 5
FORMS = {"reset after the product": GRUKernel(), "reset before the product": GRUKernel(reset_after=False)}


@pytest.fixture(scope="module", params=FORMS)
def experiment(request):
    return Experiment.random(FORMS[request.param], H=H)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def block(experiment, name, gate):
    return experiment.weights[name][(k := "rzn".index(gate)) * H : (k + 1) * H]


def from_input(experiment, gate):
    return np.einsum("tbd,hd->tbh", experiment.x, block(experiment, "weight_ih", gate)) + block(
        experiment, "bias_ih", gate
    )


def from_hidden(experiment, gate, hidden):
    return np.einsum("tbj,hj->tbh", hidden, block(experiment, "weight_hh", gate)) + block(experiment, "bias_hh", gate)


def expected_z_n(experiment, seen):
    if experiment.kernel.reset_after:
        return from_input(experiment, "n") + seen["r"] * seen["q"]
    return from_input(experiment, "n") + from_hidden(experiment, "n", seen["q"])


def expected_q(experiment, seen):
    if experiment.kernel.reset_after:
        return from_hidden(experiment, "n", seen["h_prev"])
    return seen["r"] * seen["h_prev"]


FORWARD = {
    ("G1", "r"): ("z_r", lambda e, s: from_input(e, "r") + from_hidden(e, "r", s["h_prev"])),
    ("G1", "z"): ("z_z", lambda e, s: from_input(e, "z") + from_hidden(e, "z", s["h_prev"])),
    ("G2",): ("r", lambda e, s: logistic(s["z_r"])),
    ("G3",): ("z", lambda e, s: logistic(s["z_z"])),
    ("G4", "G19"): ("q", expected_q),
    ("G5", "G20"): ("z_n", expected_z_n),
    ("G6",): ("n", lambda e, s: np.tanh(s["z_n"])),
    ("G7",): ("h", lambda e, s: (1 - s["z"]) * s["n"] + s["z"] * s["h_prev"]),
}
ADJOINTS = {
    ("G8",): "h",
    ("G9",): "z_z",
    ("G10",): "z_n",
    ("G11", "G21"): "q",
    ("G12", "G22"): "z_r",
    ("G13", "G23"): "h_prev",
}
WEIGHTS = {("G15",): "weight_ih", ("G16", "G24"): "weight_hh", ("G17",): "bias_ih", ("G18", "G25"): "bias_hh"}


@pytest.mark.parametrize("numbers", FORWARD, ids=" ".join)
def test_forward_equation(numbers, experiment):
    seen = experiment.recorded()
    name, expected = FORWARD[numbers]
    assert relative_error(seen[name], expected(experiment, seen)) < 1e-14


@pytest.mark.parametrize("numbers", ADJOINTS, ids=" ".join)
def test_adjoint_equation(numbers, experiment):
    name = ADJOINTS[numbers]
    assert relative_error(experiment.recorded()[f"d_{name}"], experiment.adjoint(name)) < 1e-13


def test_equation_g14(experiment):
    _, (d_x, _, _) = experiment.run()
    assert relative_error(d_x, complex_step(lambda x: experiment.loss(x=x), experiment.x)) < 1e-13


@pytest.mark.parametrize("numbers", WEIGHTS, ids=" ".join)
def test_weight_equation(numbers, experiment):
    name = WEIGHTS[numbers]
    _, (_, _, gradients) = experiment.run()
    expected = complex_step(lambda w: experiment.loss(weights={name: w}), experiment.weights[name])
    assert relative_error(gradients[name], expected) < 1e-13


def test_the_two_biases_of_the_candidate_are_two_parameters_only_after_the_product():
    after, before = (Experiment.random(kernel).run()[1][2] for kernel in FORMS.values())
    assert relative_error(after["bias_hh"][2 * H :], after["bias_ih"][2 * H :]) > 0.1
    assert np.array_equal(before["bias_hh"], before["bias_ih"])
