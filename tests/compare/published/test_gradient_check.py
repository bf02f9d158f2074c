"""The gradient check of a recipe finds what the published gradients have wrong, parameter by parameter."""

import re

import numpy as np
import pytest

from compare.cli import main
from compare.published.recipe_training import FromRecipe, changed

SMALL = {"no-bias-lstm": ["--hidden-size", "3"], "scalar-bias-lstm": ["--hidden-size", "3"], "trask-rnn": []}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_true_gradient_agrees_in_every_element(name, capsys):
    assert main(["recipes", name, *SMALL[name], "--check-gradient"]) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    pairs = re.findall(r"^weights\(\d+,\d+\): expected - actual (\S+) - (\S+)$", "\n".join(lines), re.MULTILINE)
    recipe = changed(name, {"hidden_size": int(SMALL[name][1])} if SMALL[name] else {})
    assert len(pairs) == sum(a.size for a in FromRecipe(recipe).set_up().manual.optimizer.parameters.values())
    expected, actual = np.array(pairs, float).T
    assert np.abs(expected - actual).max() < 1e-3 * np.abs(actual).max()
    assert verdict.startswith("AGREE: all ")


@pytest.mark.parametrize(
    "name, gradient, wrong",
    [
        ("lstm-layer", "published", "weight_ih_i, weight_ih_g, weight_ih_o, bias_ih_i, bias_ih_g, bias_ih_o"),
        ("lstm-layer", "last-input-only", "weight_ih_i, weight_ih_g, weight_ih_o"),
        ("lstm-layer", "bias-o-from-f", "bias_ih_o"),
    ],
)
def test_what_a_departure_makes_wrong_is_named(name, gradient, wrong, capsys):
    assert main(["recipes", name, "--check-gradient", "--gradient", gradient]) == 1
    verdict = capsys.readouterr().out.splitlines()[-1]
    assert verdict.startswith(f"DISAGREE: wrong: {wrong}; largest relative difference ")


@pytest.mark.parametrize("options", [[], ["no-bias-lstm", "--problems", "3"]])
def test_it_is_of_one_problem_of_a_recipe(options, capsys):
    assert main(["recipes", *options, "--check-gradient"]) == 2
    assert "check_gradient: expected the name of a recipe" in capsys.readouterr().err
