import csv
import io
import json
import re
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import compare
from compare.cli import main
from compare.commands import COMMANDS, GROUPS
from compare.lockstep.settings import Settings

ROOT = Path(__file__).parents[2]
SMALL = ["--steps", "3", "--hidden-size", "3", "--bits", "4", "--batch-size", "6"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, undrawn):
    """An empty folder to work in, and a terminal's settings left out."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def status(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as left:
        return left.code


@pytest.mark.slow
def test_agreement_is_0_with_results_below_runs_and_no_progress_bar_without_a_terminal(capsys, tmp_path):
    assert status(*SMALL) == 0
    printed = capsys.readouterr()
    assert "AGREE" in printed.out and printed.err == ""
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-\d+", folder.name)
    assert (folder / "summary.json").is_file()


@pytest.mark.slow
def test_disagreement_is_1(capsys):
    assert status(*SMALL, "--learning-rate", "0") == 1
    assert "DISAGREE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--hidden-size", "0"], "hidden_size: expected at least 1, got 0"),
        (["--hidden-size", "many"], "argument --hidden-size: invalid int value: 'many'"),
        (["--bits", "1"], "bits: expected at least 2, got 1"),
        (["--bits", "2.5"], "argument --bits: invalid int value: '2.5'"),
        (["--steps", "0"], "steps: expected at least 1, got 0"),
        (["--batch-size", "-3"], "batch_size: expected at least 1, got -3"),
        (["--seed", "-1"], "seed: expected at least 0, got -1"),
        (["--learning-rate", "-0.1"], "learning_rate: expected a finite number of at least 0, got -0.1"),
        (["--learning-rate", "nan"], "learning_rate: expected a finite number of at least 0, got nan"),
        (["--learning-rate", "fast"], "argument --learning-rate: invalid float value: 'fast'"),
        (["--weight-decay", "-1"], "weight_decay: expected a finite number of at least 0, got -1.0"),
        (["--optimizer", "sgd", "--momentum", "-1"], "momentum: expected a finite number of at least 0, got -1.0"),
        (["--optimizer", "sgd", "--nesterov"], "nesterov: expected a momentum above 0, got 0.0"),
        (["--learning-rate", "inf"], "learning_rate: expected a finite number of at least 0, got inf"),
        (["--momentum", "0.9"], "momentum, nesterov: expected only with optimizer sgd, got optimizer adam"),
        (["--optimizer", "lion"], "argument --optimizer: invalid choice: 'lion'"),
        (["--loss", "hinge"], "argument --loss: invalid choice: 'hinge'"),
        (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
        (["--velocity", "9"], "unrecognized arguments: --velocity 9$"),
        (["tran"], "expected one of the commands check, new, .*, got 'tran', did you mean 'train'\\?$"),
        (["dance"], "expected one of the commands check, new, .*, got 'dance'$"),
        (["--hiden-size=3"], "unrecognized arguments: --hiden-size, did you mean '--hidden-size'\\?$"),
        (["convert", "a.npz", "--frm", "keras"], "unrecognized arguments: --frm, did you mean '--from'\\?$"),
        (["--verbose", "--quiet"], "argument --quiet: not allowed with argument --verbose"),
        (["--out"], "argument --out: expected one argument"),
        (["--layers", "1000000000"], "layers: expected "),
        (["--out=--"], "argument --out: expected a value, got '--'"),
    ],
)
def test_bad_input_is_2_and_one_line_that_names_it(capsys, tmp_path, arguments, words):
    assert status(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and not list(tmp_path.rglob("summary.json"))
    (line,) = printed.err.splitlines()
    assert line.startswith("python -m compare") and re.search(words, line)


@pytest.mark.parametrize("place", ["file", "file/folder", "/proc/self"])  # where not even root can write
def test_a_place_that_cannot_be_written_to_is_2_before_any_work(capsys, monkeypatch, place):
    if place == "/proc/self" and not Path(place).is_dir():
        pytest.skip("there is no /proc")
    Path("file").write_text("in the way")
    monkeypatch.setattr("compare.commands.runs.running.train", None)
    assert status(*SMALL, "--out", place) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"out: expected a writable folder, got {place}" in line
    assert Path("file").read_text() == "in the way"


@pytest.mark.slow
def test_the_folder_asked_for_is_made_and_filled(tmp_path, capsys):
    assert status(*SMALL, "--out", "some/where") == 0
    names = {path.name for path in (tmp_path / "some" / "where").iterdir()}
    assert names == {"summary.json", "steps.csv", "weights.safetensors", "agreement.png", "run.html", "derivation.html"}
    assert capsys.readouterr().out.splitlines()[-1] == "Written to some/where"
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_results_are_replaced_only_by_force(capsys):
    assert status(*SMALL, "--quiet", "--out", "run") == 0
    before = Path("run", "summary.json").read_bytes()
    again = [*SMALL, "--quiet", "--seed", "2", "--out", "run"]
    assert status(*again) == 2
    assert "expected a folder without summary.json, got run; --force replaces" in capsys.readouterr().err
    assert Path("run", "summary.json").read_bytes() == before
    assert status(*again, "--force") == 0
    assert Path("run", "summary.json").read_bytes() != before


@pytest.mark.parametrize("name", ["weights.safetensors", "agreement.png"])
def test_a_file_of_the_user_s_is_no_more_replaced_than_results(capsys, name):
    Path(name).write_text("mine")
    assert status(*SMALL, "--quiet", "--out", ".") == 2
    assert f"expected a folder without {name}, got .; --force replaces" in capsys.readouterr().err
    assert Path(name).read_text() == "mine"


@pytest.mark.slow
def test_the_summary_says_what_was_asked_for_and_what_came_of_it(tmp_path):
    options = ["--loss", "mse", "--dtype", "float32", "--seed", "5", "--optimizer", "sgd", "--momentum", "0.5"]
    options += ["--nesterov", "--learning-rate", "0.2", "--weight-decay", "0.01"]
    assert status(*SMALL, *options, "--out", ".") == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    settings = Settings(
        hidden_size=3, bits=4, steps=3, batch_size=6, loss="mse", dtype="float32", seed=5, optimizer="sgd",
        momentum=0.5, nesterov=True, learning_rate=0.2, weight_decay=0.01,
    )  # fmt: skip
    assert {name: summary[name] for name in asdict(settings)} == asdict(settings)
    assert summary["verdict"] == "agree"
    assert {"numpy", "torch"} <= summary["versions"].keys()
    assert list(summary["worst"]) == ["output", "loss", "gradient", "parameter", "optimizer"]
    assert all(0 <= error < 1e-5 for error in summary["worst"].values())
    for name in ("accuracy", "accuracy_1024"):
        assert summary[name].keys() == {"manual", "autograd"}
        assert all(0 <= share <= 1 for share in summary[name].values())
    assert 0 <= summary["drift"] < 1e-5
    with (tmp_path / "steps.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["step", *"123"]
    assert np.isfinite([[float(cell) for cell in row] for row in rows[1:]]).all()


@pytest.mark.exhaustive
def test_the_same_seed_gives_the_same_files_with_or_without_the_name_of_the_default_command(tmp_path):
    for folder, command, seed in (("one", [], "3"), ("two", ["train"], "3"), ("other", [], "4")):
        status(*command, *SMALL, "--seed", seed, "--out", folder, "--quiet")
    for name in ("weights.safetensors", "steps.csv"):
        one, two, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two", "other"))
        assert one == two != other


def test_no_arguments_at_all_train_with_the_defaults(monkeypatch):
    def only_look(experiment, advance, checkpoint, say):
        assert experiment.settings == Settings() and checkpoint is None
        raise SystemExit(17)

    monkeypatch.setattr("compare.commands.runs.running.train", only_look)
    assert status() == 17
    default = Settings()
    assert (default.bits, default.hidden_size, default.dtype, default.seed) == (8, 16, "float64", 0)


def test_help_shows_every_option_with_its_default(capsys):
    assert status("train", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, value in asdict(Settings()).items():
        default = "" if value is False else rf" [^(]*\(default: {re.escape(str(value))}\)"
        assert re.search(rf"--{name.replace('_', '-')}{default}", text), name
    assert re.search(r"--out DIR [^(]*\(default: runs/", text)
    assert not re.search(r"default: (None|False)", text) and "--quiet print only the verdict" in text
    assert "Exit status: 0 the sides agree, 1 they do not, 2 bad input" in text


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_without_a_command_lists_the_commands_in_groups_and_the_default(capsys, flag):
    assert status(flag) == 0
    printed = capsys.readouterr().out
    for group, commands in GROUPS.items():
        (below,) = re.findall(rf"^{group}:\n((?:  .*\n)+)\n", printed, re.MULTILINE)
        assert [line.split(maxsplit=1) for line in below.splitlines()] == [list(one) for one in commands.items()]
    assert "Without a command it is train. `python -m compare COMMAND --help` lists a command's options." in printed


def test_the_version(capsys):
    assert status("--version") == 0
    assert capsys.readouterr().out == f"lstm-by-hand {compare.__version__}\n"


def test_a_cell_is_known_in_upper_and_lower_case_and_a_starter_s_folder_made(monkeypatch, tmp_path):
    def only_look(experiment, advance, checkpoint, say):
        raise SystemExit(17 if experiment.settings.cell == "gru" else 18)

    monkeypatch.setattr("compare.commands.runs.running.train", only_look)
    assert status("--cell", "GRU") == 17
    assert status("new", "sub/mine.py", "--cell", "Gru") == 0
    assert "derived by hand" in (tmp_path / "sub" / "mine.py").read_text()
    assert status("bench", "--cells", "lstm", "--sizes", "1") == 2  # which comes after the cells


def test_what_an_encoding_lacks_is_replaced(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    status("--help")
    print("σ", flush=True)
    assert stream.buffer.getvalue().endswith(b"?\n")


def test_help_imports_no_numerical_library():
    program = (
        "import sys; from compare.cli import main; main(['--help']); "
        "sys.exit(bool({'numpy', 'torch', 'matplotlib', 'rich', 'manual'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_of_its_own(capsys, name):
    assert status(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m compare {name} ")


@pytest.mark.parametrize("name, default", [("bench", "LSTM GRU RNN"), ("accuracy", "8 64 512")])
def test_help_shows_a_default_of_several_values_as_one_types_it(capsys, name, default):
    status(name, "--help")
    assert f"(default: {default})" in re.sub(r"\s+", " ", capsys.readouterr().out)


@pytest.mark.parametrize("arguments, name", [([], "FILE"), (["--reference"], "reference")])
@pytest.mark.parametrize(
    "kind, words", [("nowhere.py", "no such file: {}"), ("folder", "expected a file, but {} is a directory")]
)
def test_a_missing_file_and_a_directory_are_named(capsys, tmp_path, arguments, name, kind, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "derivation.py").touch()
    given = ["derivation.py", "--reference", f"{kind}:Layer"] if arguments else [kind]
    assert status("check", *given) == 2
    assert capsys.readouterr().err == f"python -m compare: {name}: {words.format(kind)}\n"


@pytest.mark.slow
def test_quiet_prints_the_verdict_and_nothing_else(capsys):
    assert status(*SMALL, "--quiet") == 0
    printed = capsys.readouterr()
    assert re.fullmatch(r"AGREE: 3 steps in float64, 42 .*; at most [\d.]+% of the tolerance used\n", printed.out)
    assert printed.err == ""


@pytest.mark.slow
def test_a_long_verdict_is_still_one_line(capsys, monkeypatch):
    monkeypatch.setattr("manual.optimizers.Adam._update", lambda self, name, parameter, gradient: None)
    assert status(*SMALL, "--quiet") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert len(line) > 300 and "parameter readout.bias" in line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("quiet, shown", [([], True), (["--quiet"], False)])
@pytest.mark.slow
def test_on_a_terminal_there_is_one_unless_it_is_to_be_quiet(monkeypatch, quiet, shown):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr(sys, "stderr", terminal)
    status(*SMALL, *quiet)
    text = terminal.getvalue()
    assert ("3/3" in text and "loss 0." in text and "worst error" in text) is shown


def test_the_module_leaves_with_the_status(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare", *SMALL, "--bits", "1"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("compare", run_name="__main__")
    assert left.value.code == 2
    assert capsys.readouterr().err == "python -m compare: bits: expected at least 2, got 1\n"
