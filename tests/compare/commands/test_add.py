import json
import os
import shutil

import numpy as np
import pytest

from compare.binary_addition import Sums
from compare.cli import main
from compare.converter import read_arrays, write_arrays
from compare.lockstep import run_folder
from compare.lockstep.adding import Adding
from compare.lockstep.rounding import Rounding
from compare.lockstep.settings import Settings
from compare.lockstep.trainers import ManualTrainer, TorchTrainer
from compare.lockstep.training import Interruption, train
from compare.published.recipe_training import FromRecipe
from compare.published.recipes import RECIPES


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The folders of runs that were interrupted at the first step: one of settings, and two of recipes."""
    folder = tmp_path_factory.mktemp("runs")

    def stop(step):
        raise Interruption

    settings = Settings(cell="gru", layers=2, bidirectional=True, dtype="float32", bits=4, hidden_size=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "_draw", lambda run, path: path.touch())
        patch.setattr(run_folder.derivation, "write", lambda model, origin, path: path.touch())
        run_folder.write(train(Adding(settings), stop), folder / "gru")
        for name in ("scalar-bias-lstm", "lstm-layer"):
            run_folder.write(train(FromRecipe(RECIPES[name]), stop), folder / name)
    return folder


@pytest.fixture
def perfect(monkeypatch):
    """Networks that add, whatever their weights."""

    def logits(self, x):
        return Sums.adding(*x.astype(int).transpose(2, 0, 1)).targets("float64") - 0.5

    monkeypatch.setattr(ManualTrainer, "logits", logits)
    monkeypatch.setattr(TorchTrainer, "logits", logits)


@pytest.mark.slow
def test_both_sums_stand_below_the_numbers_and_the_carry(untrained, capsys, perfect):
    assert main(["add", str(untrained / "gru"), "11", "0b101"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "carry     11110",
        "a         01011  11",
        "+ b       00101  5",
        "manual    10000  16  right",
        "autograd  10000  16  right",
        "AGREE: relative error of the logits 0.0e+00",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["gru", "scalar-bias-lstm"])
def test_a_wrong_sum_is_no_disagreement(untrained, capsys, folder):
    assert main(["add", str(untrained / folder), "123456789", "987654321"]) == 0
    out = capsys.readouterr().out
    assert out.count("wrong, it is 1111111110") == 2 and "\nAGREE: relative error of the logits " in out


def test_numbers_may_be_of_any_size(untrained, capsys, perfect):
    a, b = 10**5000, 7**900
    assert main(["add", str(untrained / "gru"), f"1{5000 * '0'}", bin(b)]) == 0  # str(a) is refused as yet
    assert f"  {a + b}  right\n" in capsys.readouterr().out
    assert main(["add", str(untrained / "gru"), "0", "0"]) == 0
    assert "manual    0  0  right" in capsys.readouterr().out


def test_both_sides_have_the_weights_of_the_run(untrained, monkeypatch):
    seen = []
    monkeypatch.setattr(ManualTrainer, "logits", lambda side, x: seen.append(side.parameters) or np.ones((2, 1, 1)))
    monkeypatch.setattr(TorchTrainer, "logits", lambda side, x: seen.append(side.parameters) or np.ones((2, 1, 1)))
    assert main(["add", str(untrained / "gru"), "1", "1"]) == 0
    written, _ = read_arrays(untrained / "gru" / "weights.safetensors")
    for parameters in seen:
        assert {n: a.tobytes() for n, a in parameters.items()} == {n: a.tobytes() for n, a in written.items()}


def test_sides_that_disagree_are_1(untrained, capsys, monkeypatch):
    original = ManualTrainer.logits
    monkeypatch.setattr(ManualTrainer, "logits", lambda side, x: original(side, x) * np.float32(1.001))
    assert main(["add", str(untrained / "gru"), "5", "6"]) == 1
    assert "\nDISAGREE: relative error of the logits 1.0e-03" in capsys.readouterr().out


def test_logits_that_cannot_be_judged_are_undecided(untrained, capsys, monkeypatch):
    original = ManualTrainer.logits
    monkeypatch.setattr(ManualTrainer, "logits", lambda side, x: original(side, x) * np.float32(1.4))
    monkeypatch.setattr(Rounding, "explains", lambda *_: 0.5)
    assert main(["add", str(untrained / "gru"), "5", "6"]) == 5
    assert "\nUNDECIDED: relative error of the logits 4.0e-01, of which rounding" in capsys.readouterr().out


def test_an_error_of_the_hand_derived_side_is_1(untrained, capsys, monkeypatch):
    monkeypatch.setattr(ManualTrainer, "logits", lambda side, x: [].index(3))
    assert main(["add", str(untrained / "gru"), "5", "6"]) == 1
    assert capsys.readouterr().out.startswith("DISAGREE: manual: adding raised ValueError: ")


@pytest.mark.parametrize("number", ["-5", "1.5", "0x10", "many", "", "0b", "0b12", "1_000", "²", "1e3"])
@pytest.mark.parametrize("position", [0, 1])
def test_anything_but_a_whole_number_is_named(untrained, capsys, number, position):
    numbers = [number, "1"] if position == 0 else ["1", number]
    assert main(["add", str(untrained / "gru"), *numbers]) == 2
    said = f"{'AB'[position]}: expected a whole number of at least 0, as 123 or 0b1111011, got {number!r}"
    assert capsys.readouterr().err == f"python -m compare: {said}\n"


@pytest.mark.parametrize("summary", [None, "", "[]", "{}", '{"name": 3}', "nothing", "[" * 100_000])
def test_a_folder_that_is_no_run_is_named(tmp_path, capsys, summary):
    if summary is not None:
        (tmp_path / "summary.json").write_text(summary)
    assert main(["add", str(tmp_path), "1", "1"]) == 2
    assert capsys.readouterr().err == f"python -m compare: RUN: expected the folder of a run, got {tmp_path}\n"


def test_a_named_pipe_as_summary_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "summary.json")
    assert main(["add", str(tmp_path), "1", "1"]) == 2
    assert "RUN: expected the folder of a run, got" in capsys.readouterr().err


@pytest.mark.parametrize(
    "key, value", [("cell", "transformer"), ("hidden_size", 0), ("hidden_size", 3.0), ("layers", "two")]
)
def test_so_is_one_whose_summary_is_damaged(untrained, tmp_path, capsys, key, value):
    shutil.copytree(untrained / "gru", tmp_path / "run")
    path = tmp_path / "run" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert main(["add", str(tmp_path / "run"), "1", "1"]) == 2
    assert "RUN: expected the folder of a run, got" in capsys.readouterr().err


def test_a_run_on_another_task_is_named(untrained, capsys):
    assert main(["add", str(untrained / "lstm-layer"), "1", "1"]) == 2
    assert "RUN: expected a run on binary addition, got the recipe lstm-layer\n" in capsys.readouterr().err


def test_missing_and_damaged_weights_are_named(untrained, tmp_path, capsys):
    shutil.copytree(untrained / "gru", tmp_path / "run")
    weights = tmp_path / "run" / "weights.safetensors"
    arrays, layout = read_arrays(weights)
    write_arrays(weights, {name: 2 * array for name, array in arrays.items() if "bias" in name}, layout)
    assert main(["add", str(tmp_path / "run"), "1", "1"]) == 2
    assert "python -m compare: parameters: expected [" in capsys.readouterr().err
    weights.unlink()
    assert main(["add", str(tmp_path / "run"), "1", "1"]) == 2
    assert f"RUN: expected a folder with weights.safetensors, got {tmp_path / 'run'}" in capsys.readouterr().err
