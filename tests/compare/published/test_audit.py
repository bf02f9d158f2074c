import json
import re

import numpy as np
import pytest

from compare.cli import main
from compare.published.audit import RECIPE_OF, audit, distance, gradient_check
from compare.published.recipes import RECIPES
from compare.published.systems import SYSTEMS
from compare.published.training import drawn


@pytest.fixture(scope="module")
def found():
    return audit(0.001, 1)


@pytest.fixture
def asked(monkeypatch, found):
    """How much work the command asks for; it is given what there is."""
    calls = []

    def small(share, starts, say):
        calls.append((share, starts))
        return found

    monkeypatch.setattr("compare.commands.audit.audit", small)
    return calls


def test_every_system_is_audited_and_every_departure_found_at_its_place(found):
    assert [audited.system.name for audited in found.systems] == list(SYSTEMS) == list(RECIPE_OF)
    for audited in found.systems:
        assert sorted(audited.found) == sorted(audited.expected), audited.system.name


def test_right_gradients_are_at_no_distance_and_wrong_ones_are(found):
    for audited in found.systems:
        if audited.system.departures:
            assert audited.start.error > 0.2 and audited.start.cosine < 0.9999
        else:
            assert audited.start.error < 1e-12 and audited.trained.error < 1e-12
            assert audited.start.cosine == pytest.approx(1)


def test_the_gradient_of_the_no_bias_lstm_is_about_at_right_angles_to_the_true_one():
    system, recipe = SYSTEMS["no-bias LSTM"], RECIPES["no-bias-lstm"]
    assert abs(distance(system, recipe, *drawn(recipe)).cosine) < 0.3


def test_a_distance_is_of_all_gradients_as_one_vector():
    class Half:
        """A system whose gradient is half the true one."""

        cell, layout = "lstm", SYSTEMS["no-bias LSTM"].layout
        gates = SYSTEMS["no-bias LSTM"].gates
        express, weights = SYSTEMS["no-bias LSTM"].express, SYSTEMS["no-bias LSTM"].weights

        def solve(self, problem):
            from compare.published.systems import truth

            answer = truth(SYSTEMS["no-bias LSTM"], problem).answer
            for gradient in answer.gradients.values():
                gradient /= 2
            return answer

    recipe = RECIPES["no-bias-lstm"]
    found = distance(Half(), recipe, *drawn(recipe))
    assert found.error == pytest.approx(0.5) and found.cosine == pytest.approx(1)


def test_trials_compare_the_same_starts_on_the_same_problems(found):
    for trial in found.trials:
        assert trial.published.marks == trial.true.marks
        assert trial.published.values.shape == trial.true.values.shape == (len(trial.true.marks), 1)
        same = all(np.array_equal(trial.published.weights[n], trial.true.weights[n]) for n in trial.true.weights)
        assert not same or trial.title.startswith("RNN")
    titles = {trial.title for trial in found.trials}
    assert {"no-bias LSTM", "scalar-bias LSTM", "LSTM class", "RNN, MATLAB", "RNN, Python"} <= titles


def test_the_published_check_could_not_see_with_two_steps_what_a_third_shows():
    check = gradient_check()
    recurrent = [name for name in check[2] if name.startswith("weight_hh")]
    assert all(check[2][name] < 1e-12 for name in recurrent) and len(recurrent) == 4
    assert check[3]["weight_hh_f"] > 0.05  # the one it looked at
    for name in ("bias_i", "bias_o", "bias_g", "weight_ih_i", "weight_ih_g"):
        assert check[2][name] > 0.05, name


def test_the_command_prints_and_draws_what_it_finds(tmp_path, capsys, asked):
    assert main(["audit", "--out", str(tmp_path)]) == 0
    assert asked == [(1.0, 5)]
    printed = capsys.readouterr()
    assert printed.err == ""
    for name in SYSTEMS:
        assert re.search(rf"^{re.escape(name)} +[\d.e-]+ +[+-][\d.]+", printed.out, re.MULTILINE), name
    assert "not as listed" not in printed.out
    assert "(L9) d_c: what the step after hands back is missing, and tanh' is taken at c, not at tanh(c)" in printed.out
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert json.loads((tmp_path / "audit.json").read_text())["systems"].keys() == SYSTEMS.keys()


def test_as_json_it_prints_the_same_and_nothing_else(tmp_path, capsys, asked):
    assert main(["audit", "--quick", "--json", "--out", str(tmp_path)]) == 0
    assert asked == [(0.05, 2)]
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "audit.json").read_text())
    layer = printed["systems"]["LSTM layer, program"]
    assert layer["after_training"] is None and layer["found"] == [*dict.fromkeys(layer["found"])]
    assert {fault["equation"] for fault in layer["faults"]} == {"L8", "L9", "L17", "L19"}


def test_a_folder_that_cannot_be_written_to_is_named_before_any_work(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["audit", "--out", str(tmp_path / "file" / "folder")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "out: expected a writable folder, got" in line
