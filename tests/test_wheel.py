"""The wheel, built from the packages alone and installed in another place, has all that is in the checkout."""

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


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
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


def python(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(installed):
    assert files(installed) == files(ROOT)
    assert {"manual/DERIVATION.md", "compare/published/audit.json", "compare/figures/faults.png"} <= files(installed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--help"], 0, "usage: python -m compare"),
        (["train", *SMALL], 0, "AGREE: 3 steps"),
        (["new", "mine.py", "--cell", "gru"], 0, "mine.py"),
        (["new", "other.py", "--reference"], 0, "other_reference.py"),
        (["check", "right.py"], 0, "AGREE"),
        (["check", "wrong.py"], 1, "(L9) d_c"),
        (["page"], 0, "Written to derivation.html"),
        (["recipes"], 0, "name"),
        (["accuracy", "--lengths", "3"], 0, "float32"),
        (["kernels", "--draws", "1"], 0, "mlstm"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_the_commands_run_from_the_wheel_in_another_folder(installed, tmp_path, arguments, status, words):
    write(tmp_path / "right.py", "lstm")
    write(tmp_path / "wrong.py", "lstm", ("d_c_prev + d_h * o", "d_h * o"))
    ran = python(installed, tmp_path, "-m", "compare", *arguments)
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert words in ran.stdout
    assert not ran.stderr


@pytest.mark.slow
def test_the_packages_come_from_the_wheel(installed, tmp_path):
    ran = python(installed, tmp_path, "-c", "import compare, manual; print(compare.__file__, manual.__file__)")
    assert [Path(path).parents[1] for path in ran.stdout.split()] == [installed, installed]


@pytest.mark.slow
def test_faults_are_injected_into_the_source_in_the_wheel(installed, tmp_path):
    program = (
        "from compare.diagnosis.catalogue import FAULTS\nfrom compare.diagnosis.scoring import score\n"
        "print(score(FAULTS[0]).named)"
    )
    ran = python(installed, tmp_path, "-c", program)
    assert ran.stdout == "True\n", ran.stderr
