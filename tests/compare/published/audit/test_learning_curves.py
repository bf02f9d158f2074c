from dataclasses import replace

import numpy as np
import pytest
from tiers import rarely

import manual
from compare.binary_addition import all_sums
from compare.cells import CELLS
from compare.published.audit.learning_curves import (
    EVERY,
    LearningCurve,
    Networks,
    Training,
    deepest_fall,
    depth,
    initial_weights,
    share_of_sums_right,
)
from compare.published.recipe_training import FromRecipe
from compare.published.recipes import RECIPES
from compare.published.systems import SYSTEMS
from compare.published.tasks import Addition

SMALL = replace(RECIPES["no-bias-lstm"], hidden_size=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scalar-bias-lstm", "no-bias-lstm", "trask-rnn", "lstm-class", "gru-layer"])
def test_training_side_by_side_is_training_in_lock_step(name):
    """The same weights as the manual side has after as many problems of the same recipe."""
    recipe, steps = replace(RECIPES[name], steps=7), 7
    lockstep = (experiment := FromRecipe(recipe)).set_up()
    for x, y in experiment.batches():
        lockstep.step(x, y)
    runs = Networks(Training(recipe, steps), [recipe.seed, recipe.seed + 1], steps)
    for number in range(steps):
        losses = runs.step(number)
    parameters = lockstep.manual.parameters
    for key in ("weight_ih", "weight_hh"):
        np.testing.assert_allclose(runs.weights[key][0], parameters[f"recurrent.{key}_l0"], rtol=0, atol=1e-13)
    if recipe.layout.biases:
        scalar = recipe.layout.biases == "scalar"
        bias = np.repeat(parameters["recurrent.bias_l0"], 32) if scalar else parameters["recurrent.bias_ih_l0"]
        np.testing.assert_allclose(runs.weights["bias"][0], bias, rtol=0, atol=1e-13)
    else:
        assert not runs.weights["bias"].any()
    if recipe.readout:
        np.testing.assert_allclose(runs.readout[0], parameters["readout.weight"], rtol=0, atol=1e-13)
    else:
        np.testing.assert_allclose(losses[0], lockstep.steps[-1].loss_manual, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scalar-bias-lstm", "matlab-rnn", "gru-layer"])
def test_sums_are_counted_as_the_layers_of_manual_would_answer_them(name):
    recipe = replace(RECIPES[name], hidden_size=3)
    curve = Training(recipe, 300).run([0, 1])
    problems = all_sums(8)
    for k, found in enumerate(share_of_sums_right(recipe, curve.weights, curve.readout)):
        layer = CELLS[recipe.cell].of(manual)(2, 3, rng=np.random.default_rng(0), **recipe.options)
        layer.parameters["weight_ih_l0"][...] = curve.weights["weight_ih"][k]
        layer.parameters["weight_hh_l0"][...] = curve.weights["weight_hh"][k]
        layer.parameters["bias_ih_l0"][...] = curve.weights["bias"][k]
        layer.parameters["bias_hh_l0"][...] = 0
        h, _, _ = layer.forward(problems.inputs(np.float64))
        assert found == problems.share_correct(h @ curve.readout[k].T)
        assert found == curve.values[-1, k]


def test_a_long_gradient_is_cut_and_a_short_one_is_not():
    free, cut, loose = (Training(SMALL, 1, most=most).run([0]) for most in (np.inf, 0.5, 1e3))
    (start, w_out) = initial_weights(replace(SMALL, seed=0))
    moved = np.sqrt(
        sum(((cut.weights[key][0] - start[key]) ** 2).sum() for key in start) + ((cut.readout[0] - w_out) ** 2).sum()
    )
    assert moved == pytest.approx(0.5 * SMALL.learning_rate)
    np.testing.assert_allclose(free.weights["weight_hh"], loose.weights["weight_hh"], rtol=1e-14)


@pytest.mark.slow
def test_an_output_of_exactly_one_half_reads_as_1_or_as_0():
    """Without biases the output is 0.5 as long as both numbers show zeros, and ``round`` makes it 1."""
    curve = Training(RECIPES["no-bias-lstm"], 1_500).run([0])
    one, zero = (
        share_of_sums_right(RECIPES["no-bias-lstm"], curve.weights, curve.readout, half) for half in (True, False)
    )
    assert zero > 0.9 and one <= 0.75


def test_groups_of_seeds_are_joined_to_what_they_are_together():
    training = Training(SMALL, 40, looks=(20,))
    parts = [training.run(seeds) for seeds in ([0], [1, 2])]
    joined, whole = LearningCurve.joined(parts), training.run([0, 1, 2])
    assert joined.problems == whole.problems == (20, 40)
    assert np.array_equal(joined.values, whole.values)
    for name, array in whole.weights.items():
        np.testing.assert_allclose(joined.weights[name], array, rtol=0, atol=1e-13)
    np.testing.assert_allclose(joined.readout, whole.readout, rtol=0, atol=1e-13)


def test_weights_that_overflowed_get_nothing_right():
    weights, readout = initial_weights(SMALL)
    stacked = {name: np.stack([array, array]) for name, array in weights.items()}
    stacked["weight_hh"][1] = np.nan
    right = share_of_sums_right(SMALL, stacked, np.stack([readout, readout]))
    assert right[1] == 0


def test_each_start_sees_its_own_problems_in_their_order():
    runs = Networks(Training(SMALL, 6), [4, 5], 6)
    for k, seed in enumerate((4, 5)):
        _, data = (recipe := replace(SMALL, seed=seed)).generators()
        for number, (x, y) in enumerate(recipe.task.batches(data, 6)):
            assert np.array_equal(runs.x[:, k, number], x[:, 0]) and np.array_equal(runs.y[:, k, number], y[:, 0])


@pytest.mark.exhaustive
def test_the_true_gradient_learns_what_the_published_does_not():
    true, published = (
        Training(RECIPES["no-bias-lstm"], 2_000, looks=(5,), departures=departures).run([0])
        for departures in ((), SYSTEMS["no-bias LSTM"].departures)
    )
    assert true.problems == (5, 2_000) and true.values.shape == (2, 1)
    assert true.values[-1, 0] > 0.8 > 0.1 > published.values[-1, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, problems, least",
    [
        ("scalar-bias-lstm", 2_000, 0.9),
        *rarely(
            ("concatenated-lstm", 2_000, 0.5),
            ("matlab-rnn", 8_000, 0.5),
            ("trask-rnn", 9_000, 0.9),
            ("gru-layer", 3_000, 0.9),
        ),
    ],
)
def test_each_recipe_for_sums_learns_them(name, problems, least):
    recipe = RECIPES[name]
    assert isinstance(recipe.task, Addition)
    curve = Training(recipe, problems, looks=(20,)).run([0, 1])
    assert curve.values[0].max() < 0.1 and curve.values[1].max() > least


def curve(values, problems):
    return LearningCurve(problems, np.array(values), {}, np.zeros((2, 1, 3)))


def test_a_fall_is_from_where_every_sum_was_right():
    values = [[0.2, 1.0, 1.0], [1.0, 0.4, 1.0], [0.9, 1.0, 1.0]]
    assert depth(curve(values, (1, 2, 3))) == pytest.approx([0.1, 0.6, 0.0])


@pytest.mark.slow
def test_the_network_that_fell_most_is_followed_from_the_look_before_to_the_look_after():
    training = Training(replace(RECIPES["no-bias-lstm"], hidden_size=3), 150, looks=(50, 100))
    found = deepest_fall(training, curve([[1.0, 1.0], [1.0, 0.4], [0.9, 0.8]], (50, 100, 150)), range(7, 9))
    assert (found["seed"], found["first"], len(found["steps"])) == (8, 50, 100)
    assert found["problems"] == list(range(50 + EVERY, 151, EVERY)) and min(found["steps"]) > 0
    end = replace(training, problems=150).run([8])
    assert found["values"][-1] == end.values[-1, 0]
