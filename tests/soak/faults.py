"""Faults in ``manual``: those of the catalogue and random changes of a line, each judged by the lock-step or the check.

An effective fault must end in DISAGREE. Where the verdict is AGREE, the results must have the bits of the right source,
or differ by no more than rounding, as where a sum is taken in another order.
"""

import contextlib
import io
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reporter import ROOT, Failed, Hung, in_child, soak  # isort: skip - it prepares the search path

import matplotlib.figure  # noqa: F401 - imported before the processes are forked, as everything slow that is not ours
import numpy as np
import rich.progress  # noqa: F401
import safetensors.numpy  # noqa: F401
import torch
from mutation import mutants

#: The files that are changed at random, with the cells that show it. A compiled kernel would seldom compile.
ALL = ("lstm", "gru", "rnn")
FILES = {
    "lstm.py": ("lstm",),
    "gru.py": ("gru",),
    "rnn.py": ("rnn",),
    "lstm_variants.py": ("lstm",),
    "fast/lstm.py": ("lstm",),
    "fast/gru.py": ("gru",),
    "fast/rnn.py": ("rnn",),
    "fast/lstm_variants.py": ("lstm",),
    "fast/memory.py": ALL,
    "fast/products.py": ALL,
    "fast/derivatives.py": ALL,
    "activations.py": ALL,
    "sweep.py": ALL,
    "recurrent.py": ALL,
    "linear.py": ALL,
    "losses.py": ALL,
    "model.py": ALL,
    "optimizers.py": ALL,
}

#: Functions without which there is no layer to be judged.
SET_UP = ("__init__", "_zeros", "parameters", "parameter_shapes", "state_sizes")

#: The forms of the cells besides the usual one, which the check knows but the lock-step does not train.
OPTIONS = {
    "lstm": [{"peepholes": True}, {"coupled": True}, {"peepholes": True, "coupled": True}, {"proj_size": 2}],
    "gru": [{"reset_after": False}],
    "rnn": [{"nonlinearity": "relu"}, {"nonlinearity": "sigmoid"}],
}

#: How a trial ends by what came of judging a fault. An error of a layer leaves the check, as one of a user's file does.
VERDICTS = {"DISAGREE": "found", "raises": "raise an error"}

#: The largest relative difference that is rounding.
ROUNDING = {"float64": 1e-12, "float32": 1e-4}


def trial(seed: int) -> str:
    """Inject one fault, and hold the verdict against what the fault does."""
    rng = random.Random(seed)
    file, cell, source, change = _fault(rng)
    judge, given = (_train, _settings(rng, cell, file)) if _trains(rng, file) else (_check, _layer(rng, cell, file))
    title = f"{file}: {change} [{judge.__name__[1:]} {given}]"
    with TemporaryDirectory() as place:
        folder = Path(place)
        try:
            ended, mine = _run(folder / "faulty", judge, given, file, source)
        except Hung:
            return "never end"
        if ended in VERDICTS:
            return VERDICTS[ended]
        if ended != "AGREE":
            raise Failed(f"{title}: {ended}")
        _, right = _run(folder / "right", judge, given, file, (ROOT / "manual" / file).read_text())
    largest = max((_distance(mine.get(name), array) for name, array in right.items()), default=0.0)
    if largest > ROUNDING[str(given["dtype"])]:
        raise Failed(f"{title}: AGREE, but the results differ by {largest:.1e}")
    return "differ by rounding" if largest else "have the bits of the right source"


def _fault(rng: random.Random) -> tuple[str, str, str, str]:
    """Choose a fault: its file, a cell that shows it, the changed source, and the change in words."""
    if rng.random() < 0.2:
        file, old, new, cell = rng.choice(CATALOGUE)
        return file, cell, (ROOT / "manual" / file).read_text().replace(old, new), f"{old} -> {new}"
    file = rng.choice(list(FILES))
    found = mutants((ROOT / "manual" / file).read_text(), rng)
    mutant = rng.choice([one for one in found if one.function not in SET_UP])
    return file, rng.choice(FILES[file]), mutant.source, f"line {mutant.line}: {mutant.change}"


def _catalogue() -> list[tuple[str, str, str, str]]:
    from catalogue import COMPILED, FAST, FAULTS, TRAINING

    of_cells = [(f.file, f.old, f.new, f.cell) for f in [*FAULTS, *FAST, *COMPILED]]
    return of_cells + [(f.file, f.old, f.new, "lstm") for f in TRAINING]


def _trains(rng: random.Random, file: str) -> bool:
    """Choose the lock-step where only it runs the file, never where it does not, and else at random."""
    if file in ("linear.py", "losses.py", "model.py", "optimizers.py"):
        return True
    return "variants" not in file and rng.random() < 0.5


def _settings(rng: random.Random, cell: str, file: str) -> dict[str, Any]:
    """Draw the options of a small run."""
    optimizer = rng.choice(["adam", "sgd"])
    more = {"momentum": 0.9} if optimizer == "sgd" and rng.random() < 0.7 else {}
    flags = [f"--{flag}" for flag in ("bidirectional", "nesterov") if rng.random() < 0.4]
    return {
        "cell": cell,
        "hidden_size": rng.randint(2, 6),
        "layers": rng.choice([1, 1, 2]),
        "bits": rng.randint(3, 7),
        "steps": rng.randint(3, 8),
        "batch_size": rng.randint(2, 6),
        "optimizer": optimizer,
        "learning_rate": rng.choice([0.01, 0.05]),
        "weight_decay": rng.choice([0, 0.01]),
        "loss": rng.choice(["bce", "mse"]),
        "dtype": rng.choice(["float64", "float64", "float32"]),
        "engine": "compiled" if file.startswith("compiled") else "numpy",
        "seed": rng.randrange(1000),
        "flags": [flag for flag in flags if flag != "--nesterov" or more],
        **more,
    }


def _layer(rng: random.Random, cell: str, file: str) -> dict[str, Any]:
    """Draw a layer to check."""
    forms = OPTIONS[cell][:3] if "variants" in file else [{}, {}, *OPTIONS[cell]]
    return {
        "cell": cell,
        "options": rng.choice(forms),
        "num_layers": rng.choice([1, 1, 2]),
        "bidirectional": rng.random() < 0.3,
        "lengths": rng.choice([None, [3, 6, 1, 4], [6, 6, 2]]),
        "engine": "compiled" if file.startswith("compiled") else "numpy",
        "dtype": "float64",
        "seed": rng.randrange(1000),
    }


def _run(
    folder: Path, judge: Callable[..., str], given: dict[str, Any], file: str, source: str
) -> tuple[str, dict[str, Any]]:
    """Judge a source in a process of its own; return the verdict and the arrays that it left."""
    shutil.copytree(ROOT / "manual", folder / "manual", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "manual" / file).write_text(source)

    def task() -> str:
        sys.path.insert(0, str(folder))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), np.errstate(all="ignore"):
            return judge(given, folder, printed)

    verdict = in_child(task, seconds=60)
    path = folder / "arrays.npz"
    return verdict, dict(np.load(path)) if path.exists() else {}


def _train(given: dict[str, Any], folder: Path, printed: io.StringIO) -> str:
    """Train in lock-step; leave the trained weights and the losses."""
    from safetensors.numpy import load_file

    from compare.cli import main
    from compare.lockstep import run_folder

    run_folder._draw = lambda run, path: path.touch()
    run_folder._derive = lambda run, path: None  # shows the source, which is in two places here
    options = [
        word for name, value in given.items() if name != "flags" for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    status = main(["train", "--quiet", "--out", str(folder / "run"), *options, *given["flags"]])
    said = printed.getvalue()
    if status not in (0, 1) or ("DISAGREE" in said) != (status == 1):
        return f"exit status {status}: {said}"
    if status == 1:
        return "DISAGREE"
    steps = np.loadtxt(folder / "run" / "steps.csv", delimiter=",", skiprows=1, usecols=(1, 2))
    np.savez(folder / "arrays.npz", steps=steps, **load_file(folder / "run" / "weights.safetensors"))
    return "AGREE"


def _check(given: dict[str, Any], folder: Path, printed: io.StringIO) -> str:
    """Check each equation; leave the results of the fast kernels and of the equations."""
    import manual
    import torch_impl
    from compare.cells import CELLS
    from compare.cells.check import B, D, H, T, check_layer
    from compare.cells.layer import Layer, layer_problem

    cell, lengths, seed = CELLS[given["cell"]], given["lengths"], given["seed"]
    options = given["options"] | {name: given[name] for name in ("num_layers", "bidirectional")}
    twin = cell.of(torch_impl)(D, H, dtype=torch.float64, **options)
    layer = cell.of(manual)(D, H, engine=given["engine"], **options)
    try:
        report = check_layer(layer, twin, lengths, seed)
    except Exception:
        return "raises"
    if not report.agrees:
        return "DISAGREE"
    problem = layer_problem(layer, T, len(lengths) if lengths else B, np.random.default_rng(seed))
    arrays = {
        f"{name} {kind}": array
        for kind, probe in (("fast", None), ("text", lambda name, t, value: value))
        for name, array in Layer(layer, lengths).solve(problem, probe).tensors().items()
    }
    np.savez(folder / "arrays.npz", **arrays)
    return "AGREE"


def _distance(actual: Any, expected: Any) -> float:
    """Return the largest difference relative to the largest element, infinity for another form."""
    if actual is None or actual.shape != expected.shape or actual.dtype != expected.dtype:
        return np.inf
    difference = np.abs(actual - expected).max()
    return float(difference / np.abs(expected).max()) if difference else 0.0


if __name__ == "__main__":
    torch.set_num_threads(1)
    CATALOGUE = in_child(_catalogue, seconds=60)
    soak(trial, seconds=180)
