"""The repaired programs: those in Octave run where it is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from oracles import relative_error

from compare.checker.derivations.problem import Problem
from compare.published.networks import lstm_forward
from compare.published.repaired import lstm_layer
from compare.published.systems import SYSTEMS, truth
from manual.activations import sigmoid

FOLDER = Path("compare/published").absolute()
REPAIRED = FOLDER / "repaired"
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

#: Of the programs that add: the system, and its names of the input weights, the recurrent ones and the biases.
ADDERS = {
    "no_bias_lstm": ("no-bias LSTM", {"weight_ih": "U_", "weight_hh": "W_"}),
    "scalar_bias_lstm": ("scalar-bias LSTM", {"weight_ih": "X_", "weight_hh": "H_", "bias": "b"}),
}


def octave(code):
    """Run code that has the programs on its path, and return what it prints."""
    code = f"1; {PRINT} addpath('{REPAIRED}'); rand('twister', 7); randn('twister', 7); {code}"
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


@pytest.mark.slow
@in_octave
@pytest.mark.parametrize("program", ADDERS)
def test_the_gradient_of_an_adder_is_autograds_and_its_forward_pass_ours(program):
    found = arrays(octave(f"[w, e, last] = {program}(3); show(last)"))
    weights = {name: values[0] for name, values in found.items() if len(values) == 2}
    diffs = {name: values[1] for name, values in found.items() if len(values) == 2}
    X, y, d = (found[name][0] for name in ("X", "y", "d"))
    assert len(weights) == 4 * len(ADDERS[program][1]) + 1 and X.shape == (8, 2)

    system, names = SYSTEMS[ADDERS[program][0]], ADDERS[program][1]
    shape = {"bias": -1}  # a row here is a vector there
    own = {
        (ours, gate): lambda arrays, ours=ours, his=his, gate=gate: (
            arrays[f"{his}{gate}"].ravel() if ours in shape else arrays[f"{his}{gate}"]
        )
        for ours, his in names.items()
        for gate in "ifog"
    }
    parameters = {f"{ours}_{gate}": get(weights) for (ours, gate), get in own.items()}
    x, readout = X[:, None], weights["out_para"].T
    p = sigmoid(lstm_forward(system.weights(Problem(parameters, {}, {})), x).h @ readout.T)
    d_output = (p - y[:, None]) @ readout
    right = truth(system, Problem(parameters, {"x": x}, {"output": d_output})).answer.gradients
    assert right.keys() == parameters.keys()
    for (ours, gate), get in own.items():
        assert relative_error(-get(diffs), right[f"{ours}_{gate}"]) < 1e-12
    assert np.array_equal(d, p[:, 0] > 0.5)


@pytest.mark.exhaustive
@in_octave
@pytest.mark.parametrize("program", ADDERS)
def test_an_adder_learns_to_add(program):
    printed = octave(f"[w, e, last] = {program}(2000); show(struct('e', e))")
    error = arrays(printed)["e"][0][0]
    assert error[:100].mean() > 3 and error[-100:].mean() < 0.5
    sums = re.findall(r"^(\d+) \+ (\d+) = (\d+)$", printed, re.MULTILINE)
    assert len(sums) == 2 and all(int(a) + int(b) == int(total) for a, b, total in sums[1:])


@pytest.mark.slow
@in_octave
@pytest.mark.parametrize("program, name", [("no_bias_lstm", "W_f"), ("scalar_bias_lstm", "bf")])
def test_an_adder_goes_on_from_given_weights(program, name):
    code = f"w = {program}(2); v = {program}(1, w); show(struct('moved', w.{name} - v.{name}))"
    (moved,) = arrays(octave(code))["moved"]
    assert 0 < np.abs(moved).max() < 1


@pytest.mark.slow
@in_octave
def test_the_gradient_of_the_class_is_autograds():
    code = "lstm = LSTM(3, 4, 0.1); X = randn(3, 6); Y = randn(4, 6); [loss, g] = lstm.differentiate(X, Y);"
    found = arrays(octave(f"{code} show(lstm.weights); show(g); show(struct('X', X, 'Y', Y, 'loss', loss))"))
    weights, gradients = ({name: values[k] for name, values in found.items() if len(values) == 2} for k in (0, 1))
    x, y = found["X"][0].T[:, None], found["Y"][0].T[:, None]
    system, names = SYSTEMS["LSTM class"], {"weight_ih": "W", "weight_hh": "U", "bias": "b"}

    def ours(arrays):
        """Under this system's names, with vectors for columns."""
        named = {(n, g): arrays[f"{his}{'c' if g == 'g' else g}"] for n, his in names.items() for g in "figo"}
        return {f"{n}_{g}": array.ravel() if n == "bias" else array for (n, g), array in named.items()}

    h = lstm_forward(system.weights(Problem(ours(weights), {}, {})), x).h
    right = truth(system, Problem(ours(weights), {"x": x}, {"output": (h - y) / 6})).answer.gradients
    for name, gradient in ours(gradients).items():
        assert relative_error(gradient, right[name]) < 1e-12, name
    assert found["loss"][0].item() == pytest.approx(0.5 * ((h - y) ** 2).sum() / 6, rel=1e-12)


@pytest.mark.exhaustive
@in_octave
def test_the_class_learns_one_matrix_of_targets():
    code = """lstm = LSTM(4, 5, 0.05); W = randn(5, 4) * 0.1; X = randn(4, 7, 20); Y = zeros(5, 7, 20);
    for s = 1:20; Y(:, :, s) = W * X(:, :, s); end; show(struct('l', lstm.train(X, Y, 60)))"""
    losses = arrays(octave(code))["l"][0][:, 0]
    assert losses[-1] < 0.5 * losses[0] and (np.diff(losses) < 0).all()


@pytest.mark.parametrize("last_only", [False, True])
def test_the_gradient_of_the_layer_is_autograds(last_only):
    T, D, H = 5, 3, 4
    rng = np.random.default_rng(2)
    layer = lstm_layer.LstmLayer(D, H, 0.1, rng, size=1.0)
    x, d_output = rng.normal(size=(T, 1, D)), rng.normal(size=(T, 1, H))
    if last_only:
        d_output[:-1] = 0
    h = [layer.forward(x_t.T) for x_t in x]
    layer.backward({t + 1: d_output[t].T for t in range(T) if d_output[t].any()})

    system, names = SYSTEMS["LSTM layer, program"], {"weight_ih": "W{}x", "weight_hh": "W{}h", "bias": "b{}"}

    def ours(arrays):
        named = {(n, g): arrays[his.format("c" if g == "g" else g)] for n, his in names.items() for g in "fiog"}
        return {f"{n}_{g}": array.ravel() if n == "bias" else array for (n, g), array in named.items()}

    problem = Problem(ours(layer.parameters), {"x": x}, {"output": d_output})
    right = truth(system, problem).answer
    assert relative_error(np.array(h)[..., 0][:, None], right.outputs["output"]) < 1e-14
    for name, gradient in ours(layer.gradients).items():
        assert relative_error(gradient, right.gradients[name]) < 1e-12, name


def test_the_layer_moves_every_parameter_and_its_check_finds_them_right(capsys):
    assert lstm_layer.gradient_check() < 1e-4
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "(" not in line] == [
        f"{kind[0]}{gate}{kind[1:]}" for gate in "fioc" for kind in ("Wh", "Wx", "b")
    ]
    layer = lstm_layer.LstmLayer(2, 3, 0.5, np.random.default_rng(0), size=1.0)
    before = {name: array.copy() for name, array in layer.parameters.items()}
    for _ in range(2):
        layer.forward(np.array([[1.0], [-2.0]]))
    layer.backward({2: np.ones((3, 1))})
    layer.update()
    assert all(not np.array_equal(before[name], array) for name, array in layer.parameters.items())


@pytest.mark.exhaustive
def test_the_layer_learns_to_add(capsys):
    assert lstm_layer.learn_to_add(1500) > 0.9


def test_the_lines_on_the_page_are_lines_of_the_programs():
    page = (FOLDER / "README.md").read_text()
    blocks = re.findall(r"^\[`(\w+\.\w+)`\].*?```\w+\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert {name for name, _ in blocks} == {"no_bias_lstm.m", "scalar_bias_lstm.m", "LSTM.m", "lstm_layer.py"}
    for name, block in blocks:
        comment = "#" if name.endswith(".py") else "%"
        program = {line.partition(comment)[0].strip() for line in (REPAIRED / name).read_text().splitlines()}
        lines = [line.partition(comment)[0].strip() for line in block.splitlines()]
        assert len(lines) > 4 and all(line in program for line in lines if line), name
        assert len(re.findall(r"\((L\d+)\)", block)) >= 4, name
