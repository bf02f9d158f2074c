"""Kill training runs with SIGKILL at random places, resume them, and compare what they leave with undisturbed runs.

A run must end with the same bits, and not look finished before it is.
"""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from reporter import Failed, soak  # isort: skip - it prepares the search path

from compare.cli import main
from compare.commands import train as _imported_before_the_forks  # noqa: F401

SMALL = ["--hidden-size", "4", "--bits", "5", "--batch-size", "6", "--steps", "150"]
RUNS = [
    SMALL,
    [*SMALL, "--cell", "gru", "--optimizer", "sgd", "--momentum", "0.9", "--nesterov", "--learning-rate", "0.3"],
    [*SMALL, "--cell", "rnn", "--dtype", "float32", "--bidirectional", "--loss", "mse"],
    [*SMALL, "--layers", "2", "--learning-rate", "10"],
    ["--recipe", "matlab-rnn", "--steps", "300"],
    ["--recipe", "lstm-class", "--steps", "300"],
]


def trial(seed: int) -> str:
    """Train undisturbed, and with kills until a process ends by itself."""
    rng = random.Random(seed)
    arguments, every = [*RUNS[seed % len(RUNS)], "--seed", str(rng.randrange(1000))], str(rng.randint(1, 40))
    with TemporaryDirectory() as place:
        folder, whole = Path(place) / "run", Path(place) / "whole"
        begin = time.perf_counter()
        os.waitpid(_start(*arguments, "--out", str(whole)), 0)
        seconds, places = time.perf_counter() - begin, list[str]()
        # It may be killed after its last step.
        while (folder / "checkpoint.safetensors").exists() or not (folder / "summary.json").exists():
            resumes = (folder / "checkpoint.safetensors").exists()
            how = ["--resume", str(folder)] if resumes else ["--out", str(folder), "--checkpoint-every", every]
            child = _start(*arguments, *how)
            time.sleep((0.4 + 0.2 * len(places)) * rng.random() * seconds)  # ever later, to end on a busy machine too
            ended, status = os.waitpid(child, os.WNOHANG)
            if status:
                raise Failed(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}")
            if ended:
                break
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if (folder / "summary.json").exists():
                _results(folder)  # complete, if it is there
            places.append("a checkpoint" if (folder / "checkpoint.safetensors").exists() else "none")
        if _results(folder) != _results(whole):
            raise Failed(f"other bits after kills with {places}, --checkpoint-every {every}: {arguments}")
    return f"same bits after {len(places)} kills, {places.count('a checkpoint')} of them with a checkpoint"


def _start(*arguments: str) -> int:
    """Start the command in a process of its own, silently; return its number."""
    child = os.fork()
    if child:
        return child
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        os._exit(main(["train", *arguments, "--quiet"]))


def _results(folder: Path) -> dict[str, object]:
    """Return everything that a run leaves, apart from times, and of figures and pages only the names."""
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds_per_step"]
    contents = {path.name: b"" if path.suffix in (".png", ".html") else path.read_bytes() for path in folder.iterdir()}
    return contents | {"summary.json": summary}


if __name__ == "__main__":
    soak(trial, seconds=600)
