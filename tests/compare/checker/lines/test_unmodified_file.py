"""``check`` of a file without a probe: the wrong line, the right one, and the file with it."""

import json

import pytest
from edits import edited
from lines_programs import ELMAN
from tiers import first

from compare.cli import main

REFERENCE = """\
import torch

def reference(p, x, h):
    hs = []
    for x_t in x:
        h = torch.tanh(x_t @ p["W"] + h @ p["U"] + p["b"])
        hs.append(h)
    return torch.stack(hs)
"""
INPUTS = 'INPUTS = {"x": (4, 3, 2), "h_0": (3, 5)}\nPARAMETERS = {"W": (2, 5), "U": (5, 5), "b": (5,)}\n'


@pytest.fixture
def check(tmp_path):
    """Write a file with these changes; return how to check it."""
    (tmp_path / "ref.py").write_text(REFERENCE)

    def run(changes, *options):
        (tmp_path / "mine.py").write_text(edited(ELMAN + INPUTS, *changes))
        reference = f"{tmp_path / 'ref.py'}:reference"
        where = ["--reference", reference, "--out", str(tmp_path / "out")]
        return main(["check", str(tmp_path / "mine.py"), *where, *options])

    return run


@pytest.mark.slow
def test_the_wrong_line_is_shown_with_the_right_one(check, tmp_path, capsys, preloaded):
    assert check([('["U"] += before.T', '["U"] += h.T')]) == 1
    said = capsys.readouterr().out
    assert f"line 21\n    {tmp_path / 'mine.py'}:21: h in the place of before\n" in said
    assert '    - grads["U"] += h.T @ d_a\n    + grads["U"] += before.T @ d_a\n' in said
    assert "with this change everything agrees" in said
    assert "wrong: line 21 (" in said
    page = (tmp_path / "out" / "check.html").read_text()
    assert 'data-copy="grads[&#34;U&#34;] += before.T @ d_a"' in page


@pytest.mark.slow
def test_json_holds_the_repair(check, tmp_path, capsys, preloaded):
    assert check([('["b"] += d_a', '["b"] = d_a')], "--json") == 1
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert (fault["line"], fault["code"]) == (22, 'grads["b"] = d_a.sum(axis=0)')
    assert fault["repair"] == 'grads["b"] += d_a.sum(axis=0)'
    assert fault["span"] == [22, 8, 22, 36]


@pytest.mark.slow
@pytest.mark.parametrize("options, written", first(1, [((), "mine_fixed.py"), (("--in-place",), "mine.py")]))
def test_fix_writes_the_right_lines(options, written, check, tmp_path, capsys, preloaded):
    changes = [("(1 - h**2)", "h**2"), ('["b"] += d_a', '["b"] = d_a')]
    assert check(changes, "--fix", *options) == 1
    assert f"Fixed in {tmp_path / written}: lines 19, 22\n" in capsys.readouterr().out
    assert (tmp_path / written).read_text() == ELMAN + INPUTS


def test_in_place_needs_fix(check, capsys):
    assert check([], "--in-place") == 2
    assert "in-place: expected --fix with it" in capsys.readouterr().err
