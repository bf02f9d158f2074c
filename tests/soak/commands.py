"""Random command lines, valid and not, each in an empty folder: exit status, words and files must be as documented.

Most run in a forked process that has already imported torch, some as users start them, a few of these with odd
surroundings, a closed pipe, or a signal at a random time.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from reporter import ROOT, Failed, in_child, soak  # isort: skip - it prepares the search path

import derived
import numpy as np
import torch

import compare.commands.train  # noqa: F401 - imported before the processes are forked
import manual
from compare.cli import main
from compare.commands import COMMANDS
from compare.frameworks import files
from compare.frameworks.forms import FORMS
from compare.frameworks.network import Network

#: What no number may be, and what no choice is.
NO_NUMBER = ["", "many", "1e400x", "-", "0x", "é", "--"]
NO_COUNT = [*NO_NUMBER, "-1", "-99999999999", "nan", "inf", "1.5", "1e3", "99999999999999999999999"]
NO_CHOICE = ["", "lion", "LSTM ", "0", "σ", "--"]
NO_RATE = [*NO_NUMBER, "-0.1", "nan", "inf", "-inf", "1e400"]

#: Numbers to add, and what is none.
NUMBERS = ["0", "5", "0b1011", "123456789012345678901234567890"]
NO_NUMBERS = ["", "x", "0b2", "0x1", "1.5", "1e3", "٣"]

#: Folders to write to.
OUT = ["results", "a/b", "run[/1]", "two words", "é", "."]

#: By command: the options that are always given, so that the run is short, and the others. Each has its values that are
#: right, where none stands for a flag, and those that are not.
Options = dict[str, tuple[list[str], list[str]]]
SMALL: dict[str, Options] = {
    "train": {
        "--steps": (["1", "2", "5"], ["0", *NO_COUNT]),
        "--hidden-size": (["1", "2", "5"], ["0", "5000", *NO_COUNT]),
        "--bits": (["2", "3", "7"], ["0", "1", "5000", *NO_COUNT]),
        "--batch-size": (["1", "4"], ["0", "70000", *NO_COUNT]),
    },
    "accuracy": {
        "--hidden-size": (["1", "3"], ["0", *NO_COUNT]),
        "--lengths": (["1", "8"], ["0", *NO_COUNT]),
        "--batch-size": (["1", "3"], ["0", *NO_COUNT]),
    },
    "bench": {
        "--sizes": (["2,1,2,3"], ["2,1,2", "0,1,2,3", "a,b,c,d", ""]),
        "--contenders": (["manual", "autograd"], ["torch", ""]),
        "--no-steps": ([""], ["1"]),
        "--no-sweeps": ([""], ["1"]),
        "--cells": (["LSTM", "RNN"], NO_CHOICE),
        "--threads": (["1"], ["0", "999", *NO_COUNT]),
        "--rounds": (["1"], ["0", *NO_COUNT]),
        "--seconds": (["0.01"], ["0", *NO_RATE[:-1]]),
        "--dtypes": (["float64"], NO_CHOICE),
    },
    "kernels": {"--draws": (["1", "2"], ["0", *NO_COUNT])},
    "frameworks": {"--only": (["torch"], NO_CHOICE), "--quick": ([""], ["1"])},
    "page": {"--weights": (["run"], ["missing", "a file", "right.py", ""])},
    "audit": {"--starts": ([], ["0", *NO_COUNT])},  # too long to be run
}
MORE: dict[str, Options] = {
    "train": {
        "--cell": (["lstm", "gru", "rnn"], NO_CHOICE),
        "--layers": (["1", "2"], ["0", "65", *NO_COUNT]),
        "--bidirectional": ([""], ["yes"]),
        "--optimizer": (["adam", "sgd"], NO_CHOICE),
        "--learning-rate": (["0", "1e-8", "0.03", "1", "10"], NO_RATE),
        "--momentum": (["0", "0.9"], NO_RATE),
        "--nesterov": ([""], ["yes"]),
        "--weight-decay": (["0", "0.01", "1"], NO_RATE),
        "--loss": (["bce", "mse"], NO_CHOICE),
        "--dtype": (["float64", "float32"], ["float16", *NO_CHOICE]),
        "--against": (["torch"], NO_CHOICE),
        "--device": (["cpu"], NO_CHOICE),
        "--seed": (["0", "7", "9999999999"], ["-1", "x", ""]),
        "--engine": (["numpy", "compiled"], NO_CHOICE),
        "--recipe": ([], NO_CHOICE),
        "--checkpoint-every": (["1", "3"], ["0", *NO_COUNT]),
        "--resume": ([], ["missing", "run", "a file"]),
        "--out": (OUT, ["a file", "a file/below", "/proc/self"]),
        "--force": ([""], ["1"]),
        "--verbose": ([""], ["1"]),
        "--quiet": ([""], ["1"]),
    },
    "accuracy": {
        "--cell": (["lstm", "gru", "rnn"], NO_CHOICE),
        "--seed": (["0", "9"], ["-1", "x"]),
        "--json": ([""], ["1"]),
    },
    "check": {
        "FILE": (["right.py", "wrong.py"], ["missing.py", ".", "a file/x.py", ""]),
        "--reference": ([], ["", ":", "right.py", "right.py:", "missing.py:f", "right.py:nothing"]),
        "--timeout": (["60", "999"], ["0", *NO_RATE]),
        "--memory": (["8", "4"], ["0", *NO_RATE]),
        "--seed": (["0", "9"], ["-1", "x"]),
        "--fast": ([""], ["1"]),
        "--json": ([""], ["1"]),
        "--out": (OUT, []),
    },
    "new": {
        "FILE": (["mine.py", "é.py", "two words.py"], ["right.py", ".", "missing/x.py", "a file/x.py", ""]),
        "--cell": (["lstm", "gru", "rnn"], NO_CHOICE),
        "--reference": ([""], []),
    },
    "convert": {
        "FILE": (["weights.safetensors", "weights.npz"], ["missing.npz", ".", "a file", "right.py", ""]),
        "--from": (["torch"], NO_CHOICE),
        "--to": (["torch", "mlx", "equinox", "paddle"], NO_CHOICE),
        "--out": (["new.npz", "new.safetensors", "é/new.npz"], ["new.txt", "a file/x.npz", ""]),
    },
    "add": {
        "RUN": (["run"], ["missing", "a file", ".", ""]),
        "A": (NUMBERS, NO_NUMBERS),
        "B": (NUMBERS, NO_NUMBERS),
    },
    "page": {
        "--cell": ([], NO_CHOICE),
        "--out": (["page.html", "é.html"], ["a file", "a file/x.html", ".", ""]),
        "--force": ([""], ["1"]),
    },
    "recipes": {"--json": ([""], ["1"])},
    "audit": {"--quick": ([""], []), "--json": ([""], [])},
    "bench": {"--quick": ([""], ["1"]), "--out": (OUT, ["a file"])},
    "kernels": {"--json": ([""], ["1"]), "--out": (OUT, ["a file"])},
    "frameworks": {"--json": ([""], ["1"]), "--out": (OUT, ["a file"])},
}

#: How often each command is run, and what must always be given.
WEIGHTS = {"train": 40, "new": 10, "check": 8, "convert": 14, "accuracy": 10, "recipes": 3, "bench": 4, "kernels": 4}
WEIGHTS |= {"frameworks": 3, "audit": 2, "add": 8, "page": 4}
REQUIRED = ("FILE", "RUN", "A", "B", "--from", "--to")

#: Right values that do not go together.
CONFLICTS = re.compile(
    r"momentum, nesterov: expected only|nesterov: expected a momentum|not allowed with|expected a folder without"
    r"|cannot hold|expected zeros|its weights alone do not tell|but the network is|following arguments are required"
)


def trial(seed: int) -> str:
    """Run one command line."""
    rng = random.Random(seed)
    arguments, is_right = _command_line(rng)
    how = rng.choices([_forked, _started, _oddly_started, _signalled], [82, 8, 5, 5])[0]
    with TemporaryDirectory() as place:
        folder = Path(place)
        in_child(lambda: _fill(folder, seed), seconds=60)
        before = _files(folder)
        status = how(arguments, folder, rng)
        out, err = ((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        title = f"{how.__name__[1:]} {arguments}: exit status {status}"
        _judge(status, is_right, title, out, err)
        _judge_files(folder, before, status, title)
    return f"exit with {status}"


def _command_line(rng: random.Random) -> tuple[list[str], bool]:
    """Draw a command line, and say whether all of it is right."""
    if rng.random() < 0.03:
        return rng.choice([["trian"], ["--help", "x"][:1], ["Train"], ["check", "--help"][:2], [""], ["-x"]]), False
    command = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    words, wrong = [command], rng.choice([0, 0.1, 0.1])
    is_right = True
    for table, share in ((SMALL.get(command, {}), 1.0), (MORE.get(command, {}), 0.3)):
        for option, (right, bad) in table.items():
            if option not in REQUIRED and rng.random() > share:
                continue
            values = right if (rng.random() > wrong and right) or not bad else bad
            if table is MORE.get(command) and not right and rng.random() < 0.7:
                continue
            is_right &= values is right
            value = rng.choice(values)
            if right and right[0] == "" and values is right:
                words.append(option)
            else:
                words += [f"{option}={value}"] if option.startswith("--") else [value]
    return words, is_right


def _fill(folder: Path, seed: int) -> None:
    """Put files into the folder that a command may read or find in its way."""
    shutil.copytree(RUN, folder / "run")
    (folder / "a file").write_text("in the way")
    derived.write(folder / "right.py", "lstm")
    derived.write(folder / "wrong.py", "lstm", derived.THREE_MISTAKES[0])
    layer = FORMS["lstm"].layer(manual, 3, 5, rng=np.random.default_rng(seed))
    network = Network.of(manual.Model(layer, manual.Linear(5, 2, rng=np.random.default_rng(seed))))
    for ending in ("safetensors", "npz"):
        files.write(folder / f"weights.{ending}", "torch", network)


def _forked(arguments: list[str], folder: Path, rng: random.Random) -> int:
    """Run a command in a fork of this process."""

    def task() -> int:
        os.chdir(folder)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        try:
            return main(arguments)
        except SystemExit as left:
            return int(left.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    status: int = in_child(task, seconds=300)
    return status


def _started(arguments: list[str], folder: Path, rng: random.Random, **more: str) -> int:
    """Run a command as users do."""
    return _ended(_process(arguments, folder, **more))


def _oddly_started(arguments: list[str], folder: Path, rng: random.Random) -> int:
    """Run a command where the surroundings are odd."""
    odd = rng.choice(
        [
            {"COLUMNS": "0"},
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "cp1252"},
            {"MPLBACKEND": "nonsense"},
            {"FORCE_COLOR": "1", "COLUMNS": "7"},
            {"TERM": "dumb", "LC_ALL": "C"},
        ]
    )
    return _started(arguments, folder, rng, **odd)


def _signalled(arguments: list[str], folder: Path, rng: random.Random) -> int:
    """Send a command a signal at a random time."""
    process = _process(arguments, folder)
    with suppress(subprocess.TimeoutExpired):
        process.wait(rng.uniform(0, 8))
    process.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
    return _ended(process)


def _process(arguments: list[str], folder: Path, **more: str) -> "subprocess.Popen[bytes]":
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | more
        command = [sys.executable, "-m", "compare", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err)


def _ended(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(300)
    finally:
        process.kill()


def _judge(status: int, is_right: bool, title: str, out: str, err: str) -> None:
    """Hold the exit status and the words against what is documented."""
    ended = status in (130, 143, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL)
    if status == 3 or ("Traceback" in err and status != -signal.SIGINT):
        raise Failed(f"{title}: {err}")
    if status not in (0, 1, 2, 4) and not ended:
        raise Failed(f"{title}: not a documented one: {err}")
    if status == 1 and not re.search("DISAGREE|disagree", out) and '"agrees": false' not in out:
        raise Failed(f"{title}: without a verdict: {out} {err}")
    if status == 2 and (len(err.splitlines()) != 1 or out):
        raise Failed(f"{title}: not one line: {out} {err}")
    if status == 2 and is_right and not CONFLICTS.search(err):
        raise Failed(f"{title}: nothing was wrong: {err}")
    if status in (0, 1) and not is_right and "--help" not in title:
        raise Failed(f"{title}: something was wrong: {out}")


def _judge_files(folder: Path, before: dict[str, int], status: int, title: str) -> None:
    """Look for what is half-written."""
    now = _files(folder)
    new = {name: size for name, size in now.items() if name not in ("stdout", "stderr") and name not in before}
    if not before.items() <= now.items():
        changed = [name for name, size in before.items() if now.get(name) != size]
        raise Failed(f"{title}: changed {changed}")
    if status == 2 and new:
        raise Failed(f"{title}: it wrote {list(new)}")
    if status == -signal.SIGKILL:  # its temporary files stay
        new = {name: size for name, size in new.items() if "/." not in f"/{name}"}
    if any("/." in f"/{name}" for name in new) or not all(new.values()):
        raise Failed(f"{title}: half-written: {new}")
    for path in folder.rglob("summary.json"):
        names = {other.name for other in path.parent.iterdir()}
        if not {"steps.csv", "weights.safetensors", "agreement.png"} <= names:
            raise Failed(f"{title}: incomplete: {names}")


def _files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert set(WEIGHTS) == set(COMMANDS), set(WEIGHTS) ^ set(COMMANDS)
    with TemporaryDirectory() as place:
        RUN = Path(place) / "run"
        small = [f"{name}={values[0][1]}" for name, values in SMALL["train"].items()]
        in_child(lambda: main(["train", *small, "--quiet", "--out", str(RUN)]), seconds=300)
        soak(trial, seconds=400)
