"""The wheel, built from the packages alone and installed in another place, has all that is in the checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from derived import write

ROOT = Path(__file__).parent.parent
PACKAGES = ("manual", "torch_impl", "compare")
SMALL = ["--steps", "3", "--hidden-size", "3", "--bits", "4", "--batch-size", "6"]


def files(folder: Path) -> set[str]:
    """All files of the packages in a folder."""
    found = (path for package in PACKAGES for path in (folder / package).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}


def installed(folder: Path) -> Path:
    """Build the wheel and install it into a folder."""
    source, site = folder / "source", folder / "site"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", site, source], check=True)
    shutil.rmtree(source)
    (wheel,) = site.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    return site


#: Command lines, their exit status, and words that they print.
COMMANDS = [
    (["--help"], 0, "usage: python -m compare"),
    (["train", *SMALL], 0, "AGREE: 3 steps"),
    (["new", "mine.py", "--cell", "gru"], 0, "mine.py"),
    (["new", "other.py", "--reference"], 0, "other_reference.py"),
    (["check", "right.py"], 0, "AGREE"),
    (["page"], 0, "Written to derivation.html"),
    (["recipes"], 0, "name"),
    (["accuracy", "--lengths", "3"], 0, "float32"),
    (["kernels", "--draws", "1"], 0, "mlstm"),
]

#: Runs them all.
PROGRAM = """
import contextlib, io, json, sys
import compare, manual
from compare.cli import main

def run(arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main(arguments)
        except SystemExit as exit:
            status = exit.code
    return status, out.getvalue(), err.getvalue()

if __name__ == "__main__":
    ran = [run(arguments) for arguments in json.loads(sys.argv[1])]
    print(json.dumps({"ran": ran, "from": [compare.__file__, manual.__file__]}))
"""


@pytest.mark.exhaustive
def test_the_wheel_has_every_file_and_its_program_and_commands_run(tmp_path):
    """All in one test, so that no two processes build the wheel."""
    site = installed(tmp_path)
    assert files(site) == files(ROOT)
    assert {
        "manual/DERIVATION.md",
        "compare/published/results/audit.json",
        "compare/figures/faults.png",
        "manual/py.typed",
    } <= files(site)
    the_program_runs_in_a_folder_with_a_module_of_that_name(site, tmp_path)
    every_command_runs_in_another_folder(site, tmp_path)


def the_program_runs_in_a_folder_with_a_module_of_that_name(site: Path, folder: Path) -> None:
    """``python -m compare`` would run that module, whose exit status reads as a verdict."""
    (folder := folder / "named").mkdir()
    write(folder / "wrong.py", "lstm", ("d_c_prev + d_h * o", "d_h * o"))
    (folder / "compare.py").write_text("print('not this one')")
    done = subprocess.run(
        [site / "bin" / "lstm-by-hand", "check", "wrong.py"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "(L9) d_c" in done.stdout and "not this one" not in done.stdout


def every_command_runs_in_another_folder(site: Path, folder: Path) -> None:
    (folder := folder / "other").mkdir()
    write(folder / "right.py", "lstm")
    (folder / "program.py").write_text(PROGRAM)
    surroundings = {"PYTHONPATH": str(site), "NUMBA_DISABLE_JIT": "1"}  # a copy's kernels would be compiled anew
    done = subprocess.run(
        [sys.executable, "program.py", json.dumps([arguments for arguments, *_ in COMMANDS])],
        cwd=folder, env=os.environ | surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [Path(path).parents[1] for path in found["from"]] == [site, site]
    for (arguments, status, words), (ended, printed, errors) in zip(COMMANDS, found["ran"], strict=True):
        assert (ended, errors) == (status, ""), (arguments, printed)
        assert words in printed, (arguments, printed)
