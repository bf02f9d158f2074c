"""The verdict of a run does not depend on the terminal, the folder's name or who reads; a signal leaves a result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SMALL = ["--hidden-size", "3", "--bits", "4", "--steps", "3", "--batch-size", "6"]


@pytest.fixture(autouse=True)
def this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def command(*arguments):
    return [sys.executable, "-m", "compare", *arguments]


def test_the_verdict_does_not_depend_on_the_surroundings(tmp_path):
    (tmp_path / "manual.py").write_text("raise SystemExit('the wrong manual')")
    surroundings = {"PYTHONIOENCODING": "ascii", "COLUMNS": "0", "MPLBACKEND": "nonsense"}
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


def test_until_it_ends_nothing_looks_finished_and_a_signal_leaves_an_interrupted_result(tmp_path):
    arguments = ["--hidden-size", "3", "--bits", "4", "--steps", "1000000", "--out", "run"]
    running = subprocess.Popen(command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "run").exists():
        assert running.poll() is None
        time.sleep(0.05)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(1)
    assert not list((tmp_path / "run").iterdir())  # what SIGKILL would leave
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 143, err.decode()
    assert err == b"" and len(out.splitlines()) == 1 and out.startswith(b"INTERRUPTED after ")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["verdict"] == "interrupted"
