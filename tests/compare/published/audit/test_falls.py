from dataclasses import replace

import numpy as np
import pytest

from compare.published.audit.falls import EVERY, deepest_fall, depth
from compare.published.audit.learning_curves import LearningCurve, Training
from compare.published.recipes import RECIPES


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
