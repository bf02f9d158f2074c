"""Where no line is sought, the report says why; where the search itself fails, the verdict comes nevertheless."""

import functools
import json

import numpy as np
import pytest
import torch
from lines_programs import written

import compare
from compare.checker.lines.trace import rules
from compare.checker.report import findings

FORWARD = "import numpy as np\n\ndef forward(x):\n    y = np.tanh(x)\n    return y, y\n\n"
BACKWARD = "def backward(y, d_y):\n    return d_y * (1 - y)\n"
ONLY_PLAIN = BACKWARD.replace(":\n", ":\n    assert type(d_y) is np.ndarray\n")
OTHERWISE = BACKWARD.replace("(1 - y)", "(1 - y) * (1 if type(d_y) is np.ndarray else 2)")


def executed(text):
    space = {"np": np}
    exec(text, space)
    return space["backward"]


def not_the_file(tmp_path):
    module = written(FORWARD + BACKWARD + "# other", tmp_path)
    (tmp_path / f"{module.__name__}.py").write_text(FORWARD + BACKWARD.replace("1 - y", "2 - y"))
    return module.backward


def why(tmp_path, backward):
    """What is said of a program with this backward pass."""
    forward = written(FORWARD, tmp_path).forward
    report = compare.check_backward(forward, backward, torch.tanh, {"x": (3, 4)}, fast=True)
    assert report.outcome == "disagree"
    assert report.wrong_lines == []
    assert report.not_sought in str(report)
    assert json.loads(json.dumps(report.as_json()))["not_sought"] == report.not_sought
    return report.not_sought


@pytest.mark.parametrize(
    "backward, says",
    [
        (
            lambda _: executed(BACKWARD),
            "in backward, which has no source, as code typed at a prompt",
        ),
        (lambda _: functools.partial(np.multiply), "in multiply, which is not written in Python: place probes"),
        (not_the_file, "py holds: import it again, or place probes"),
        (
            lambda path: written(FORWARD + ONLY_PLAIN, path).backward,
            "since it does not run with every value",
        ),
        (lambda path: written(FORWARD + OTHERWISE, path).backward, "since it computes something else with every value"),
    ],
    ids=["no source", "no Python", "another file", "refuses arrays that are recorded", "takes these for others"],
)
def test_it_is_said_why_no_line_was_sought(backward, says, tmp_path):
    assert says in why(tmp_path, backward(tmp_path))


@pytest.mark.parametrize("source", [True, False])
def test_a_class_that_is_made_by_type_is_searched_if_its_functions_have_a_source(source, tmp_path):
    text = "def forward(ctx, x):\n    y = x.tanh()\n    ctx.save_for_backward(y)\n    return y\n\n"
    text += "def backward(ctx, d_y):\n    (y,) = ctx.saved_tensors\n    return d_y * (1 - y)\n"
    passes = vars(written(text, tmp_path)) if source else {}
    exec("" if source else text, passes)
    members = {name: staticmethod(passes[name]) for name in ("forward", "backward")}
    made = type("Made", (torch.autograd.Function,), members)
    report = compare.check_function(made, torch.tanh, torch.randn(3, 4, dtype=torch.float64))
    assert [one.line for wrong in report.wrong_lines for one in wrong.changes] == ([8] if source else [])
    assert ("has no source" in report.not_sought) == (not source)


def test_a_defect_of_the_search_leaves_the_verdict(tmp_path, monkeypatch, request):
    monkeypatch.setattr(rules, "DERIVATIVES", None)
    module = written(FORWARD + BACKWARD, tmp_path)
    report = compare.check_backward(module.forward, module.backward, torch.tanh, {"x": (3, 4)}, fast=True)
    with pytest.raises(TypeError):  # in tests
        str(report)
    monkeypatch.setattr(findings, "failed", request.getfixturevalue("failed"))
    assert "The search for the wrong line failed: TypeError in rules.py" in str(report)
    assert "DISAGREE" in str(report)
