from functools import partial

import numpy as np
import pytest

import manual
from compare.checker.derivations.problem import Answer
from compare.published.audit.audit import place
from compare.published.audit.trainings import TRAININGS
from compare.published.departures import Departing, DepartingLSTM, row_for_one_number
from compare.published.networks import LSTMTrace, lstm_forward
from compare.published.programs import lstm_class, lstm_layer
from compare.published.scalar_bias import summed_over_units
from compare.published.systems import SYSTEMS, check_system, truth

T, B, D, H = 6, 3, 2, 4


def apart(one, other):
    """The largest difference of any gradient, relative to its scale."""
    assert one.keys() == other.keys() and all(one[name].shape == other[name].shape for name in one)
    return max(np.abs(one[name] - other[name]).max() / np.abs(other[name]).max() for name in one)


def departing(system, problem, departures, d_c_n=None):
    """What the layer that ``recipes`` trains computes with these departures; an RNN has none."""
    weights, x, d_output = system.weights(problem), problem.inputs["x"], problem.d_outputs["output"]
    kind = (
        partial(DepartingLSTM, tuple(departures))
        if system.recipe.cell == "lstm"
        else partial(system.form.layer, manual)
    )
    layer = kind(D, H, rng=np.random.default_rng(0))
    for name, array in layer.parameters.items():
        array[...] = 0 if name == "bias_hh_l0" else weights[name.removesuffix("_l0").replace("bias_ih", "bias")]
    output, _, tape = layer.forward(x)
    d_last = None if d_c_n is None else (np.zeros((1, B, H)), d_c_n[None])
    gradients = layer.backward(tape, d_output, d_last)[2]
    own = {name: gradients[f"{name.replace('bias', 'bias_ih')}_l0"] for name in ("weight_ih", "weight_hh", "bias")}
    is_scalar = system.recipe.layout.biases == "scalar" and row_for_one_number not in departures
    return Answer({"output": output}, {}, system.express(summed_over_units(own) if is_scalar else own))


@pytest.mark.parametrize("name", SYSTEMS)
def test_with_all_its_departures_our_gradient_is_the_published_one_and_with_none_autograds(name, rng):
    system = SYSTEMS[name]
    problem = system.problem(rng, T, B, D, H)
    published, right = system.solve(problem), truth(system, problem).answer
    if system.recipe.layout.biases == "scalar":  # the gradient of a gate's one number, instead of each unit's
        biases = (name for name in right.gradients if name.startswith("bias"))
        right.gradients.update({name: np.full(H, right.gradients[name].sum()) for name in biases})
    for departures, expected in ((system.departures, published), ((), right)):
        ours = departing(system, problem, departures)
        assert apart(ours.outputs, expected.outputs) < 1e-14
        assert apart(ours.gradients, expected.gradients) < 1e-12


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_of_them_is_wrong_alone_and_without_it_the_rest_is_not_the_published_one_unless_it_is_dormant(name, rng):
    system = SYSTEMS[name]
    problem = system.problem(rng, T, B, D, H)
    published, right = system.solve(problem).gradients, departing(system, problem, ()).gradients
    for departure in system.departures:
        assert apart(departing(system, problem, [departure]).gradients, right) > 1e-3, departure.words
        rest = [other for other in system.departures if other is not departure]
        error = apart(departing(system, problem, rest).gradients, published)
        assert error < 1e-12 if departure in system.dormant else error > 1e-3, departure.words


def test_what_is_dormant_in_the_class_wakes_up_with_a_gradient_of_the_last_c(rng):
    system, d_c_n = SYSTEMS["LSTM class"], rng.normal(size=(B, H))
    problem = system.problem(rng, T, B, D, H)
    trace = lstm_forward(system.weights(problem), problem.inputs["x"])
    published = system.express(lstm_class(trace, problem.d_outputs["output"], d_c_n=d_c_n))
    assert apart(departing(system, problem, system.departures, d_c_n).gradients, published) < 1e-12
    for departure in system.departures:
        rest = [other for other in system.departures if other is not departure]
        assert apart(departing(system, problem, rest, d_c_n).gradients, published) > 1e-3, departure.words


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_localiser_finds_every_place_where_a_departure_shows_and_no_other(name):
    checked = check_system(SYSTEMS[name], seed=1)
    expected = {shown for departure in SYSTEMS[name].departures for shown in departure.found_at}
    assert {place(fault) for fault in checked.faults} == expected
    assert checked.agrees is (not expected)


def test_a_departure_reads_what_the_pass_went_on_with():
    double = Departing([], {}, np.zeros((2, 1, D)), np.zeros((2, 1, H)))
    value = np.ones((1, H))
    kept = double("c_l0", 1, value)
    value += 1
    np.testing.assert_array_equal(double["c", 1], kept)


# What is peculiar to one of them.


def test_the_layer_is_trained_on_sums_by_what_its_calls_for_each_step_add_up_to(rng):
    system = SYSTEMS["LSTM layer, program"]
    problem = system.problem(rng, T, B, D, H)
    trace, d_output = lstm_forward(system.weights(problem), problem.inputs["x"]), problem.d_outputs["output"]
    total = dict.fromkeys(("weight_ih", "weight_hh", "bias"), 0)
    for t in range(1, T + 1):
        arrays = {key: a if key == "weights" else a[:t] for key, a in vars(trace).items()}
        part = lstm_layer(LSTMTrace(**arrays), d_output[:t], None)
        total = {key: total[key] + part[key] for key in total}
    trained = [one for one in TRAININGS["LSTM layer, adding"].departures if one is not row_for_one_number]
    assert apart(departing(system, problem, trained).gradients, system.express(total)) < 1e-12


def test_with_no_bias_zeros_say_one_half_whatever_the_weights(rng):
    system = SYSTEMS["no-bias LSTM"]
    problem = system.problem(rng, T, B, D, H)
    problem.inputs["x"][:3] = 0
    h = system.solve(problem).outputs["output"]
    assert not h[:3].any() and h[3:].all()
