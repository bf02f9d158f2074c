import json
from dataclasses import replace

import numpy as np
import pytest
from tiers import rarely

from compare.converter import read_arrays, write_arrays
from compare.lockstep import run_folder
from compare.lockstep.adding import Adding
from compare.lockstep.checkpoint import LAYOUT, NAME, Checkpoint
from compare.lockstep.settings import Settings
from compare.lockstep.training import Interruption, train

SMALL = Settings(hidden_size=3, bits=4, steps=9, batch_size=6)


pytestmark = pytest.mark.usefixtures("undrawn")


def stop_after(step: int):
    seen = []

    def on_step(one):
        seen.append(one)
        if len(seen) == step:
            raise Interruption

    return on_step


def results(run, folder) -> tuple[dict, bytes, bytes]:
    """Everything that a run leaves, apart from times."""
    run_folder.write(run, folder)
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds_per_step"]
    return summary, (folder / "steps.csv").read_bytes(), (folder / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    "change, stop",
    [
        ({}, 5),
        *rarely(
            ({"cell": "gru", "optimizer": "sgd", "learning_rate": 0.5}, 1),
            ({"optimizer": "sgd", "momentum": 0.5, "nesterov": True, "dtype": "float32", "layers": 2}, 4),
            ({"cell": "rnn", "bidirectional": True, "loss": "mse", "learning_rate": 3.0}, 9),
        ),
    ],
    ids=str,
)
@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, change, stop):
    settings = replace(SMALL, **change)
    interrupted = train(Adding(settings), stop_after(stop), Checkpoint(tmp_path, 100, {}))
    assert interrupted.interrupted and len(interrupted.lockstep.steps) == stop
    resumed = train(Adding(settings), checkpoint=Checkpoint.read(tmp_path))
    assert results(resumed, tmp_path / "resumed") == results(train(Adding(settings)), tmp_path / "whole")


@pytest.mark.slow
def test_disagreements_and_numbers_that_are_not_finite_survive(tmp_path):
    settings = replace(SMALL, optimizer="sgd", learning_rate=1e200)
    train(Adding(settings), stop_after(2), Checkpoint(tmp_path, 100, {}))
    resumed, whole = train(Adding(settings), checkpoint=Checkpoint.read(tmp_path)), train(Adding(settings))
    assert not whole.agrees and not np.isfinite(whole.lockstep.steps[-1].drift)
    assert results(resumed, tmp_path / "resumed") == results(whole, tmp_path / "whole")
    assert list(resumed.lockstep.worst) == list(whole.lockstep.worst)


@pytest.mark.slow
def test_it_is_saved_every_so_many_steps_and_goes_on_from_there(tmp_path):
    saved = []

    def look(step):
        saved.append((tmp_path / NAME).exists() and len(read_arrays(tmp_path / NAME)[0]["steps"]))

    train(Adding(SMALL), look, Checkpoint(tmp_path, 4, {}))
    assert saved == [0, 0, 0, 4, 4, 4, 4, 8, 8]
    after = []
    train(Adding(SMALL), after.append, Checkpoint.read(tmp_path))
    assert len(after) == 1


def test_the_last_checkpoint_stays_if_the_next_cannot_be_written(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, 3, {})
    train(Adding(SMALL), stop_after(3), checkpoint)
    before = (tmp_path / NAME).read_bytes()

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        train(Adding(SMALL), checkpoint=checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"^resume: expected a folder with a {NAME}, got {tmp_path}$"):
        Checkpoint.read(tmp_path)


def test_another_layout_is_named(tmp_path):
    train(Adding(SMALL), stop_after(2), Checkpoint(tmp_path, 1, {}))
    write_arrays(tmp_path / NAME, read_arrays(tmp_path / NAME)[0], "checkpoint 99")
    with pytest.raises(ValueError, match=f"^resume: expected the layout '{LAYOUT}', got 'checkpoint 99' in "):
        Checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": np.zeros((0, 9))}, "expected 1 to 9 steps, got 0"),
        ({"steps": np.zeros((10, 9))}, "expected 1 to 9 steps, got 10"),
        ({"steps": np.zeros((2, 2))}, "expected the state of this run"),
        ({"seconds": None}, "expected the state of this run"),
        ({"json": None}, "expected the state of a run"),
        ({"json": np.frombuffer(b"[" * 100_000, np.uint8)}, "expected the state of a run"),
    ],
)
def test_a_state_of_another_run_with_a_right_checksum_is_refused(tmp_path, change, message):
    train(Adding(SMALL), stop_after(2), Checkpoint(tmp_path, 1, {}))
    arrays = read_arrays(tmp_path / NAME)[0] | change
    write_arrays(tmp_path / NAME, {name: array for name, array in arrays.items() if array is not None}, LAYOUT)
    with pytest.raises(ValueError, match=rf"\Aresume: {message}.*\Z"):
        train(Adding(SMALL), checkpoint=Checkpoint.read(tmp_path))


def test_another_kernel_or_number_of_threads_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    train(Adding(SMALL), stop_after(2), Checkpoint(tmp_path, 1, {}))
    assert not Checkpoint.read(tmp_path).other_arithmetic()
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setattr("compare.lockstep.checkpoint.checksum", lambda arrays: "of other bits")
    threads, kernel = Checkpoint.read(tmp_path).other_arithmetic()
    assert threads == "threads 3, not 1" and kernel.startswith("BLAS kernel of other, not ")


@pytest.mark.slow
@pytest.mark.parametrize("place", [0.0, 0.01, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_file_is_refused_on_one_line(tmp_path, place, cut):
    train(Adding(SMALL), stop_after(2), Checkpoint(tmp_path, 1, {}))
    content = bytearray((tmp_path / NAME).read_bytes())
    k = int(place * len(content))
    if cut:
        del content[k:]
    else:
        content[k] ^= 0x55
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ValueError, match=r"\A.+\Z"):
        Checkpoint.read(tmp_path)


def test_the_file_has_no_pickle(tmp_path):
    train(Adding(SMALL), stop_after(2), Checkpoint(tmp_path, 1, {"bits": 4}))
    arrays, _ = read_arrays(tmp_path / NAME)
    assert all(array.dtype.kind in "fiu" for array in arrays.values())
    rest = json.loads(arrays["json"].tobytes())
    assert rest["configuration"] == {"bits": 4} and rest["every"] == 1
