import re

import numpy as np
import pytest

from compare.published.recipes import RECIPES
from compare.published.tasks import Addition, GradientCheck, Regression


class Says:
    """A trainer whose logits are given."""

    def __init__(self, logits):
        self.given = logits

    def logits(self, x):
        return self.given


def operands(x):
    """The numbers in x (T, B, 2): (2, B)."""
    return (x * 2.0 ** np.arange(len(x))[:, None, None]).sum(axis=0).T


@pytest.mark.parametrize(
    "task, lowest, highest",
    [(Addition(), (1, 1), (128, 127)), (Addition(least=0, largest_a=127), (0, 0), (127, 127))],
)
@pytest.mark.parametrize("old", [False, True])
def test_operands_take_every_value_up_to_their_bounds_and_the_target_is_their_sum(task, lowest, highest, old):
    rng = np.random.RandomState(0) if old else np.random.default_rng(0)
    problems = task.problems(rng, 20_000)
    a, b = operands(problems.inputs(float))
    assert (a.min(), b.min()) == lowest and (a.max(), b.max()) == highest
    assert len(set(a)) == highest[0] - lowest[0] + 1 and len(set(b)) == highest[1] - lowest[1] + 1
    total = (problems.total * 2 ** np.arange(8)[:, None]).sum(axis=0)
    assert np.array_equal(total, a + b) and total.max() <= 255


def test_addition_is_given_one_problem_a_step():
    pairs = list(Addition().batches(np.random.default_rng(1), 4))
    assert len(pairs) == 4
    assert all(x.shape == (8, 1, 2) and y.shape == (8, 1, 1) for x, y in pairs)
    assert any(not np.array_equal(pairs[0][0], x) for x, _ in pairs[1:])


@pytest.mark.parametrize(
    "name, count", [("scalar-bias-lstm", 99), ("no-bias-lstm", 99), ("matlab-rnn", 20), ("trask-rnn", 10)]
)
def test_as_much_is_printed_as_by_the_author(name, count):
    recipe = RECIPES[name]
    printed = [step for step in range(1, recipe.steps + 1) if recipe.task.printed(step)]
    assert len(printed) == count
    assert printed[0] == (1 if "rnn" in name else 1000)


def test_a_sum_is_printed_as_its_author_prints_it():
    x, y = next(Addition(first=1).batches(np.random.default_rng(3), 1))
    a, b = operands(x)[:, 0].astype(int)
    logits = np.where(y == 1, 2.0, -2.0)
    logits[2] *= -1  # the third bit is wrong
    error, said, true, total, rule = Addition().lines(3000, Says(logits), x, y, [])
    wrong, right = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(2.0))
    assert float(error.removeprefix("Error: ")) == pytest.approx(wrong + 7 * right, abs=1e-8)
    bits = [int(bit) for bit in re.findall(r"[01]", true)]
    assert bits == [(a + b) >> k & 1 for k in range(7, -1, -1)]
    assert [int(bit) for bit in re.findall(r"[01]", said)] == [bit ^ (k == 5) for k, bit in enumerate(bits)]
    assert total == f"{a} + {b} = {(a + b) ^ 4}"
    assert rule.endswith("3,000")


@pytest.mark.parametrize("one_target", [False, True])
def test_regression_goes_through_its_samples_in_order(one_target):
    task = Regression(one_target, inputs=3, units=5, steps=4, samples=6)
    pairs = list(task.batches(np.random.default_rng(0), 13))
    assert all(x.shape == (4, 1, 3) and y.shape == (4, 1, 5) for x, y in pairs)
    assert np.array_equal(pairs[0][0], pairs[6][0]) and np.array_equal(pairs[0][1], pairs[12][1])
    assert not np.array_equal(pairs[0][0], pairs[1][0])


def test_with_one_target_y_is_a_linear_map_of_x_and_else_nothing_is_to_be_learnt():
    left = {}
    for one_target in (False, True):
        x, y = Regression(one_target, samples=200).data(np.random.default_rng(0), 200)
        rows, targets = x.reshape(-1, 10), y.reshape(-1, 20)
        residual = np.linalg.lstsq(rows, targets)[1]
        left[one_target] = residual.sum() / (targets**2).sum()
    assert left[True] < 0.01 and left[False] > 0.95


def test_an_epoch_prints_the_mean_of_its_losses():
    class Now:
        def run(self, x, y):
            return type("Pass", (), {"loss": np.array(4.0)})

    task = Regression(samples=3)
    assert [step for step in range(1, 700) if task.printed(step)] == [3, 300, 600]
    assert task.lines(300, Now(), None, None, [9.0, 1.0, 1.0]) == ["Epoch 100, mean loss: 2.000000"]


def test_the_check_is_of_the_published_sequence():
    x, y = next(GradientCheck().batches(np.random.default_rng(0), 1))
    assert x[:, 0].tolist() == [[1, 2, 3], [2, 3, 4]] and y.shape == (2, 1, 2)
