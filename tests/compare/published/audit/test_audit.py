import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from compare.cli import main
from compare.commands.audit import FILES
from compare.published.audit import audit as auditing
from compare.published.audit import figures, vanishing
from compare.published.audit.audit import audit, deviation, gradient_check
from compare.published.audit.learning_curves import initial_weights
from compare.published.audit.trainings import MISTAKES, REPAIRS, TRAININGS, TRIALS, compared
from compare.published.systems import SYSTEMS, System, truth

pytestmark = pytest.mark.slow  # they share an audit that takes seconds


class Pickling(ThreadPoolExecutor):
    """One thread, which is given and gives what a process of its own could be sent."""

    def submit(self, task, *arguments):
        def run(sent):
            task, *arguments = pickle.loads(sent)
            return pickle.loads(pickle.dumps(task(*arguments)))

        return super().submit(run, pickle.dumps([task, *arguments]))


@pytest.fixture(scope="module")
def found():
    """An audit of two seeds and a two-hundredth of the problems, in one thread of this process."""
    progress = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auditing, "_executor", lambda: Pickling(1))
        patch.setattr(auditing, "TOGETHER", 1)
        patch.setattr(vanishing, "STEPS", 8)
        patch.setattr(vanishing, "BACK", (0, 4, 8))
        results = audit(3, 2, 0.005, lambda done, total: progress.append((done, total)))
    assert progress[-1][0] == progress[-1][1] == 2 * sum(round(0.005 * t.problems) for t in TRAININGS.values())
    return json.loads(json.dumps(results))


@pytest.fixture
def asked(monkeypatch, found):
    """How much work the command asks for; it is given what there is."""
    calls = []

    def small(first_seed, seeds, share, progress):
        calls.append((first_seed, seeds, share))
        return found

    monkeypatch.setattr("compare.commands.audit.audit", small)
    monkeypatch.setattr("compare.published.audit.tables.STEPS_BACK", ())
    return calls


@pytest.mark.exhaustive
def test_every_system_is_audited_and_every_departure_found_at_its_place(found):
    assert list(found["systems"]) == list(SYSTEMS)
    for name, system in found["systems"].items():
        assert sorted(system["found"]) == sorted(system["expected"]), name


@pytest.mark.slow
def test_gradients_are_measured_from_every_seed(found):
    for name, system in found["systems"].items():
        assert len(system["at_start"]["error"]) == len(system["at_start"]["cosine"]) == 2
        if SYSTEMS[name].departures:
            assert min(system["at_start"]["error"]) > 0.2 and max(system["at_start"]["cosine"]) < 0.9999
        else:
            assert max(system["at_start"]["error"] + system["after_training"]["error"]) < 1e-12
    assert found["systems"]["LSTM layer, program"]["after_training"] is None


@pytest.mark.slow
def test_trials_compare_the_same_seeds_after_the_same_problems(found):
    assert list(found["trials"]) == list(TRIALS)
    for trial in found["trials"].values():
        true, published = np.array(trial["true"]), np.array(trial["published"])
        assert true.shape == published.shape == (len(trial["problems"]), 2)
    assert found["trials"]["RNN, Python"]["true"] == found["trials"]["RNN, Python"]["published"]
    assert found["trials"]["no-bias LSTM"]["true"] != found["trials"]["no-bias LSTM"]["published"]


def test_mistakes_are_all_departures_and_whole_networks_are_repairs_as_well(found):
    assert {d for mistake in MISTAKES.values() for d in mistake} == set(SYSTEMS["no-bias LSTM"].departures)
    assert set(found["repairs"]) == {"problems", "nothing wrong", "everything wrong, as published", *REPAIRS}


def test_comparisons_are_of_equal_units_and_equal_losses(found):
    assert len(found["compared"]) == 16 and found["first_seed"] == 3
    for one in found["compared"]:
        recipe = TRAININGS[compared(one["cell"], one["units"], one["loss"])].recipe
        assert (recipe.hidden_size, recipe.loss) == (one["units"], one["loss"])
        assert recipe.cell == one["cell"].lower() and recipe.learning_rate == 0.1


def test_the_error_cannot_fall_below_half_of_the_leading_zeros(found):
    """The mean over all problems, counted one by one."""
    floors = [0.5 * min(bin(a | b | 256)[::-1].index("1"), 8) for a in range(1, 129) for b in range(1, 128)]
    assert found["error_floor"] == pytest.approx(np.mean(floors), rel=1e-12)


@pytest.mark.slow
def test_the_commented_out_line_overflows(found):
    assert found["commented_line"] == {"problems": 5, "not_a_number": 2}


@pytest.mark.exhaustive
def test_the_command_prints_and_draws_what_it_finds(tmp_path, capsys, asked):
    assert main(["audit", "--out", str(tmp_path)]) == 0
    assert asked == [(0, 100, 1.0)]
    printed = capsys.readouterr()
    assert printed.err == ""
    for name in SYSTEMS:
        assert re.search(rf"^\| {re.escape(name)} +\| \d+ +\| [\d.]+", printed.out, re.MULTILINE), name
    assert "not as listed" not in printed.out
    assert re.search(r"^    \(L9\) d_c\b", printed.out, re.MULTILINE)
    for figure in FILES[1:]:
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert json.loads((tmp_path / "audit.json").read_text())["systems"].keys() == SYSTEMS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, work", [(["--quick"], (0, 2, 0.05)), (["--quick", "--seeds", "7", "--seed", "100"], (100, 7, 0.05))]
)
def test_as_json_it_prints_the_same_and_nothing_else(options, work, tmp_path, capsys, asked, monkeypatch):
    monkeypatch.setattr(figures, "draw_trials", lambda results, path: path.touch())  # which takes its time
    assert main(["audit", *options, "--json", "--out", str(tmp_path)]) == 0
    assert asked == [work]
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "audit.json").read_text())
    layer = printed["systems"]["LSTM layer, program"]
    assert {fault["equation"] for fault in layer["faults"]} == {"L8", "L9", "L17", "L19"}


@pytest.mark.parametrize(
    "options, message",
    [
        (["--seeds", "0"], "seeds: expected at least 1, got 0"),
        (["--seed", "-1"], "seed: expected at least 0, got -1"),
        (["--out", "{}/file/folder"], "out: expected a writable folder, got"),
    ],
)
def test_bad_input_is_named_before_any_work(options, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["audit", *(option.format(tmp_path) for option in options)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_gradient_is_summed_over_as_many_problems_as_the_recipe_has():
    for name, problems in (("LSTM layer, program", 1), ("LSTM class", 100), ("scalar-bias LSTM", 256)):
        assert deviation(SYSTEMS[name], *initial_weights(SYSTEMS[name].recipe)).problems == problems


def test_a_deviation_is_of_all_gradients_as_one_vector():
    @dataclass(frozen=True)
    class Half(System):
        """A system whose gradient is half the true one."""

        def solve(self, problem):
            answer = truth(self, problem).answer
            for gradient in answer.gradients.values():
                gradient /= 2
            return answer

    half = Half(**vars(SYSTEMS["no-bias LSTM"]))
    found = deviation(half, *initial_weights(half.recipe))
    assert found.error == pytest.approx(0.5) and found.cosine == pytest.approx(1)


def test_the_published_check_could_not_see_with_two_steps_what_a_third_shows():
    check = gradient_check(range(3))
    recurrent = [name for name in check[2] if name.startswith("weight_hh")]
    assert all(max(check[2][name]) < 1e-12 for name in recurrent) and len(recurrent) == 4
    assert min(check[3]["weight_hh_f"]) > 0.05  # the one it looked at
    assert len(set(check[3]["weight_hh_f"])) == 3  # of three starts
    for name in ("bias_i", "bias_o", "bias_g", "weight_ih_i", "weight_ih_g"):
        assert min(check[2][name]) > 0.05, name
