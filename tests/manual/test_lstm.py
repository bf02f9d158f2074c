import numpy as np
import pytest
from oracles import Experiment, complex_step, relative_error

from manual.lstm import LSTMKernel

H = 5


@pytest.fixture(scope="module")
def experiment():
    return Experiment.random(LSTMKernel(), H=H)


@pytest.fixture(scope="module")
def projected():
    return Experiment.random(LSTMKernel(proj_size=3), H=H)


@pytest.fixture(scope="module")
def seen(experiment):
    return experiment.recorded()


def logistic(z):
    return 1 / (1 + np.exp(-z))


FORWARD = {
    "L2": ("i", lambda seen: logistic(seen["z_i"])),
    "L3": ("f", lambda seen: logistic(seen["z_f"])),
    "L4": ("g", lambda seen: np.tanh(seen["z_g"])),
    "L5": ("o", lambda seen: logistic(seen["z_o"])),
    "L6": ("c", lambda seen: seen["f"] * seen["c_prev"] + seen["i"] * seen["g"]),
    "L7": ("h", lambda seen: seen["o"] * np.tanh(seen["c"])),
}
ADJOINTS = {
    "L8": "h",
    "L9": "c",
    "L10": "z_i",
    "L11": "z_f",
    "L12": "z_g",
    "L13": "z_o",
    "L14": "c_prev",
    "L15": "h_prev",
}
WEIGHTS = {"L17": "weight_ih", "L18": "weight_hh", "L19": "bias_ih", "L20": "bias_hh"}


def test_equation_l1(experiment, seen):
    w = {name: array.reshape(4, H, -1) for name, array in experiment.weights.items()}
    for k, gate in enumerate("ifgo"):
        expected = np.einsum("tbd,hd->tbh", experiment.x, w["weight_ih"][k])
        expected += np.einsum("tbj,hj->tbh", seen["h_prev"], w["weight_hh"][k])
        expected += w["bias_ih"][k, :, 0] + w["bias_hh"][k, :, 0]
        assert relative_error(seen[f"z_{gate}"], expected) < 1e-14


@pytest.mark.parametrize("number", FORWARD)
def test_forward_equation(number, seen):
    name, expected = FORWARD[number]
    assert relative_error(seen[name], expected(seen)) < 1e-14


@pytest.mark.parametrize("number", ADJOINTS)
def test_adjoint_equation(number, experiment, seen):
    name = ADJOINTS[number]
    assert relative_error(seen[f"d_{name}"], experiment.adjoint(name)) < 1e-13


def test_equation_l16(experiment):
    _, (d_x, _, _) = experiment.run()
    assert relative_error(d_x, complex_step(lambda x: experiment.loss(x=x), experiment.x)) < 1e-13


@pytest.mark.parametrize("number", WEIGHTS)
def test_weight_equation(number, experiment):
    name = WEIGHTS[number]
    _, (_, _, gradients) = experiment.run()
    expected = complex_step(lambda w: experiment.loss(weights={name: w}), experiment.weights[name])
    assert relative_error(gradients[name], expected) < 1e-13


def test_equation_l21(projected):
    seen = projected.recorded()
    assert relative_error(seen["m"], seen["o"] * np.tanh(seen["c"])) < 1e-14
    assert relative_error(seen["h"], np.einsum("tbh,ph->tbp", seen["m"], projected.weights["weight_hr"])) < 1e-14


def test_equation_l22(projected):
    assert relative_error(projected.recorded()["d_m"], projected.adjoint("m")) < 1e-13


def test_equation_l23(projected):
    _, (_, _, gradients) = projected.run()
    expected = complex_step(lambda w: projected.loss(weights={"weight_hr": w}), projected.weights["weight_hr"])
    assert relative_error(gradients["weight_hr"], expected) < 1e-13


@pytest.mark.parametrize("name", ADJOINTS.values())
def test_adjoints_under_projection(name, projected):
    assert relative_error(projected.recorded()[f"d_{name}"], projected.adjoint(name)) < 1e-13


def test_the_state_enters_the_first_step_and_leaves_the_last(experiment, seen):
    (output, (h_n, c_n), _), (_, (d_h_0, d_c_0), _) = experiment.run()
    assert np.array_equal(output, seen["h"])
    assert np.array_equal(h_n, seen["h"][-1])
    assert np.array_equal(c_n, seen["c"][-1])
    for name, initial in zip("hc", experiment.state):
        assert np.array_equal(seen[f"{name}_prev"][0], initial)
        assert np.array_equal(seen[f"{name}_prev"][1:], seen[name][:-1])
    assert np.array_equal(d_h_0, seen["d_h_prev"][0])
    assert np.array_equal(d_c_0, seen["d_c_prev"][0])


@pytest.mark.parametrize("name", ["h_prev", "c_prev", *(f"{z}{gate}" for z in ("z_", "") for gate in "ifgo"), "c", "h"])
def test_the_computation_goes_on_with_what_a_probe_returns(name, experiment):
    """Replaced at the last step, a value reaches the final state; its shape and the values before do not change."""

    def shift(n, t, value):
        return value + 0.5 if (n, t) == (name, 3) else value

    (output, (h_n, c_n), _), _ = experiment.run()
    (moved, (moved_h_n, moved_c_n), _), _ = experiment.run(shift)
    assert np.array_equal(moved[:3], output[:3])
    assert np.abs(moved_h_n - h_n).min() > 1e-6
    assert np.array_equal(moved_c_n, c_n) == (name in ("z_o", "o", "h"))
    if name == "h":
        assert np.array_equal(moved_h_n, h_n + 0.5)


@pytest.mark.parametrize("name", ["d_h", "d_c", *(f"d_z_{gate}" for gate in "ifgo"), "d_h_prev", "d_c_prev"])
def test_backward_goes_on_with_what_a_probe_returns(name, experiment):
    """An adjoint replaced at the first step reaches the gradient of the initial state."""
    _, (_, d_state, _) = experiment.run()
    _, (_, moved, _) = experiment.run(lambda n, t, value: value + 0.5 if (n, t) == (name, 0) else value)
    assert not all(np.array_equal(a, b) for a, b in zip(d_state, moved))


def test_a_probe_that_changes_nothing_changes_no_bit(experiment):
    plain, probed = experiment.run(), experiment.run(lambda name, t, value: value)
    assert np.array_equal(plain[0][0], probed[0][0])
    assert np.array_equal(plain[1][0], probed[1][0])
    for name, gradient in plain[1][2].items():
        assert np.array_equal(gradient, probed[1][2][name])
