import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from compare.cli import main
from compare.frameworks import comparison, report
from compare.frameworks.case import LayerCase, by_manual, draw
from compare.frameworks.comparison import Comparison, Findings, judge

CASE = LayerCase("lstm", 1, T=4, B=3, D=2, H=5, dtype="float32")


def found(change=lambda arrays: None, problem=""):
    """Findings of torch in one case, spoiled by ``change``, and of a Paddle that is not installed."""
    arrays = {name: array.copy() for name, array in by_manual(CASE, draw(CASE)).tensors().items()}
    ours = replace(judge("manual", CASE, arrays), first=0.5, step=0.0123, peak=3 * 2**20)
    change(arrays)
    theirs = replace(judge("torch", CASE, arrays), first=2.5, step=0.000456, peak=2**30)
    if problem:
        theirs = Comparison("torch", CASE, problem)
    versions = {"manual": {"numpy": "2.4"}, "torch": {"torch": "2.13"}}
    return Findings([ours, theirs], versions, {"paddle": ["paddle"]})


def spoil(arrays):
    arrays["d_x"][1, 2, 0] += 1


def shown(findings):
    console = Console(file=StringIO(), width=200)
    report.show(findings, console)
    return console.file.getvalue()


def test_what_agrees_is_shown():
    text = shown(found())
    assert " ".join(text.splitlines()[2].split()) == "torch.nn - / 0e+00 - - - - / - - - / - - / - -"
    assert "torch 2.13" in text and "2.5 s" in text and "0.456 ms" in text and "1,024 MiB" in text
    assert "Paddle: not installed (paddle)" in text
    assert "AGREE: 1 of 1 frameworks, 1 cases in all" in text and "DISAGREE" not in text


def test_what_disagrees_is_shown_with_its_evidence():
    text = shown(found(spoil))
    assert " (!)" in text
    assert "torch.nn, lstm, float32: d_x at (1, 2, 0) is" in text and "by central difference" in text
    assert "manual is nearer" in text
    assert "DISAGREE: 1 of 1 frameworks (torch.nn), 1 cases in all; manual is nearer in 1 of the 1 tensors" in text


def test_what_fails_is_shown():
    text = shown(found(problem="RuntimeError: no"))
    assert "torch.nn, lstm, float32: fails in 1 cases: RuntimeError: no" in text
    assert "fails" in text.splitlines()[2]
    assert "DISAGREE: 1 of 1 frameworks (torch.nn), 1 cases in all\n" in text


@pytest.mark.slow
def test_files_are_written_and_the_rest_of_a_readme_stays(tmp_path):
    report.write(found(), tmp_path)
    whole = (tmp_path / "README.md").read_text()
    assert "| torch.nn | - / 0e+00 | - | - | - | - / - | - | - / - | - / - |" in whole
    (tmp_path / "README.md").write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(found(spoil), tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| torch.nn | - / " in text and "- Paddle: not installed (paddle)" in text
    assert (tmp_path / "frameworks.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "frameworks.json").read_text())
    assert written["verdict"] == "disagree"
    (dispute,) = written["comparisons"][1]["disputes"]
    assert (dispute["tensor"], dispute["index"], dispute["sides_with"]) == ("d_x", [1, 2, 0], "manual")


def test_numbers_that_are_not_finite_are_strings_in_json():
    text = json.dumps(report.as_json(found(lambda a: a["output"].fill(np.nan))), allow_nan=False)
    assert '"Infinity"' in text


@pytest.mark.parametrize("findings, status", [(found(), 0), (found(spoil), 1), (found(problem="no"), 1)])
@pytest.mark.slow
def test_the_exit_status_is_the_verdict(monkeypatch, tmp_path, capsys, findings, status):
    monkeypatch.setattr(comparison, "run", lambda names, sizes, on_done: findings)
    assert main(["frameworks", "--json", "--out", str(tmp_path)]) == status
    assert json.loads(capsys.readouterr().out)["verdict"] == ("disagree" if status else "agree")


def test_an_unknown_framework_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["frameworks", "--only", "tinygrad"])
    assert stop.value.code == 2
    assert "tinygrad" in capsys.readouterr().err


def test_the_tables_of_the_readme_are_those_that_the_command_writes():
    readme = (report.Path(report.__file__).parent / "README.md").read_text()
    assert readme.count(report.BEGIN) == readme.count(report.END) == 1
    titles = [title for title, _, _ in report.tables(found())]
    assert titles[1] in readme
