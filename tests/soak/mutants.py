"""Mutation testing: random changes of the modules that verdicts rest on, each of which a quick test must notice.

The mutants are in a fixed random order; ``--seed`` is the first one's place in it. A survivor is printed as a failure:
either a test is missing, or the change makes no difference.
"""

import importlib.util
import os
import random
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reporter import ROOT, Failed, Hung, in_child, soak  # isort: skip - it prepares the search path

import hypothesis  # noqa: F401 - imported before the processes are forked, as everything slow that is not ours
import matplotlib.figure  # noqa: F401
import pytest
import rich.progress  # noqa: F401
import safetensors.numpy  # noqa: F401
import torch
from mutation import Mutant, mutants

TEXT = ("manual/fast/test_agreement.py", "test_against_torch.py", "manual/test_recurrent.py", "manual/test_tapes.py")
FAST = ("manual/fast", "test_against_torch.py", "manual/test_recurrent.py", "manual/test_tapes.py")
LOCKSTEP = tuple(
    f"compare/lockstep/test_{name}.py"
    for name in ("lockstep", "training", "rounding", "other_batches", "trainers", "report", "broken_derivations")
)
DIAGNOSIS = tuple(
    f"compare/diagnosis/test_{name}.py" for name in ("comparing", "verdicts", "report", "files", "standards", "scoring")
)

#: The modules, each with the tests that must notice a change, the nearest first.
TESTS: dict[str, tuple[str, ...]] = {
    **{f"manual/{name}.py": (f"manual/test_{name}.py", *TEXT) for name in ("lstm", "gru", "rnn", "lstm_variants")},
    **{f"manual/fast/{name}.py": FAST for name in ("lstm", "gru", "rnn", "lstm_variants", "memory", "products")},
    "manual/linear.py": ("manual/test_linear.py", "manual/test_model.py"),
    "manual/losses.py": ("manual/test_losses.py",),
    "manual/optimizers.py": ("manual/test_optimizers.py",),
    "compare/agreement.py": ("compare/test_agreement.py", "compare/lockstep/test_lockstep.py"),
    "compare/converter.py": ("compare/test_converter.py",),
    "compare/lockstep/lockstep.py": LOCKSTEP,
    "compare/lockstep/rounding.py": ("compare/lockstep/test_rounding.py", *LOCKSTEP),
    "compare/lockstep/training.py": ("compare/lockstep/test_training.py", *LOCKSTEP, "compare/test_cli.py"),
    "compare/diagnosis/localise.py": DIAGNOSIS,
    "compare/diagnosis/comparing.py": DIAGNOSIS,
}

#: The time limit of a mutant's tests, in seconds.
LIMIT = 200


def trial(seed: int) -> str:
    """Run the tests of a module with one change in it."""
    file, mutant = MUTANTS[seed % len(MUTANTS)]
    compile(mutant.source, file, "exec")
    with TemporaryDirectory() as folder:
        try:
            status = in_child(lambda: _tests(file, mutant.source, folder), LIMIT)
        except Hung:
            return "killed by the time limit"
    if status == 0:
        raise Failed(f"survives: {file}: line {mutant.line}: {mutant.change}")
    return "killed"


def _all() -> list[tuple[str, Mutant]]:
    rng = random.Random(0)
    found = [(file, mutant) for file in TESTS for mutant in mutants((ROOT / file).read_text(), rng)]
    rng.shuffle(found)
    return found


def _tests(file: str, source: str, folder: str) -> int:
    """Return the exit status of the tests with this source in the place of a file's."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
    sys.meta_path.insert(0, _Finder(file, source))
    sys.dont_write_bytecode = True
    paths = [str(ROOT / "tests" / path) for path in TESTS[file]]
    options = ["-q", "-x", "-n0", "-m", "not slow", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the parent has imported what pytest would rewrite
    return int(pytest.main([*options, f"--basetemp={folder}/tests", f"--rootdir={ROOT}", *paths]))


class _Finder:
    """Finds one module, with a source of its own."""

    def __init__(self, file: str, source: str):
        self.name, self.path, self.source = file.removesuffix(".py").replace("/", "."), str(ROOT / file), source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return how to load the module, None for any other."""
        if name != self.name:
            return None
        loader = SourceFileLoader(name, self.path)
        loader.get_code = lambda name: compile(self.source, self.path, "exec", dont_inherit=True)
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.chdir(Path(ROOT))
    MUTANTS = _all()
    print(f"{len(MUTANTS):,} mutants", flush=True)
    soak(trial)
