"""The verdict of a run does not depend on the terminal, the folder's name or who reads; a signal leaves a result."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compare.cli import main

pytestmark = pytest.mark.slow
SMALL = ["--hidden-size", "3", "--bits", "4", "--steps", "3", "--batch-size", "6"]


@pytest.fixture(autouse=True)
def this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def command(*arguments):
    return [sys.executable, "-m", "compare", *arguments]


@pytest.mark.exhaustive
def test_the_verdict_does_not_depend_on_the_surroundings(tmp_path):
    for name in ("manual", "numpy", "random", "torch_impl", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    surroundings = {"PYTHONIOENCODING": "ascii", "COLUMNS": "0", "MPLBACKEND": "nonsense"}
    done = subprocess.run(
        command(*SMALL, "--out", "run[/1]"), cwd=tmp_path, env=os.environ | surroundings, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.rstrip().endswith(b"Written to run[/1]")
    assert (tmp_path / "run[/1]" / "summary.json").is_file()


@pytest.mark.exhaustive
def test_a_closed_pipe_changes_neither_the_verdict_nor_the_files(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command(*SMALL, "--out", "run"), cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.exhaustive
def test_closed_streams_change_neither_the_verdict_nor_the_files(tmp_path):
    closed = " ".join(command(*SMALL, "--out", "run")) + " <&- >&- 2>&-"
    assert subprocess.run(closed, cwd=tmp_path, shell=True).returncode == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["verdict"] == "agree"


def wait_for(path, is_running):
    while not path.exists():
        assert is_running()
        time.sleep(0.05)


@pytest.mark.exhaustive
def test_a_signal_leaves_an_interrupted_result(tmp_path):
    arguments = [*SMALL, "--steps", "1000000", "--checkpoint-every", "1", "--out", "run"]
    running = subprocess.Popen(command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(tmp_path / "run" / "checkpoint.safetensors", lambda: running.poll() is None)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 143, err.decode()
    assert err == b"" and len(out.splitlines()) == 1 and out.startswith(b"INTERRUPTED after ")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["verdict"] == "interrupted"


@pytest.mark.exhaustive
def test_a_killed_run_does_not_look_finished_and_ends_with_the_same_bits_when_resumed(tmp_path, monkeypatch, preloaded):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", *SMALL, "--steps", "100", "--quiet"]
    interrupted = [*arguments, "--checkpoint-every", "7", "--out", "run"]
    running = multiprocessing.get_context().Process(target=main, args=(interrupted,))
    running.start()
    wait_for(tmp_path / "run" / "checkpoint.safetensors", running.is_alive)
    running.kill()
    running.join()
    assert not (tmp_path / "run" / "summary.json").exists()
    assert main(["train", "--resume", "run", "--quiet"]) == 0
    assert main([*arguments, "--out", "whole"]) == 0
    for name in ("weights.safetensors", "steps.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
