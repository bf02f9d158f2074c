"""What the guide and DERIVATION.md say of the equations: the lines quoted, and each number of the worked example."""

import re
from pathlib import Path

import numpy as np
import pytest

import manual
from manual.lstm import LSTMKernel

FOLDER = Path(manual.__file__).parent
TEXT = (FOLDER / "DERIVATION.md").read_text(encoding="utf-8")
EXAMPLE = TEXT.partition("### With numbers")[2].partition("\n### ")[0].replace("−", "-")

WEIGHTS = {
    "weight_ih": np.array([[0.6], [-0.4], [0.9], [0.3]]),
    "weight_hh": np.array([[0.2], [0.7], [-0.5], [0.8]]),
    "bias_ih": np.array([0.1, 0.3, -0.2, 0.4]),
    "bias_hh": np.array([-0.3, 0.2, 0.1, -0.1]),
}
X = np.array([[[0.8]], [[-0.5]]])
STATE = np.array([[0.25]]), np.array([[-0.4]])
D_OUTPUT = np.array([[[0.5]], [[2.0]]])

#: The names of the quantities in the order of the rows, forward and backward.
FORWARD = ["z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "h"]
BACKWARD = ["d_h", "d_c", "d_z_i", "d_z_f", "d_z_g", "d_z_o", "d_c_prev", "d_h_prev", "d_x"]


def run():
    """Run the kernel; return the results that the tables have, row by row, and the loss."""
    found = {}

    def record(name, t, value):
        found[name, t] = value.item()
        return value

    output, _, tape = LSTMKernel().forward(X, STATE, WEIGHTS, record)
    d_x, _, gradients = LSTMKernel().backward(tape, D_OUTPUT, (np.zeros((1, 1)), np.zeros((1, 1))), record)
    found |= {("d_x", t): d_x[t].item() for t in (0, 1)}
    results = [found[name, t] for name in FORWARD for t in (0, 1)]
    results += [found[name, t] for name in BACKWARD for t in (1, 0)]
    results += [value for name in ("weight_ih", "weight_hh", "bias_ih") for value in gradients[name].ravel()]
    return results, float((output * D_OUTPUT).sum())


def worked():
    """Return what is worked out: of each row the equations' numbers, and in order each arithmetic and its result."""
    rows = re.findall(r"^\| (\(L\d+\)[^|]*) \|(.*)$", EXAMPLE, re.MULTILINE)
    return [number for number, _ in rows], [
        (text, float(result))
        for _, cells in rows
        for text, result in re.findall(r"\| ?([^|]*?) = \*\*(-?[\d.]+)\*\*", "|" + cells)
    ]


def test_every_equation_is_worked_out():
    numbers, _ = worked()
    assert re.findall(r"L\d+", " ".join(dict.fromkeys(numbers))) == [f"L{n}" for n in range(1, 21)]


def test_each_result_is_that_of_the_equations():
    results, _ = run()
    shown = [result for _, result in worked()[1]]
    assert len(shown) == len(results) == 50
    np.testing.assert_allclose(shown, results, rtol=0, atol=0.5000001e-5)


def test_each_arithmetic_gives_its_result():
    for text, result in worked()[1]:
        python = text.replace("·", "*").replace("²", "**2").replace("σ", "sigma")
        value = eval(python, {"__builtins__": {}}, {"tanh": np.tanh, "sigma": lambda z: 1 / (1 + np.exp(-z))})
        assert value == pytest.approx(result, abs=2e-5), text


def test_the_parameters_are_those_of_the_table():
    rows = re.findall(r"^\| [^|]*[Wb]_\{[ih]h\}[^|]* \|((?: -?[\d.]+ \|){4})$", EXAMPLE, re.MULTILINE)
    shown = [[float(number) for number in row.strip(" |").split("|")] for row in rows]
    assert shown == [array.ravel().tolist() for array in WEIGHTS.values()]


def test_a_bias_that_is_raised_moves_the_loss_by_its_gradient(monkeypatch):
    results, loss = run()
    monkeypatch.setitem(WEIGHTS, "bias_ih", np.array([0.1, 0.31, -0.2, 0.4]))
    _, raised = run()
    gradient = results[-3]
    assert f"the loss is {raised:.5f} instead of {loss:.5f}" in " ".join(EXAMPLE.split())
    assert f"is {gradient:.5f}, so" in " ".join(EXAMPLE.split())
    assert raised - loss == pytest.approx(0.01 * gradient, rel=0.01)


def test_the_quoted_lines_stand_in_the_text():
    quoted = re.findall(r"`([^`]*# \(L\d+\))`", (FOLDER / "README.md").read_text())
    assert len(quoted) >= 3
    assert set(quoted) <= {line.strip() for line in (FOLDER / "lstm.py").read_text().splitlines()}
