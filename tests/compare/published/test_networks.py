import numpy as np
import pytest
import torch
from oracles import relative_error

import manual
from compare.published.audit.learning_curves import departing_backward
from compare.published.networks import NETWORKS, gru_backward, gru_forward, lstm_backward, lstm_forward
from compare.published.systems import SYSTEMS, truth

T, B, D, H = 6, 3, 2, 4


def apart(one, other):
    """The largest relative error of any gradient."""
    assert one.keys() == other.keys()
    return max(relative_error(one[name], other[name]) for name in one)


def side_by_side(name, rng, S=2):
    """A system, a problem for each of S networks, and all of them as one."""
    system = SYSTEMS[name]
    problems = [system.problem(rng, T, B, D, H) for _ in range(S)]
    weights = [system.weights(problem) for problem in problems]
    stacked = {key: np.stack([w[key] for w in weights]) for key in weights[0]}
    x = np.stack([problem.inputs["x"] for problem in problems], axis=1)
    return system, problems, stacked, x, np.stack([p.d_outputs["output"] for p in problems], axis=1)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.slow
def test_networks_side_by_side_are_what_each_would_be_alone(name, rng):
    system, problems, weights, x, d_output = side_by_side(name, rng)
    forward, true = NETWORKS[system.recipe.cell]
    trace = forward(weights, x)
    for backward, answer in (
        (system.backward, lambda problem: system.solve(problem).gradients),
        (true, lambda problem: truth(system, problem).answer.gradients),
    ):
        together = backward(trace, d_output, None)
        for k, problem in enumerate(problems):
            gradients = system.express({key: array[k] for key, array in together.items()})
            assert apart(gradients, answer(problem)) < 1e-12


@pytest.mark.parametrize("name", [name for name, system in SYSTEMS.items() if system.departures])
def test_departures_can_be_made_in_networks_side_by_side(name, rng):
    system, _, weights, x, d_output = side_by_side(name, rng)
    trace = lstm_forward(weights, x)
    departed = departing_backward(system.departures)(trace, d_output, None)
    assert apart(departed, system.backward(trace, d_output, None)) < 1e-12
    assert apart(departing_backward(())(trace, d_output, None), lstm_backward(trace, d_output)) < 1e-15


def test_the_gru_is_that_of_manual(rng):
    layer = manual.GRU(D, H, reset_after=False, rng=rng)
    layer.parameters["bias_hh_l0"][...] = 0
    x, h_0, d_output = rng.normal(size=(T, B, D)), rng.normal(size=(1, B, H)), rng.normal(size=(T, B, H))
    output, _, tape = layer.forward(x, h_0)
    _, _, gradients = layer.backward(tape, d_output)
    names = {"weight_ih": "weight_ih_l0", "weight_hh": "weight_hh_l0", "bias": "bias_ih_l0"}
    weights = {name: np.stack([layer.parameters[theirs]] * 2) for name, theirs in names.items()}
    x, h_0, d_output = (np.stack([array] * 2, axis=axis) for array, axis in ((x, 1), (h_0[0], 0), (d_output, 1)))
    trace = gru_forward(weights, x, None, (h_0,))
    ours = gru_backward(trace, d_output)
    for k in range(2):
        assert relative_error(trace.h[:, k], output) < 1e-14
        for name, theirs in names.items():
            assert relative_error(ours[name][k], gradients[theirs]) < 1e-13


@pytest.mark.parametrize("cell", NETWORKS)
def test_a_run_can_be_cut_in_two_at_its_state(cell, rng):
    forward, count = NETWORKS[cell].forward, {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    shapes = {"weight_ih": (count * H, D), "weight_hh": (count * H, H), "bias": (count * H,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    x = rng.normal(size=(T, B, D))
    first = forward(weights, x[:2])
    second = forward(weights, x[2:], None, first.last_state)
    assert np.array_equal(np.concatenate([first.h, second.h]), forward(weights, x).h)


def test_the_matrix_that_carries_both_states_is_that_of_the_page(rng):
    """The product of the Jacobians in the answer to the layer's text, in its place of 式13, against autograd's."""
    weights = {"weight_ih": rng.normal(size=(4 * H, D)), "weight_hh": rng.normal(size=(4 * H, H))}
    trace = lstm_forward(weights | {"bias": rng.normal(size=4 * H)}, rng.normal(size=(T, 1, D)))
    W_i, W_f, W_c, W_o = np.split(weights["weight_hh"], 4)
    product = np.eye(2 * H)
    for j in range(1, T):  # from s_0, the state after the first step, to that after the last
        i, f, g, o, c, c_prev = (array[j, 0] for array in (trace.i, trace.f, trace.g, trace.o, trace.c, trace.c_prev))
        D_o, D_h = np.diag(np.tanh(c) * o * (1 - o)), np.diag(o * (1 - np.tanh(c) ** 2))
        D_f, D_i, D_c = np.diag(c_prev * f * (1 - f)), np.diag(g * i * (1 - i)), np.diag(i * (1 - g**2))
        A = D_f @ W_f + D_i @ W_i + D_c @ W_c
        product = np.block([[D_o @ W_o + D_h @ A, D_h @ np.diag(f)], [A, np.diag(f)]]) @ product

    layer = torch.nn.LSTM(D, H, bias=True, dtype=torch.float64)
    values = {"weight_ih_l0": weights["weight_ih"], "weight_hh_l0": weights["weight_hh"]}
    values |= {"bias_ih_l0": trace.weights["bias"], "bias_hh_l0": 0 * trace.weights["bias"]}
    layer.load_state_dict({name: torch.from_numpy(array) for name, array in values.items()})

    def last(state):
        h, c = state.view(2, 1, 1, H)
        return torch.cat([array.view(H) for array in layer(torch.from_numpy(trace.x[1:]), (h, c))[1]])

    state = torch.from_numpy(np.concatenate([trace.h[0, 0], trace.c[0, 0]]))
    right = torch.autograd.functional.jacobian(last, state).numpy()
    assert relative_error(product, right) < 1e-12
