"""The verdict of a run does not depend on the terminal, the folder's name or who reads; a signal leaves a result."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SMALL = ["--hidden-size", "3", "--bits", "4", "--steps", "3", "--batch-size", "6"]


@pytest.fixture(autouse=True)
def this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def command(*arguments):
    return [sys.executable, "-m", "compare", *arguments]


@pytest.mark.parametrize(
    "surroundings",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"COLUMNS": "0"},
        {"MPLBACKEND": "nonsense"},
    ],
    ids=str,
)
def test_the_verdict_does_not_depend_on_the_surroundings(tmp_path, surroundings):
    done = subprocess.run(
        command(*SMALL, "--out", "run[/1]"), cwd=tmp_path, env=os.environ | surroundings, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.rstrip().endswith(b"Written to run[/1]")
    assert (tmp_path / "run[/1]" / "summary.json").is_file()


def test_a_closed_pipe_changes_neither_the_verdict_nor_the_files(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command(*SMALL, "--out", "run"), cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_an_interrupted_result(tmp_path, number, code):
    arguments = ["--hidden-size", "3", "--bits", "4", "--steps", "1000000", "--out", "run"]
    running = subprocess.Popen(command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "run").exists():
        assert running.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(1)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == code, err.decode()
    assert err == b"" and len(out.splitlines()) == 1 and out.startswith(b"INTERRUPTED after ")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["verdict"] == "interrupted"


def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    running = subprocess.Popen(command("--steps", "1000000", "--out", "run"), cwd=tmp_path)
    while not (tmp_path / "run").exists():
        assert running.poll() is None
    running.kill()
    running.wait()
    assert not (tmp_path / "run" / "summary.json").exists()


def test_results_are_replaced_only_by_force(tmp_path):
    assert subprocess.run(command(*SMALL, "--quiet", "--out", "run"), cwd=tmp_path).returncode == 0
    before = (tmp_path / "run" / "summary.json").read_bytes()
    again = command(*SMALL, "--quiet", "--seed", "2", "--out", "run")
    refused = subprocess.run(again, cwd=tmp_path, capture_output=True)
    assert refused.returncode == 2 and b"expected a folder without results, got run; --force replaces" in refused.stderr
    assert (tmp_path / "run" / "summary.json").read_bytes() == before
    assert subprocess.run([*again, "--force"], cwd=tmp_path).returncode == 0
    assert (tmp_path / "run" / "summary.json").read_bytes() != before


def test_a_file_called_manual_in_the_working_folder_breaks_nothing(tmp_path):
    (tmp_path / "manual.py").write_text("raise SystemExit('the wrong manual')")
    assert subprocess.run(command(*SMALL, "--quiet", "--out", "run"), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--layers", "1000000000"], ["bench", "--rounds", "0"], ["bench", "--seconds", "nan"]]
)
def test_options_out_of_range_are_refused(tmp_path, arguments):
    done = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 2 and b": expected " in done.stderr
