import numpy as np
import pytest
from oracles import Experiment, complex_step, relative_error

from manual import LSTM
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel

H = 5


@pytest.fixture(scope="module")
def peepholes():
    return Experiment.random(LSTMVariantKernel(peepholes=True), H=H)


@pytest.fixture(scope="module")
def coupled():
    return Experiment.random(LSTMVariantKernel(coupled=True), H=H)


@pytest.fixture(scope="module")
def both():
    return Experiment.random(LSTMVariantKernel(peepholes=True, coupled=True), H=H)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def pre_activation(experiment, seen, gate):
    """(L1) of one gate, without the peephole."""
    k = experiment.kernel.gates.index(gate)
    w = {
        name: array.reshape(-1, H, *array.shape[1:])[k]
        for name, array in experiment.weights.items()
        if "_c" not in name
    }
    return experiment.x @ w["weight_ih"].T + w["bias_ih"] + seen["h_prev"] @ w["weight_hh"].T + w["bias_hh"]


@pytest.mark.parametrize("number, gate, cell", [("L24", "i", "c_prev"), ("L25", "f", "c_prev"), ("L26", "o", "c")])
def test_peephole_equation(number, gate, cell, peepholes):
    seen = peepholes.recorded()
    p = dict(zip("ifo", peepholes.weights["weight_ch"].reshape(3, H)))
    assert relative_error(seen[f"z_{gate}"], pre_activation(peepholes, seen, gate) + p[gate] * seen[cell]) < 1e-14
    assert relative_error(seen[gate], logistic(seen[f"z_{gate}"])) < 1e-14


def test_equation_l32(coupled, both):
    for experiment in (coupled, both):
        seen = experiment.recorded()
        assert relative_error(seen["f"], 1 - logistic(seen["z_i"])) < 1e-14
        assert relative_error(seen["c"], seen["f"] * seen["c_prev"] + seen["i"] * seen["g"]) < 1e-14
        assert "z_f" not in seen
    seen = coupled.recorded()
    for gate in "igo":
        assert relative_error(seen[f"z_{gate}"], pre_activation(coupled, seen, gate)) < 1e-14


ADJOINTS = {
    "L27": ("peepholes", "c"),
    "L28": ("peepholes", "c_prev"),
    "L33": ("coupled", "z_i"),
    "L34": ("both", "c_prev"),
}


@pytest.mark.parametrize("number", ADJOINTS)
def test_adjoint_equation(number, request):
    fixture, name = ADJOINTS[number]
    experiment = request.getfixturevalue(fixture)
    assert relative_error(experiment.recorded()[f"d_{name}"], experiment.adjoint(name)) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["peepholes", "coupled", "both"])
def test_each_adjoint_and_gradient(fixture, request):
    experiment = request.getfixturevalue(fixture)
    seen, (_, (d_x, _, gradients)) = experiment.recorded(), experiment.run()
    for name in ("h", "c", *(f"z_{gate}" for gate in experiment.kernel.gates), "c_prev", "h_prev"):
        assert relative_error(seen[f"d_{name}"], experiment.adjoint(name)) < 1e-13, name
    assert relative_error(d_x, complex_step(lambda x: experiment.loss(x=x), experiment.x)) < 1e-13
    for name, weight in experiment.weights.items():
        expected = complex_step(lambda w, name=name: experiment.loss(weights={name: w}), weight)
        assert relative_error(gradients[name], expected) < 1e-13, name


@pytest.mark.parametrize("number, k", [("L29", 0), ("L30", 1), ("L31", 2)])
def test_gradient_of_a_peephole(number, k, peepholes):
    _, (_, _, gradients) = peepholes.run()
    expected = complex_step(lambda w: peepholes.loss(weights={"weight_ch": w}), peepholes.weights["weight_ch"])
    block = slice(k * H, (k + 1) * H)
    assert relative_error(gradients["weight_ch"][block], expected[block]) < 1e-13


def test_without_peepholes_and_coupling_it_is_an_lstm():
    plain = Experiment.random(LSTMKernel(), H=H)
    variant = Experiment(LSTMVariantKernel(), plain.x, plain.state, plain.weights, plain.d_output, plain.d_state)
    expected, actual = plain.results(), variant.results()
    assert actual.keys() == expected.keys()
    assert all(relative_error(actual[name], array) < 1e-14 for name, array in expected.items())


def test_peepholes_of_zero_change_nothing(peepholes):
    weights = {name: array for name, array in peepholes.weights.items() if name != "weight_ch"}
    plain = Experiment(LSTMKernel(), peepholes.x, peepholes.state, weights, peepholes.d_output, peepholes.d_state)
    closed = {"weight_ch": 0 * peepholes.weights["weight_ch"]}
    assert abs(peepholes.loss(weights=closed) - plain.loss()) < 1e-13


def test_parameters_of_a_layer():
    rng = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in LSTM(3, H, peepholes=True, rng=rng).parameters.items()}
    assert shapes == {
        "weight_ih_l0": (4 * H, 3),
        "weight_hh_l0": (4 * H, H),
        "weight_ch_l0": (3 * H,),
        "bias_ih_l0": (4 * H,),
        "bias_hh_l0": (4 * H,),
    }
    layer = LSTM(3, H, peepholes=True, coupled=True, bias=False, bidirectional=True, rng=rng)
    assert layer.parameters["weight_ch_l0_reverse"].shape == (2 * H,)
    assert layer.parameters["weight_hh_l0"].shape == (3 * H, H)


def test_a_projection_is_refused():
    with pytest.raises(ValueError, match="proj_size: expected 0 with peepholes or coupled gates, got 2"):
        LSTM(3, H, proj_size=2, coupled=True, rng=np.random.default_rng(0))
