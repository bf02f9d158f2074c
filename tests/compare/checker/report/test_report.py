"""``check`` and ``new`` as a user runs them: what they print, draw and return."""

import json

import pytest
from derived import write

from compare import check_file
from compare.cli import main


@pytest.fixture
def wrong(tmp_path):
    changes = [("d_f * f * (1 - f)", "d_f"), ("+= x.T @ d_z[gate]", "= x.T @ d_z[gate]")]
    return write(tmp_path / "mine.py", "lstm", *changes)


@pytest.mark.slow
def test_new_then_check(tmp_path, capsys, preloaded):
    path = tmp_path / "mine.py"
    assert main(["new", str(path), "--cell", "gru"]) == 0
    assert f"lstm-by-hand check {path}" in capsys.readouterr().out
    assert main(["check", str(path), "--out", str(tmp_path / "out")]) == 1
    assert f"OPEN: {path}: 0 of 14 right, 14 to go; next: (G8) d_h\n" in capsys.readouterr().out


def test_new_with_a_reference_writes_both_files_and_says_how_to_check_them(tmp_path, capsys):
    path, reference = tmp_path / "mine.py", tmp_path / "mine_reference.py"
    assert main(["new", str(path), "--reference"]) == 0
    command = f"lstm-by-hand check {path} --reference {reference}:reference"
    assert capsys.readouterr().out == f"Written to {path} and {reference}. Fill in each ... and run: {command}\n"
    assert "def backward" in path.read_text()
    assert "def reference" in reference.read_text()


@pytest.mark.parametrize("name, options", [("mine.py", []), ("mine_reference.py", ["--reference"])])
def test_new_overwrites_nothing_and_writes_both_files_or_none(name, options, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert main(["new", str(tmp_path / "mine.py"), *options]) == 2
    assert f"FILE: expected a new file, but {tmp_path / name} exists" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


@pytest.mark.slow
def test_agreement_is_one_line_a_page_and_0(tmp_path, capsys, preloaded):
    assert main(["check", str(write(tmp_path / "mine.py", "rnn")), "--out", str(tmp_path / "out")]) == 0
    line, drawn = capsys.readouterr().out.splitlines()
    assert line.startswith(f"AGREE: {tmp_path / 'mine.py'}: ")
    assert drawn == f"Drawn in {tmp_path / 'out' / 'check.html'}"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["check.html"]


@pytest.mark.slow
def test_what_is_wrong_is_said_drawn_and_1(wrong, tmp_path, capsys, preloaded):
    assert main(["check", str(wrong), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    for words in (
        "(L11) d_z_f  gate f  steps 0-5, rows 0-2",
        "should be d_c ∘ c_prev ∘ f (1 - f)",
        "(L17) weight_ih  gates i f g o",
        "wrong: (L11) d_z_f, (L17) weight_ih (as the code runs, ",
    ):
        assert words in printed
    table = [line for line in printed.splitlines() if line.startswith("d_z_i ")]
    as_run, fed_back = table[0].split("|")
    assert "e" in as_run  # as the code runs, a mistake in the one gate reaches the other
    assert fed_back.split() == ["·"] * 6
    assert (tmp_path / "out" / "faults.png").read_bytes().startswith(b"\x89PNG")
    assert "d_c ∘ c_prev ∘ f (1 - f)" in (tmp_path / "out" / "check.html").read_text()


@pytest.mark.exhaustive
def test_json_says_the_same(wrong, tmp_path, capsys, preloaded):
    assert main(["check", str(wrong), "--json", "--out", str(tmp_path / "out")]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "disagree"
    assert {fault["equation"] for fault in said["faults"]} == {"L11", "L17"}
    fault = next(fault for fault in said["faults"] if fault["name"] == "d_z_f")
    assert (fault["gate"], fault["steps"], fault["rows"]) == ("f", [0, 1, 2, 3, 4, 5], [0, 1, 2])
    assert '"f": probe("d_z_f", t, d_f * f * (1 - f)),' in fault["repair"]
    assert said["fed_back"]["d_z_i"] < 1e-12 < said["as_run"]["d_z_i"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--timeout", "0"], "timeout: expected more than 0 and at most 1e+06, got 0"),
        (["--seed", "-1"], "seed: expected at least 0, got -1"),
        (["--reference", "module.py"], "reference: expected FILE:NAME, got module.py"),
    ],
)
def test_a_wrong_option_is_named(arguments, message, wrong, capsys):
    assert main(["check", str(wrong), *arguments]) == 2
    assert capsys.readouterr().err == f"python -m compare: {message}\n"


@pytest.mark.exhaustive
def test_github_gets_an_annotation_at_each_wrong_line_and_an_old_figure_goes(wrong, tmp_path, capsys, preloaded):
    assert main(["check", str(wrong), "--format", "github", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    line = next(k for k, text in enumerate(wrong.read_text().splitlines(), start=1) if '"f": probe("d_z_f"' in text)
    assert f"::error file={wrong},line={line}::(L11) d_z_f is wrong; " in printed
    assert (tmp_path / "faults.png").exists()
    assert main(["check", str(write(wrong, "lstm")), "--format", "github", "--out", str(tmp_path)]) == 0
    assert "::error" not in capsys.readouterr().out and not (tmp_path / "faults.png").exists()


def test_a_file_that_is_not_python_and_one_with_a_function_of_torch_are_told_what_to_do(tmp_path, capsys):
    data = tmp_path / "data.json"
    data.write_text("{}")
    assert main(["check", str(data)]) == 2
    assert capsys.readouterr().err == f"python -m compare: FILE: expected a Python file, got {data}\n"
    path = tmp_path / "mine.py"
    path.write_text("import torch\nclass Mine(torch.autograd.Function): ...\n")
    with pytest.raises(ValueError, match=r"the autograd\.Function Mine, for which there is compare\.assert_function"):
        check_file(path)
