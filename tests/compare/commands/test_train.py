import json
import os
import signal

import pytest

from compare.cli import main
from compare.lockstep.checkpoint import NAME, Checkpoint
from compare.lockstep.lockstep import Lockstep
from compare.published.tasks import Look

SMALL = ["--steps", "6", "--hidden-size", "3", "--bits", "4", "--batch-size", "6"]
RECIPE = ["--recipe", "matlab-rnn", "--steps", "6"]
EVERY = ["--checkpoint-every", "100"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    # Steps that are not the run's.
    monkeypatch.setattr("compare.commands.runs.running._foretold", lambda given, steps: "")


@pytest.fixture
def interrupted(monkeypatch):
    """Trains with some arguments, interrupted by SIGINT after four steps."""
    original = Lockstep.step

    def step(self, x, y):
        taken = original(self, x, y)
        if len(self.steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return taken

    def train(*arguments: str) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(Lockstep, "step", step)
            return main(["train", *arguments])

    return train


def results(folder) -> tuple[dict, bytes, bytes]:
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds_per_step"]
    return summary, (folder / "steps.csv").read_bytes(), (folder / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("arguments", [SMALL, RECIPE], ids=["settings", "recipe"])
@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(tmp_path, capsys, interrupted, arguments):
    assert interrupted(*arguments, *EVERY, "--out", "run") == 130
    assert capsys.readouterr().out.splitlines()[-1].startswith("INTERRUPTED after 4 steps in float64; the sides agreed")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["verdict"] == "interrupted"
    assert main(["train", "--resume", "run"]) == main(["train", *arguments, "--out", "whole"]) == 0
    assert results(tmp_path / "run") == results(tmp_path / "whole")
    assert not (tmp_path / "run" / NAME).exists()


@pytest.mark.exhaustive
def test_a_recipe_s_error_curve_goes_on_where_it_was(tmp_path, interrupted, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "compare.lockstep.training.Run.draw_curve", lambda run, path: drawn.append(run.curves[run.settings.error])
    )
    arguments = ["--recipe", "gru-layer", "--steps", "6", "--quiet"]
    monkeypatch.setattr("compare.published.tasks.Addition.look", lambda task, now: Look({task.error: now.step / 2}, []))
    assert interrupted(*arguments, *EVERY, "--out", "run") == 130
    assert main(["train", "--resume", "run", "--quiet"]) == 0
    assert drawn == [[(k, k / 2) for k in range(1, n + 1)] for n in (4, 6)]


@pytest.mark.slow
def test_the_interval_is_remembered(tmp_path, interrupted):
    assert interrupted(*SMALL, "--checkpoint-every", "3", "--out", "run") == 130
    assert Checkpoint.read(tmp_path / "run").every == 3
    assert interrupted("--resume", "run", "--steps", "6", "--checkpoint-every", "2") == 0
    assert not (tmp_path / "run" / NAME).exists()


def test_without_the_option_an_interrupted_run_has_no_checkpoint(tmp_path, capsys, interrupted):
    assert interrupted(*SMALL, "--out", "run") == 130
    assert not (tmp_path / "run" / NAME).exists()
    assert main(["train", "--resume", "run"]) == 2
    assert capsys.readouterr().err == f"python -m compare: resume: expected a folder with a {NAME}, got run\n"


@pytest.mark.parametrize(
    "before, after, words",
    [
        (SMALL, ["--hidden-size", "4"], "hidden_size: expected 3, with which the run was started, got 4"),
        (SMALL, ["--cell", "gru"], "cell: expected lstm, with which the run was started, got gru"),
        (SMALL, RECIPE[:2], "recipe: expected no value, with which the run was started, got matlab-rnn"),
        (RECIPE, ["--steps", "7"], "steps: expected 6, with which the run was started, got 7"),
        (RECIPE, ["--bits", "4"], "bits: expected 8, with which the run was started, got 4"),
        (SMALL, ["--checkpoint-every", "0"], "checkpoint_every: expected at least 1, got 0"),
    ],
)
@pytest.mark.slow
def test_another_run_than_the_one_interrupted_is_refused(tmp_path, capsys, interrupted, before, after, words):
    assert interrupted(*before, *EVERY, "--out", "run", "--quiet") == 130
    content = (tmp_path / "run" / NAME).read_bytes()
    capsys.readouterr()
    assert main(["train", "--resume", "run", *after]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"python -m compare: {words}\n")
    assert (tmp_path / "run" / NAME).read_bytes() == content


@pytest.mark.slow
def test_the_same_options_may_be_given_again(interrupted):
    assert interrupted(*SMALL, *EVERY, "--out", "run") == 130
    assert main(["train", *SMALL, *EVERY, "--resume", "run", "--quiet"]) == 0


@pytest.mark.slow
def test_a_checkpoint_is_replaced_only_by_force(tmp_path, capsys, interrupted):
    assert interrupted(*SMALL, *EVERY, "--out", "run") == 130
    (tmp_path / "run" / "summary.json").unlink()  # as a killed run leaves it
    capsys.readouterr()
    assert main(["train", *SMALL, "--out", "run"]) == 2
    words = "out: expected no checkpoint in run; --resume continues it, --force replaces it"
    assert capsys.readouterr().err == f"python -m compare: {words}\n"
    assert main(["train", *SMALL, "--out", "run", "--quiet", "--force"]) == 0
    assert not (tmp_path / "run" / NAME).exists()


def test_a_run_in_several_processes_has_no_checkpoints(capsys, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    assert main(["train", *SMALL, *EVERY]) == 2
    assert capsys.readouterr().err.startswith("python -m compare: checkpoint_every, resume: expected one process")


@pytest.mark.exhaustive
def test_a_new_run_does_not_touch_a_folder_with_results_until_it_has_its_own(tmp_path, interrupted, monkeypatch):
    assert main(["train", *SMALL, "--out", "run", "--quiet"]) == 0
    before, names = results(tmp_path / "run"), set((tmp_path / "run").iterdir())
    assert main(["train", *SMALL, "--seed", "1", "--out", "run", "--quiet"]) == 2

    def fail(run, path):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("compare.lockstep.run_folder._draw", fail)
        assert main(["train", *SMALL, "--seed", "1", "--out", "run", "--quiet", "--force"]) == 4
    assert results(tmp_path / "run") == before and set((tmp_path / "run").iterdir()) == names
    assert main(["train", *SMALL, "--seed", "1", "--out", "run", "--quiet", "--force"]) == 0
    assert results(tmp_path / "run") != before


@pytest.mark.slow
def test_a_full_disk_is_4_and_one_line_after_the_verdict(tmp_path, capsys, monkeypatch):
    def fail(run, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("compare.lockstep.run_folder._draw", fail)
    assert main(["train", *SMALL, "--out", "run"]) == 4
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("AGREE")
    assert printed.err.startswith("python -m compare: [Errno 28] No space left") and printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
