"""Kill training runs with SIGKILL at random places, resume them, and compare what they leave with undisturbed runs.

Run as ``python tests/soak/resume.py --kills 50``; it is no part of the tests. The exit status is 0 if every run ended
with the same bits and none looked finished before it was.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL")})
sys.path.insert(0, str(Path(__file__).parents[2]))

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


def start(*arguments: str) -> int:
    """Start the command in a process of its own, silently; return its number."""
    child = os.fork()
    if child:
        return child
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        os._exit(main(["train", *arguments, "--quiet"]))


def results(folder: Path) -> dict[str, object]:
    """Return everything that a run leaves, apart from times, and of figures and pages only the names."""
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seconds_per_step"]
    contents = {path.name: b"" if path.suffix in (".png", ".html") else path.read_bytes() for path in folder.iterdir()}
    return contents | {"summary.json": summary}


def disturbed(folder: Path, arguments: list[str], every: int, seconds: float, draw: Callable[[], float]) -> list[str]:
    """Train with kills until a process ends by itself; return where it was killed each time.

    Args:
        folder: the folder of the run.
        arguments: the options of the run.
        every: the steps from one checkpoint to the next.
        seconds: how long the run takes undisturbed.
        draw: draws a random number below 1.
    """
    places: list[str] = []
    while True:
        has_checkpoint = (folder / "checkpoint.safetensors").exists()
        if (folder / "summary.json").exists() and not has_checkpoint:
            return places  # it was killed after its last step
        how = ["--resume", str(folder)] if has_checkpoint else ["--out", str(folder), "--checkpoint-every", str(every)]
        child = start(*arguments, *how)
        time.sleep((0.4 + 0.2 * len(places)) * draw() * seconds)  # ever later, so that it ends on a busy machine too
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise RuntimeError(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}")
            return places
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if (folder / "summary.json").exists():
            json.loads((folder / "summary.json").read_text())  # complete, if it is there
            (folder / "weights.safetensors").read_bytes()
        places.append("with a checkpoint" if (folder / "checkpoint.safetensors").exists() else "without one")


def soak(kills: int, seed: int) -> bool:
    """Return whether all runs end as undisturbed ones."""
    rng, count, runs, wrong, resumed = random.Random(seed), 0, 0, 0, 0
    while count < kills:
        arguments = [*RUNS[runs % len(RUNS)], "--seed", str(rng.randrange(1000))]
        every = rng.randint(1, 40)
        with tempfile.TemporaryDirectory() as place:
            begin = time.perf_counter()
            os.waitpid(start(*arguments, "--out", f"{place}/whole"), 0)
            seconds = time.perf_counter() - begin
            places = disturbed(Path(place) / "run", arguments, every, seconds, rng.random)
            same = results(Path(place) / "run") == results(Path(place) / "whole")
        count, runs, wrong = count + len(places), runs + 1, wrong + (not same)
        resumed += places.count("with a checkpoint")
        verdict = "same bits" if same else "OTHER BITS"
        print(f"{verdict} after {len(places)} kills, --checkpoint-every {every}:", *arguments, flush=True)
    print(f"seed {seed}: {count} kills in {runs} runs, {resumed} with a checkpoint to resume; {wrong} runs differ")
    return not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(not soak(options.kills, options.seed))
