"""Each equation of the cells: the forward ones written out once more, adjoints and gradients by complex steps."""

from functools import cache

import numpy as np
import pytest
from forms import EQUATIONS
from oracles import Experiment, complex_step, relative_error

from manual import LSTM
from manual.rnn import RNNKernel

H = 5
PHI = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
FORMS = pytest.mark.parametrize("form", EQUATIONS)


@cache
def experiment(form):
    return Experiment.random(EQUATIONS[form], H=H)


@cache
def seen(form):
    return experiment(form).recorded()


def of_gate(e, name, gate):
    """The block of a weight that belongs to a gate."""
    return np.split(e.weights[name], len(e.kernel.gates))[e.kernel.gates.index(gate)]


def from_x(e, gate):
    return np.einsum("tbd,hd->tbh", e.x, of_gate(e, "weight_ih", gate)) + of_gate(e, "bias_ih", gate)


def from_h(e, gate, h):
    return np.einsum("tbj,hj->tbh", h, of_gate(e, "weight_hh", gate)) + of_gate(e, "bias_hh", gate)


def lstm(e, s):
    """The number of each equation, the quantity that it gives, and that quantity once more."""
    sigmoid, gates = PHI["sigmoid"], e.kernel.gates
    peepholes = getattr(e.kernel, "peephole_gates", ())
    p = dict(zip(peepholes, np.split(e.weights["weight_ch"], len(peepholes)))) if peepholes else {}
    for gate in gates:
        seen_by_gate = p[gate] * s["c" if gate == "o" else "c_prev"] if gate in p else 0
        yield "L1", f"z_{gate}", from_x(e, gate) + from_h(e, gate, s["h_prev"]) + seen_by_gate
    yield "L24" if p else "L2", "i", sigmoid(s["z_i"])
    if "f" in gates:
        yield "L25" if p else "L3", "f", sigmoid(s["z_f"])
    else:
        yield "L32", "f", 1 - sigmoid(s["z_i"])
    yield "L4", "g", np.tanh(s["z_g"])
    yield "L26" if p else "L5", "o", sigmoid(s["z_o"])
    yield "L6", "c", s["f"] * s["c_prev"] + s["i"] * s["g"]
    m = s["o"] * np.tanh(s["c"])
    if "weight_hr" in e.weights:
        yield "L7", "m", m
        yield "L21", "h", np.einsum("tbh,ph->tbp", s["m"], e.weights["weight_hr"])
    else:
        yield "L7", "h", m


def gru(e, s):
    sigmoid = PHI["sigmoid"]
    for gate in "rz":
        yield "G1", f"z_{gate}", from_x(e, gate) + from_h(e, gate, s["h_prev"])
    yield "G2", "r", sigmoid(s["z_r"])
    yield "G3", "z", sigmoid(s["z_z"])
    if e.kernel.reset_after:
        yield "G4", "q", from_h(e, "n", s["h_prev"])
        yield "G5", "z_n", from_x(e, "n") + s["r"] * s["q"]
    else:
        yield "G19", "q", s["r"] * s["h_prev"]
        yield "G20", "z_n", from_x(e, "n") + from_h(e, "n", s["q"])
    yield "G6", "n", np.tanh(s["z_n"])
    yield "G7", "h", (1 - s["z"]) * s["n"] + s["z"] * s["h_prev"]


def rnn(e, s):
    yield "R1", "z_h", from_x(e, "h") + from_h(e, "h", s["h_prev"])
    yield "R2", "h", PHI[e.kernel.nonlinearity](s["z_h"])


FORWARD = {"lstm": lstm, "gru": gru, "rnn": rnn}

#: The equations of adjoints and gradients by what they give; of two numbers the second is that of another form.
BACKWARD = {
    "lstm": {
        **{"d_h": ["L8"], "d_c": ["L9", "L27"], "d_z_i": ["L10", "L33"], "d_z_f": ["L11"], "d_z_g": ["L12"]},
        **{"d_z_o": ["L13"], "d_c_prev": ["L14", "L28", "L34"], "d_h_prev": ["L15"], "d_m": ["L22"], "d_x": ["L16"]},
        **{"weight_ih": ["L17"], "weight_hh": ["L18"], "bias_ih": ["L19"], "bias_hh": ["L20"], "weight_hr": ["L23"]},
        "weight_ch": ["L29", "L30", "L31"],
    },
    "gru": {
        **{"d_h": ["G8"], "d_z_z": ["G9"], "d_z_n": ["G10"], "d_q": ["G11", "G21"], "d_z_r": ["G12", "G22"]},
        **{"d_h_prev": ["G13", "G23"], "d_x": ["G14"], "weight_ih": ["G15"], "weight_hh": ["G16", "G24"]},
        **{"bias_ih": ["G17"], "bias_hh": ["G18", "G25"]},
    },
    "rnn": {
        **{"d_h": ["R3"], "d_z_h": ["R4"], "d_h_prev": ["R5"], "d_x": ["R6"]},
        **{"weight_ih": ["R7"], "weight_hh": ["R8"], "bias_ih": ["R9"], "bias_hh": ["R10"]},
    },
}


def cell(form):
    return form.replace(",", "").split()[0]


@FORMS
def test_the_forward_equations(form):
    e, s = experiment(form), seen(form)
    expected = list(FORWARD[cell(form)](e, s))
    assert {name for _, name, _ in expected} == {n for n in s if not n.startswith("d_")} - {"h_prev", "c_prev"}
    for number, name, array in expected:
        assert relative_error(s[name], array) < 1e-14, number


def given_back(form):
    """Everything that backward computes: d_x, the adjoints that a probe sees, and the gradients of the weights."""
    return {"d_x"} | {name for name in seen(form) if name.startswith("d_")} | experiment(form).weights.keys()


@FORMS
def test_the_equations_of_adjoints_and_gradients(form):
    e = experiment(form)
    _, (d_x, _, gradients) = e.run()
    for name in given_back(form):
        assert name in BACKWARD[cell(form)]
        if name == "d_x":
            actual, expected = d_x, complex_step(lambda x: e.loss(x=x), e.x)
        elif name in gradients:
            actual = gradients[name]
            expected = complex_step(lambda w, name=name: e.loss(weights={name: w}), e.weights[name])
        else:
            actual, expected = seen(form)[name], e.adjoint(name.removeprefix("d_"))
        blocks = e.kernel.peephole_gates if name == "weight_ch" else [name]  # each by its own scale
        for one, other in zip(np.split(actual, len(blocks)), np.split(expected, len(blocks))):
            assert relative_error(one, other) < 1e-13, name


@FORMS
def test_the_state_enters_the_first_step_and_leaves_the_last(form):
    e, s = experiment(form), seen(form)
    (output, last, _), (_, d_first, _) = e.run()
    assert np.array_equal(output, s["h"])
    for name, initial, final, d_initial in zip("hc", e.state, last, d_first):
        assert np.array_equal(final, s[name][-1])
        assert np.array_equal(s[f"{name}_prev"][0], initial)
        assert np.array_equal(s[f"{name}_prev"][1:], s[name][:-1])
        assert np.array_equal(d_initial, s[f"d_{name}_prev"][0])


@pytest.mark.parametrize("name", ["h_prev", "c_prev", *(f"{z}{gate}" for z in ("z_", "") for gate in "ifgo"), "c", "h"])
def test_the_computation_goes_on_with_what_a_probe_returns(name):
    """Replaced at the last step, a value reaches the final state; its shape and the values before do not change."""

    def shift(n, t, value):
        return value + 0.5 if (n, t) == (name, 3) else value

    (output, (h_n, c_n), _), _ = experiment("lstm").run()
    (moved, (moved_h_n, moved_c_n), _), _ = experiment("lstm").run(shift)
    assert np.array_equal(moved[:3], output[:3])
    assert np.abs(moved_h_n - h_n).min() > 1e-6
    assert np.array_equal(moved_c_n, c_n) == (name in ("z_o", "o", "h"))
    if name == "h":
        assert np.array_equal(moved_h_n, h_n + 0.5)


@pytest.mark.parametrize("name", ["d_h", "d_c", *(f"d_z_{gate}" for gate in "ifgo"), "d_h_prev", "d_c_prev"])
def test_backward_goes_on_with_what_a_probe_returns(name):
    """An adjoint replaced at the first step reaches the gradient of the initial state."""
    _, (_, d_state, _) = experiment("lstm").run()
    _, (_, moved, _) = experiment("lstm").run(lambda n, t, value: value + 0.5 if (n, t) == (name, 0) else value)
    assert not all(np.array_equal(a, b) for a, b in zip(d_state, moved))


def test_a_probe_that_changes_nothing_changes_no_bit():
    plain, probed = experiment("lstm").run(), experiment("lstm").run(lambda name, t, value: value)
    assert np.array_equal(plain[0][0], probed[0][0])
    assert np.array_equal(plain[1][0], probed[1][0])
    for name, gradient in plain[1][2].items():
        assert np.array_equal(gradient, probed[1][2][name])


def test_the_parameters_of_a_layer_with_peepholes():
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


def test_the_two_biases_of_a_candidate_are_two_parameters_only_after_the_product():
    after, before = (experiment(form).run()[1][2] for form in ("gru", "gru, reset before"))
    assert relative_error(after["bias_hh"][2 * H :], after["bias_ih"][2 * H :]) > 0.1
    assert np.array_equal(before["bias_hh"], before["bias_ih"])


def test_a_form_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="nonlinearity: expected one of tanh, relu, sigmoid, got 'gelu'"):
        RNNKernel("gelu")
    with pytest.raises(ValueError, match="proj_size: expected 0 with peepholes or coupled gates, got 2"):
        LSTM(3, H, proj_size=2, coupled=True, rng=np.random.default_rng(0))
