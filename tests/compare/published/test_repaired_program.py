"""The repaired program, run in Octave where that is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from oracles import relative_error

from compare.checker.derivations.problem import Problem
from compare.published.networks import lstm_forward
from compare.published.systems import SYSTEMS, truth
from manual.activations import sigmoid

FOLDER = Path("compare/published").absolute()
OCTAVE = shutil.which("octave-cli")
in_octave = pytest.mark.skipif(OCTAVE is None, reason="Octave is not installed")

#: Prints every array of a struct: its name and shape, then its elements by columns.
PRINT = """
function show(s)
  for name = fieldnames(s)'
    value = s.(name{1});
    if isstruct(value)
      show(value)
    else
      printf("%s %d %d", name{1}, size(value)); printf(" %.17g", value); printf("\\n");
    end
  end
end
"""


def octave(code):
    """Run code that has the program on its path, and return what it prints."""
    code = f"1; {PRINT} addpath('{FOLDER}'); rand('twister', 7); {code}"
    done = subprocess.run([OCTAVE, "-q", "--eval", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def arrays(printed):
    """The arrays that ``show`` printed, those of a name in their order."""
    found = {}
    for name, rows, columns, values in re.findall(r"^(\w+) (\d+) (\d+)((?: [-\d.e+]+)+)$", printed, re.MULTILINE):
        value = np.array(values.split(), float).reshape(int(columns), int(rows)).T
        found.setdefault(name, []).append(value)
    return found


@in_octave
def test_its_gradient_is_autograds_and_its_forward_pass_ours():
    found = arrays(octave("[w, e, last] = repaired_lstm(3); show(last)"))
    weights = {name: values[0] for name, values in found.items() if len(values) == 2}
    diffs = {name: values[1] for name, values in found.items() if len(values) == 2}
    X, y, d = (found[name][0] for name in ("X", "y", "d"))
    assert len(weights) == 9 and X.shape == (8, 2)

    system = SYSTEMS["no-bias LSTM"]
    names = {"weight_ih": "U", "weight_hh": "W"}
    parameters = {f"{ours}_{gate}": weights[f"{his}_{gate}"] for ours, his in names.items() for gate in "ifog"}
    x, readout = X[:, None], weights["out_para"].T
    p = sigmoid(lstm_forward(system.weights(Problem(parameters, {}, {})), x).h @ readout.T)
    d_output = (p - y[:, None]) @ readout
    right = truth(system, Problem(parameters, {"x": x}, {"output": d_output})).answer.gradients
    for ours, his in names.items():
        for gate in "ifog":
            assert relative_error(-diffs[f"{his}_{gate}"], right[f"{ours}_{gate}"]) < 1e-12
    assert np.array_equal(d, p[:, 0] > 0.5)


@in_octave
@pytest.mark.slow
def test_it_learns_to_add():
    printed = octave("[w, e, last] = repaired_lstm(2000); show(struct('e', e))")
    error = arrays(printed)["e"][0][0]
    assert error[:100].mean() > 3 and error[-100:].mean() < 0.5
    sums = re.findall(r"^(\d+) \+ (\d+) = (\d+)$", printed, re.MULTILINE)
    assert len(sums) == 2 and all(int(a) + int(b) == int(total) for a, b, total in sums[1:])


@in_octave
def test_it_goes_on_from_given_weights():
    code = "w = repaired_lstm(2); rand('twister', 8); v = repaired_lstm(1, w); show(struct('W_f', w.W_f - v.W_f))"
    (moved,) = arrays(octave(code))["W_f"]
    assert 0 < np.abs(moved).max() < 1


def test_the_lines_on_the_page_are_lines_of_the_program():
    *mistakes, block = re.findall(r"```matlab\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    program = {line.partition("%")[0].strip() for line in (FOLDER / "repaired_lstm.m").read_text().splitlines()}
    lines = [line.partition("%")[0].strip() for line in block.splitlines()]
    assert len(lines) > 8
    assert all(line in program for line in lines if line)
    assert len(mistakes) == 3 and not any(line.strip() in program for line in mistakes)
    numbers = set(re.findall(r"\((L\d+)\)", block))
    assert {"L8", "L9", "L14", "L15", "L17", "L18"} <= numbers
