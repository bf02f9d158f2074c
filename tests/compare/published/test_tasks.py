import re
from dataclasses import replace

import numpy as np
import pytest

from compare.lockstep.lockstep import Step
from compare.published.recipe_training import FromRecipe
from compare.published.recipes import RECIPES
from compare.published.tasks import Addition, GradientCheck, Moment, Regression


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


def moment(step, logits, x, y):
    return Moment(step, 99_999, Says(logits), x, y, [])


@pytest.mark.parametrize(
    "name, count", [("scalar-bias-lstm", 99), ("no-bias-lstm", 99), ("matlab-rnn", 20), ("trask-rnn", 10)]
)
def test_as_much_is_printed_as_by_the_author(name, count):
    recipe = RECIPES[name]
    x, y = next(recipe.task.batches(np.random.default_rng(3), 1))
    logits = np.zeros_like(y)
    printed = [n for n in range(1, recipe.steps + 1) if recipe.task.look(moment(n, logits, x, y))]
    assert len(printed) == count
    assert printed[0] == (1 if "rnn" in name else 1000)


@pytest.mark.parametrize(
    "name, form",
    [
        ("scalar-bias-lstm", "Error:{e:.5g}|Pred:{p}|True:{t}|{a} + {b} = {s}|-------3000------"),
        ("no-bias-lstm", "Error:{e:.5g}|Pred:{p}|True:{t}|-------------"),
        ("matlab-rnn", "Error:{e:.5g}|Pred:{p}|True:{t}|ans =||     1     8||-------------"),
        ("trask-rnn", "Error:[ {e:.8f}]|Pred:{pa}|True:{ta}|{a} + {b} = {s}|------------"),
    ],
)
def test_a_sum_is_printed_as_its_author_prints_it(name, form):
    task = replace(RECIPES[name].task, first=1000)
    x, y = next(task.batches(np.random.default_rng(3), 1))
    a, b = operands(x)[:, 0].astype(int)
    logits = np.where(y == 1, 2.0, -2.0)
    logits[2] *= -1  # the third bit is wrong
    look = task.look(moment(3000, logits, x, y))
    wrong, right = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(2.0))
    (error,) = look.values.values()
    assert error == pytest.approx(wrong + 7 * right)
    total = a + b
    p, t = f"{total ^ 4:08b}", f"{total:08b}"
    spaced = [f"[{' '.join(digits)}]" for digits in (p, t)]
    expected = form.format(e=error, p=p, t=t, pa=spaced[0], ta=spaced[1], a=a, b=b, s=total ^ 4)
    assert "|".join(look.lines) == expected


@pytest.mark.parametrize("one_target", [False, True])
def test_regression_goes_through_its_samples_in_order(one_target):
    task = Regression(one_target, inputs=3, units=5, steps=4, samples=6)
    pairs = list(task.batches(np.random.default_rng(0), 13))
    assert all(x.shape == (4, 1, 3) and y.shape == (4, 1, 5) for x, y in pairs)
    assert np.array_equal(pairs[0][0], pairs[6][0]) and np.array_equal(pairs[0][1], pairs[12][1])
    assert not np.array_equal(pairs[0][0], pairs[1][0])


def test_with_one_target_y_is_a_linear_map_of_x_and_otherwise_nothing_can_be_learnt():
    left = {}
    for one_target in (False, True):
        x, y = Regression(one_target, samples=200).data(np.random.default_rng(0), 200)
        rows, targets = x.reshape(-1, 10), y.reshape(-1, 20)
        residual = np.linalg.lstsq(rows, targets)[1]
        left[one_target] = residual.sum() / (targets**2).sum()
    assert left[True] < 0.01 and left[False] > 0.95


def test_an_epoch_prints_the_mean_of_its_losses_and_every_epoch_is_on_the_curve():
    class Now:
        def run(self, x, y):
            return type("Pass", (), {"loss": np.array(4.0)})

    task = Regression(samples=3)
    looks = {
        n: task.look(Moment(n, 900, Now(), None, None, [Step(loss, loss, {}, 0.0) for loss in (9.0, 1.0, 1.0)]))
        for n in range(1, 700)
    }
    assert [n for n, look in looks.items() if look] == list(range(3, 700, 3))
    assert [n for n, look in looks.items() if look and look.lines] == [3, 300, 600]
    assert looks[300] == ({task.error: 2.0}, ["Epoch 100/300, 平均损失: 2.000000"])


def test_the_class_predicts_a_new_sample_and_shows_its_first_five_steps():
    task, seen = Regression(inputs=3, units=2, steps=7), []

    class Predicts:
        def logits(self, x):
            seen.append(x)
            return np.arange(14.0).reshape(7, 1, 2) / 10

    *_, size, blank, heading, first, second = task.closing(Predicts(), np.random.default_rng(0))
    assert seen[0].shape == (7, 1, 3)
    assert size.endswith("2x7") and blank == "" and heading.startswith("前5")
    assert first == "    0.0000    0.2000    0.4000    0.6000    0.8000"
    assert second.split() == ["0.1000", "0.3000", "0.5000", "0.7000", "0.9000"]
    assert "LSTM" in task.opening()[0] and not Addition().opening() and not Addition().closing(None, None)


def test_the_check_is_of_the_published_sequence():
    x, y = next(GradientCheck().batches(np.random.default_rng(0), 1))
    assert x[:, 0].tolist() == [[1, 2, 3], [2, 3, 4]] and y.shape == (2, 1, 2)


@pytest.mark.slow
def test_the_check_prints_every_parameter_at_the_first_step_only():
    recipe = RECIPES["lstm-layer"]
    trainer = (experiment := FromRecipe(recipe)).set_up().manual
    for array in trainer.parameters.values():
        array *= 1e4  # so that no gradient is near zero
    x, y = next(experiment.batches())
    before = {name: array.copy() for name, array in trainer.parameters.items()}
    look = recipe.task.look(Moment(1, 1, trainer, x, y, []))
    assert all(np.array_equal(before[name], array) for name, array in trainer.parameters.items())
    names = [line for line in look.lines if "(" not in line]
    assert names == ["Wfh", "Wfx", "bf", "Wih", "Wix", "bi", "Woh", "Wox", "bo", "Wch", "Wcx", "bc"]
    pairs = re.findall(r"^weights\(\d,\d\): expected - actual (\S+) - (\S+)$", "\n".join(look.lines), re.MULTILINE)
    assert len(pairs) == 4 * (4 + 6 + 2)
    numeric, ours = np.array(pairs, float).T
    assert np.abs(numeric - ours).max() < 1e-5 < 1e-2 < np.abs(ours).max()
    assert recipe.task.look(Moment(2, 2, trainer, x, y, [])) is None
