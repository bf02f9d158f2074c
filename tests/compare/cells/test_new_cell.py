"""A cell of one's own, defined in this file alone, works in the check, in lock-step and on the page.

It is the minimal GRU of "Were RNNs All We Needed?" (Feng et al.): h = (1 - z) ∘ h_prev + z ∘ n, where z = σ(z_z) and n
come from x alone.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from edits import edited
from extras import needs_jax, needs_keras, needs_numba
from tiers import rarely

import manual
import torch_impl
from compare import check_file, converter
from compare.benchmark.accuracy import measure
from compare.bridge import HandDerived
from compare.cells import CELLS, Form
from compare.cells.cell import OF_STATE, Cell, Option
from compare.cells.check import check_layer
from compare.checker.notation import Equation
from compare.cli import main
from compare.frameworks.network import Network
from compare.lockstep.adding import Adding
from compare.lockstep.settings import Settings
from compare.lockstep.training import train
from manual.activations import sigmoid
from manual.arrays import unprobed
from manual.recurrent import Recurrent
from torch_impl.recurrent import Recurrent as TorchRecurrent


class Step(NamedTuple):
    h_prev: Any
    z: Any
    n: Any


class MinGRUKernel:
    """Its equations: all the rest of ``manual`` comes with them."""

    gates = ("z", "n")

    def parameter_shapes(self, D, H):
        return {"weight_ih": (2 * H, D), "bias_ih": (2 * H,)}

    def state_sizes(self, H):
        return {"h": H}

    def forward(self, x, state, weights, probe=None):
        probe = probe or unprobed
        W, b = (weights[name].copy() for name in ("weight_ih", "bias_ih"))
        h, output, steps = state[0].copy(), [], []
        for t, x_t in enumerate(x):
            h_prev = probe("h_prev", t, h)
            a_z, a_n = np.split(x_t @ W.T + b, 2, axis=1)
            z = probe("z", t, sigmoid(probe("z_z", t, a_z)))  # (Q1)
            n = probe("n", t, a_n)  # (Q2)
            h = probe("h", t, (1 - z) * h_prev + z * n)  # (Q3)
            output.append(h)
            steps.append(Step(h_prev, z, n))
        return np.stack(output), (h.copy(),), (x.copy(), W, steps)

    def backward(self, tape, d_output, d_state, probe=None):
        probe = probe or unprobed
        x, W, steps = tape
        (d_h_prev,), d_x = d_state, np.empty_like(x)
        d_W, d_b = np.zeros_like(W), np.zeros(len(W), W.dtype)
        for t in reversed(range(len(x))):
            h_prev, z, n = steps[t]
            d_h = probe("d_h", t, d_output[t] + d_h_prev)  # (Q4)
            d_z = probe("d_z", t, d_h * (n - h_prev))  # (Q5)
            d_z_z = probe("d_z_z", t, d_z * z * (1 - z))  # (Q5)
            d_n = probe("d_n", t, d_h * z)  # (Q6)
            d_h_prev = probe("d_h_prev", t, d_h * (1 - z))  # (Q7)
            d_a = np.hstack([d_z_z, d_n])
            d_x[t] = d_a @ W  # (Q8)
            d_W += d_a.T @ x[t]  # (Q9)
            d_b += d_a.sum(axis=0)  # (Q10)
        return d_x, (d_h_prev.copy(),), {"weight_ih": d_W, "bias_ih": d_b}


class MINGRU(Recurrent):
    kernel_class = MinGRUKernel

    def __init__(self, input_size, hidden_size, *args, **options):
        super().__init__(self.kernel_class(), None, input_size, hidden_size, *args, **options)


class Twin:
    """The same forward equations, for autograd."""

    parameter_shapes = MinGRUKernel.parameter_shapes
    state_sizes = MinGRUKernel.state_sizes

    def step(self, x, state, weights, probe):
        z_z, n = torch.nn.functional.linear(x, weights["weight_ih"], weights["bias_ih"]).chunk(2, dim=1)
        z = probe("z", torch.sigmoid(probe("z_z", z_z)))  # (Q1)
        n = probe("n", n)  # (Q2)
        return (probe("h", (1 - z) * state[0] + z * n),)  # (Q3)


class TorchMINGRU(TorchRecurrent):
    def __init__(self, *args, **options):
        super().__init__(Twin(), *args, **options)


EQUATIONS = OF_STATE | {
    "z_z": Equation("Q1", "W_iz x + b_iz"),
    "z": Equation("Q1", "σ(z_z)"),
    "n": Equation("Q2", "W_in x + b_in"),
    "h": Equation("Q3", "(1 - z) ∘ h_prev + z ∘ n"),
    "d_h": Equation("Q4", "d_output + d_h_prev of the next step (d_h_n at the last)"),
    "d_z": Equation("Q5", "d_h ∘ (n - h_prev)"),
    "d_z_z": Equation("Q5", "d_h ∘ (n - h_prev) ∘ z (1 - z)"),
    "d_n": Equation("Q6", "d_h ∘ z"),
    "d_h_prev": Equation("Q7", "d_h ∘ (1 - z)"),
    "d_x": Equation("Q8", "W_ihᵀ (d_z_z, d_n)"),
    "weight_ih": Equation("Q9", "Σ (d_z_z, d_n) xᵀ"),
    "bias_ih": Equation("Q10", "Σ (d_z_z, d_n)"),
    "bias": Equation("Q10", "Σ (d_z_z, d_n)"),
}

CELL = Cell(
    name="mingru",
    gates=("z", "n"),
    states=("h",),
    options={},
    equations=lambda options: EQUATIONS,
    places={"h_prev": (0, 0.0), "parameters": (0, 1.1), "x": (0, 2.0), "z": (1, 0.6), "n": (1, 1.6), "h": (2, 0.0)},
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What a new file in each of ``manual``, ``torch_impl`` and ``compare.cells`` would do."""
    monkeypatch.setitem(CELLS, "mingru", CELL)
    monkeypatch.setattr(manual, "MINGRU", MINGRU, raising=False)
    monkeypatch.setattr(torch_impl, "MINGRU", TorchMINGRU, raising=False)


def layer(**options):
    return MINGRU(3, 5, rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}], ids=str)
def test_its_layer_agrees_equation_by_equation(options):
    report = check_layer(layer(**options), TorchMINGRU(3, 5, **options, dtype=torch.float64))
    assert report.agrees, str(report)
    assert {"z_z_l0", "n_l0", "h_l0", "d_z_z_l0", "d_n_l0", "d_h_prev_l0"} <= {one.name for one in report.as_run}


class Wrong(MinGRUKernel):
    """σ' is left out of the gate's adjoint."""

    def backward(self, tape, d_output, d_state, probe=None):
        x, W, steps = tape
        return super().backward((x, W, [step._replace(n=2 * step.n) for step in steps]), d_output, d_state, probe)


def test_a_mistake_in_it_is_named_with_its_equation(monkeypatch):
    monkeypatch.setattr(MINGRU, "kernel_class", Wrong)
    report = check_layer(layer(), TorchMINGRU(3, 5, dtype=torch.float64))
    assert report.titles == ["(Q5) d_z_l0"]
    assert report.faults[0].formula == "d_h ∘ (n - h_prev)"


FILE = """
import numpy as np

CELL = "mingru"
LAYOUT = {"gates": "n z", "columns": True}


def forward(p, x, h_0, probe):
    h, output, tape = h_0, [], []
    for t in range(len(x)):
        a_n, a_z = np.split(x[t] @ p["weight_ih"] + p["bias"], 2, axis=1)
        z = probe("z", t, 1 / (1 + np.exp(-a_z)))
        h_prev, h = h, probe("h", t, (1 - z) * h + z * a_n)
        output.append(h)
        tape.append((x[t], h_prev, z, a_n))
    return np.stack(output), h, tape


def backward(p, tape, d_output, d_h_n, probe):
    d_h, d_x = d_h_n, []
    d_W, d_b = np.zeros_like(p["weight_ih"]), np.zeros_like(p["bias"])
    for t in reversed(range(len(tape))):
        x, h_prev, z, n = tape[t]
        d_h = probe("d_h", t, d_h + d_output[t])
        d_z_z = probe("d_z_z", t, d_h * (n - h_prev) * z * (1 - z))
        d_a = np.hstack([probe("d_n", t, d_h * z), d_z_z])
        d_x.append(d_a @ p["weight_ih"].T)
        d_W += x.T @ d_a
        d_b += d_a.sum(axis=0)
        d_h = d_h * (1 - z)
    return np.stack(d_x[::-1]), d_h, {"weight_ih": d_W, "bias": d_b}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes, titles",
    [
        ([], []),
        ([("* z * (1 - z))", ")")], ["(Q5) d_z_z"]),
        *rarely(
            ([("d_b += d_a.sum(axis=0)", "d_b = d_a.sum(axis=0)")], ["(Q10) bias"]),
        ),
    ],
)
def test_a_file_that_derives_it_is_checked_in_a_layout_of_its_own(tmp_path, changes, titles):
    path = tmp_path / "mine.py"
    path.write_text(edited(FILE, *changes))
    report = check_file(path)
    assert report.titles == titles, str(report)
    assert report.agrees is not bool(titles)
    assert {one.label for one in report.as_run} >= {"weight_ih n", "weight_ih z", "d_x", "d_h_0"}


@pytest.mark.slow
def test_it_trains_in_lock_step():
    settings = Settings(cell="mingru", hidden_size=4, bits=4, steps=8, batch_size=6, layers=2)
    run = train(Adding(settings))
    assert run.agrees and list(run.lockstep.opponents) == ["autograd"]  # torch.nn has no such layer


@pytest.mark.slow
def test_the_page_has_each_of_its_equations_with_its_lines(tmp_path):
    assert main(["page", "--cell", "mingru", "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert all(f'id="Q{number}"' in text for number in range(1, 11))
    assert "d_h ∘ (n - h_prev) ∘ z (1 - z)" in text or "d_h ∘ (n - h_prev)" in text
    assert Path(__file__).name in text


@pytest.mark.slow
def test_its_weights_go_to_torch_and_its_layer_into_a_model_of_torch():
    hand, twin, x = layer(), TorchMINGRU(3, 5, dtype=torch.float64), torch.randn(4, 2, 3, dtype=torch.float64)
    converter.to_torch(hand, twin)
    torch.testing.assert_close(HandDerived(hand)(x)[0], twin(x)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attempt, message",
    [
        (lambda: Network.of(layer()), "layer: expected one of lstm; .*, got mingru"),
        (lambda: measure("mingru", 4, 2, [3], 0), "cell: expected one of lstm, gru, rnn, .* got mingru"),
        (lambda: CELL.of(torch.nn), "cell: torch.nn has no MINGRU"),
        (lambda: Form(CELL, {"reset_after": True}), "OPTIONS: expected keys ; got 'reset_after'"),
        pytest.param(
            lambda: layer(engine="compiled"),
            "engine: expected numpy, since there are no compiled loops of MinGRUKernel",
            marks=needs_numba,
        ),
        pytest.param(
            lambda: train(Adding(Settings(cell="mingru", against="jax"))),
            "against: expected torch with cell mingru",
            marks=needs_jax,
        ),
        pytest.param(
            lambda: train(Adding(Settings(cell="mingru", against="keras"))),
            "against: expected torch with cell mingru",
            marks=needs_keras,
        ),
    ],
    ids=["converter", "accuracy", "torch.nn", "options", "engine", "jax", "keras"],
)
def test_where_it_cannot_go_it_is_refused_on_one_line(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


@pytest.mark.parametrize("command", [["new", "mine.py"], ["accuracy", "--lengths", "3"]], ids=lambda words: words[0])
def test_a_command_that_lacks_it_says_so(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--cell", "mingru"]) == 2
    assert "cell: expected one" in capsys.readouterr().err


def test_an_option_of_a_cell_is_named_in_its_form():
    cell = Cell("mingru", ("z", "n"), ("h",), {"bounded": Option((False, True), "bounded")}, lambda options: EQUATIONS)
    assert (Form(cell).name, Form(cell, {"bounded": True}).name) == ("mingru", "mingru, bounded")
    assert Form(cell, {"bounded": True}).title == "MINGRU with bounded"
