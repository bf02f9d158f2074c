import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from compare.cli import main
from compare.published import audit as auditing
from compare.published import audit_figures, vanishing
from compare.published.audit import RECIPE_OF, audit
from compare.published.systems import SYSTEMS
from compare.published.trainings import MISTAKES, REPAIRS, TRAININGS, TRIALS

pytestmark = pytest.mark.slow  # they share an audit that takes seconds


@pytest.fixture(scope="module")
def found():
    """An audit of two starts and a two-hundredth of the problems, in one thread of this process."""
    progress = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            auditing,
            "_executor",
            lambda done: ThreadPoolExecutor(1, initializer=auditing._count_in, initargs=(done,)),
        )
        patch.setattr(vanishing, "STEPS", 8)
        patch.setattr(vanishing, "BACK", (0, 4, 8))
        results = audit(2, 0.005, lambda done, total: progress.append((done, total)))
    assert progress[-1][0] == progress[-1][1] == sum(round(0.005 * t.problems) for t in TRAININGS.values())
    return json.loads(json.dumps(results))


@pytest.fixture
def asked(monkeypatch, found):
    """How much work the command asks for; it is given what there is."""
    calls = []

    def small(starts, share, progress):
        calls.append((starts, share))
        return found

    monkeypatch.setattr("compare.commands.audit.audit", small)
    monkeypatch.setattr("compare.published.audit_tables.STEPS_BACK", ())
    return calls


@pytest.mark.slow
def test_every_system_is_audited_and_every_departure_found_at_its_place(found):
    assert list(found["systems"]) == list(SYSTEMS) == list(RECIPE_OF)
    for name, system in found["systems"].items():
        assert sorted(system["found"]) == sorted(system["expected"]), name


@pytest.mark.slow
def test_gradients_are_measured_from_four_times_as_many_starts(found):
    for name, system in found["systems"].items():
        assert len(system["at_start"]["error"]) == len(system["at_start"]["cosine"]) == 8
        if SYSTEMS[name].departures:
            assert min(system["at_start"]["error"]) > 0.2 and max(system["at_start"]["cosine"]) < 0.9999
        else:
            assert max(system["at_start"]["error"] + system["after_training"]["error"]) < 1e-12
    assert found["systems"]["LSTM layer, program"]["after_training"] is None


@pytest.mark.slow
def test_trials_compare_the_same_starts_after_the_same_problems(found):
    assert list(found["trials"]) == list(TRIALS)
    for trial in found["trials"].values():
        true, published = np.array(trial["true"]), np.array(trial["published"])
        assert true.shape == published.shape == (len(trial["problems"]), 2)
    assert found["trials"]["RNN, Python"]["true"] == found["trials"]["RNN, Python"]["published"]
    assert found["trials"]["no-bias LSTM"]["true"] != found["trials"]["no-bias LSTM"]["published"]


def test_a_repair_that_leaves_everything_or_nothing_wrong_is_the_published_or_the_true_gradient():
    assert set(MISTAKES) == set(REPAIRS["everything wrong, as published"]) and not REPAIRS["nothing wrong"]
    for repair, same in (
        ("everything wrong, as published", "no-bias LSTM, published"),
        ("nothing wrong", "no-bias LSTM, true"),
    ):
        ours, theirs = (
            replace(TRAININGS[name], problems=10).run(1, 1.0, lambda problems: None).weights["weight_hh"]
            for name in (repair, same)
        )
        assert np.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_the_commented_out_line_overflows(found):
    assert found["commented_line"] == {"problems": 5, "not_a_number": 2}


@pytest.mark.slow
def test_the_command_prints_and_draws_what_it_finds(tmp_path, capsys, asked):
    assert main(["audit", "--out", str(tmp_path)]) == 0
    assert asked == [(25, 1.0)]
    printed = capsys.readouterr()
    assert printed.err == ""
    for name in SYSTEMS:
        assert re.search(rf"^\| {re.escape(name)} +\| \d+ +\| [\d.]+", printed.out, re.MULTILINE), name
    assert "not as listed" not in printed.out
    assert "(L9) d_c: " in printed.out
    for figure in ("answer.png", "audit.png", "carry.png"):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert json.loads((tmp_path / "audit.json").read_text())["systems"].keys() == SYSTEMS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("options, work", [(["--quick"], (2, 0.05)), (["--quick", "--starts", "7"], (7, 0.05))])
def test_as_json_it_prints_the_same_and_nothing_else(options, work, tmp_path, capsys, asked, monkeypatch):
    monkeypatch.setattr(audit_figures, "draw_trials", lambda results, path: path.touch())  # which takes its time
    assert main(["audit", *options, "--json", "--out", str(tmp_path)]) == 0
    assert asked == [work]
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "audit.json").read_text())
    layer = printed["systems"]["LSTM layer, program"]
    assert {fault["equation"] for fault in layer["faults"]} == {"L8", "L9", "L17", "L19"}


@pytest.mark.parametrize(
    "options, message",
    [
        (["--starts", "0"], "starts: expected at least 1, got 0"),
        (["--out", "{}/file/folder"], "out: expected a writable folder, got"),
    ],
)
def test_bad_input_is_named_before_any_work(options, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["audit", *(option.format(tmp_path) for option in options)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
