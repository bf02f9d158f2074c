import json

import numpy as np
import pytest

from compare.benchmark.accuracy import SIDES, RoundingError, measure, ratio_to_manual
from compare.cli import main
from manual.fast.gru import FastGRU
from manual.fast.lstm import FastLSTM
from manual.fast.rnn import FastRNN

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).eps >= np.finfo(float).eps, reason="needs a long double wider than float64"
)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_all_sides_are_within_a_few_ulps(cell):
    errors = measure(cell, hidden_size=5, batch_size=3, lengths=[2, 9], seed=0)
    assert {error.side for error in errors} == set(SIDES)
    assert {error.T for error in errors} == {2, 9}
    assert len({(e.dtype, e.T, e.tensor, e.side) for e in errors}) == len(errors)
    assert all(0 <= error.rms <= error.worst < 50 for error in errors)
    assert all(
        max(e.worst for e in errors if (e.dtype, e.side) == key) > 0.2 for key in {(e.dtype, e.side) for e in errors}
    )


def test_the_ratio_is_the_geometric_mean():
    errors = [
        RoundingError("float32", 1, t, side, 9.0, rms) for side, rms in (("manual", 0.5), ("nn", 2.0)) for t in "ab"
    ]
    errors += [RoundingError("float32", 2, "a", "manual", 9.0, 1.0), RoundingError("float32", 2, "a", "nn", 9.0, 0.5)]
    assert ratio_to_manual(errors, "float32", "nn") == pytest.approx((4 * 4 * 0.5) ** (1 / 3))


def test_the_command_prints_both_dtypes_and_says_which_side_is_closer_to_the_truth(capsys):
    assert main(["accuracy", "--hidden-size", "5", "--batch-size", "3", "--lengths", "2", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("is closer to the truth") == 4
    assert "weight_hh_l0" in printed
    assert "T = 3" in printed


def test_the_command_prints_json(capsys):
    assert main(["accuracy", "--cell", "rnn", "--hidden-size", "5", "--lengths", "2", "--json"]) == 0
    assert {entry["dtype"] for entry in json.loads(capsys.readouterr().out)} == {"float32", "float64"}


@pytest.mark.parametrize("option", ["--hidden-size", "--batch-size", "--lengths"])
def test_a_size_below_1_is_named(option, capsys):
    assert main(["accuracy", option, "0"]) == 2
    name = option.removeprefix("--").replace("-", "_")
    assert capsys.readouterr().err == f"python -m compare: {name}: expected at least 1, got 0\n"


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("method", ["forward", "backward"])
def test_a_wrong_kernel_is_not_taken_for_the_truth(cell, method, monkeypatch, capsys):
    kind = {"lstm": FastLSTM, "gru": FastGRU, "rnn": FastRNN}[cell]
    original = getattr(kind, method)

    def wrong(*arguments):
        first, *rest = original(*arguments)
        return (first * (1 + 1e-9), *rest)

    monkeypatch.setattr(kind, method, wrong)
    assert main(["accuracy", "--cell", cell, "--hidden-size", "5", "--lengths", "3"]) == 1
    name = "output" if method == "forward" else "d_x"
    assert capsys.readouterr().out == f"DISAGREE: manual in long double at T = 3: wrong: {name}\n"


def test_a_gradient_that_is_missing_and_one_of_another_shape_are_named(monkeypatch, capsys):
    original = FastRNN.backward

    def wrong(*arguments):
        d_x, d_state, gradients = original(*arguments)
        return d_x, d_state, gradients | {"weight_ih": gradients["weight_ih"].T.copy(), "bias_hh": None}

    monkeypatch.setattr(FastRNN, "backward", wrong)
    assert main(["accuracy", "--cell", "rnn", "--hidden-size", "5", "--lengths", "3"]) == 1
    assert capsys.readouterr().out == (
        "DISAGREE: manual in float32 at T = 3: weight_ih_l0: shape (4, 5), expected (5, 4); "
        "bias_hh_l0: expected an array, got NoneType\n"
    )


def test_an_error_of_the_hand_derived_side_is_a_verdict(monkeypatch, capsys):
    monkeypatch.setattr(FastRNN, "forward", lambda *arguments: [].index(3))
    assert main(["accuracy", "--cell", "rnn", "--hidden-size", "5", "--lengths", "3"]) == 1
    assert capsys.readouterr().out.startswith("DISAGREE: manual: RNN at T = 3 raised ValueError: ")
