import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from compare.cli import main

pytestmark = pytest.mark.slow

#: Where the command takes up what a file defines.
USED_AS = {
    "lstm": {"LSTMKernel": "manual.recurrent.LSTMKernel"},
    "fast.lstm": {"FastLSTM": "manual.recurrent.FastLSTM"},
    "linear": {"Linear": "manual.Linear"},
    "losses": {"LOSSES": "manual.LOSSES"},
    "optimizers": {"Adam": "manual.Adam", "SGD": "manual.SGD"},
}

BY_TANH = "product_by_tanh(s.m_ig, s.o_i, s.tanh_c_g, by_tanhs)"
LOAD = "memory.load(x, state, weights)"
TRANSPOSED = "sum(d @ W.T for d, W in zip(memory.d_z[:, t], np.split(to_h_prev.plain, 4)))"
LAST_BIAS = "memory.d_z[:, -1].sum(axis=1).reshape(-1)"

W_IH, W_HH = "recurrent.weight_ih_l0", "recurrent.weight_hh_l0"
B_IH, B_HH = "recurrent.bias_ih_l0", "recurrent.bias_hh_l0"
LSTM = [W_IH, W_HH, B_IH, B_HH]
READOUT = ["readout.weight", "readout.bias"]
ALL = [*LSTM, *READOUT]


def gradients(names):
    return {f"gradient {name}" for name in names}


def parameters(names):
    return {f"parameter {name}" for name in names}


def buffers(*kinds):
    return {f"optimizer {kind} of {name}" for kind in kinds for name in ALL}


OUTPUTS = {"output logits", "loss loss"}
MOMENTUM = ("--optimizer", "sgd", "--momentum", "0.9")

# For each fault: the file, the text, what takes its place, what must then disagree and nothing else; further options.
FAULTS = {
    # forward
    "a bias is left out":
        ("fast.lstm", LOAD, 'memory.load(x, state, weights | {"bias_hh": 0 * weights["bias_hh"]})',
         OUTPUTS | gradients(ALL)),
    "a bias is added twice":
        ("fast.lstm", LOAD, 'memory.load(x, state, weights | {"bias_hh": 2 * weights["bias_hh"]})',
         OUTPUTS | gradients(ALL)),
    "tanh is applied twice":
        ("fast.lstm", "tanh(s.c, s.tanh_c)", "tanh(tanh(s.c), s.tanh_c)", OUTPUTS | gradients(ALL)),
    "a gate has another's activation":
        ("fast.lstm", "tanh(s.z, s.z)", "s.g[...] = np.arctanh(0.5 + 0.5 * tanh(0.5 * s.g)); tanh(s.z, s.z)",
         OUTPUTS | gradients(ALL)),
    # backward through the gates
    "sigma' of the input gate is left out":
        ("fast.lstm", "multiply(d_c, c_by_i, s.d_z_i)", "multiply(d_c, s.g, s.d_z_i)", gradients(LSTM)),
    "sigma' of the forget gate is left out":
        ("fast.lstm", "multiply(d_c, c_by_f, s.d_z_f)", "multiply(d_c, s.c_prev, s.d_z_f)", gradients(LSTM)),
    "tanh' of the candidate is left out":
        ("fast.lstm", "multiply(d_c, c_by_g, s.d_z_g)", "multiply(d_c, s.i, s.d_z_g)", gradients(LSTM)),
    "sigma' of the output gate is left out":
        ("fast.lstm", "multiply(d_m, m_by_o, s.d_z_o)", "multiply(d_m, s.tanh_c, s.d_z_o)", gradients(LSTM)),
    "the candidate has a sigmoid's derivative":
        ("fast.lstm", BY_TANH, f"{BY_TANH}; product_by_sigmoid(s.i_g, s.g, c_by_g)", gradients(LSTM)),
    "tanh' is taken at the cell":
        ("fast.lstm", BY_TANH,
         f"{BY_TANH}; m_by_c[...] = s.o * (1 - s.c ** 2)", gradients(LSTM)),
    "tanh' at the cell's tanh is left out":
        ("fast.lstm", BY_TANH, f"{BY_TANH}; m_by_c[...] = s.o", gradients(LSTM)),
    "two gates are swapped":
        ("fast.lstm", "c_by_i, c_by_f, m_by_c, c_by_g = memory.derivatives",
         "c_by_f, c_by_i, m_by_c, c_by_g = memory.derivatives", gradients(LSTM)),
    "the output gate uses another delta":
        ("fast.lstm", "multiply(d_m, m_by_o, s.d_z_o)", "multiply(d_c, m_by_o, s.d_z_o)", gradients(LSTM)),
    "the forget gate reads the cell after the step":
        ("fast.lstm", "multiply(d_c, c_by_f, s.d_z_f)",
         "multiply(d_c, s.c * s.f * (1 - s.f), s.d_z_f)", gradients(LSTM)),
    # backward through time
    "d_c = instead of +=":
        ("fast.lstm", "add(d_c, m_by_c, d_c)", "copyto(d_c, m_by_c)", gradients(LSTM)),
    "the cell carry is dropped":
        ("fast.lstm", "multiply(d_c, s.f, d_c)", "multiply(d_c, 0, d_c)", gradients(LSTM)),
    "the cell carry lacks the forget gate":
        ("fast.lstm", "multiply(d_c, s.f, d_c)", "pass", gradients(LSTM)),
    "the hidden carry is dropped":
        ("fast.lstm", "add(d_h, d_output[t], d_h)", "copyto(d_h, d_output[t])", gradients(LSTM)),
    "the recurrent matrix is transposed":
        ("fast.lstm", "to_h_prev(s.d_z, d_h)", f"d_h[...] = {TRANSPOSED}", gradients(LSTM)),
    # gradients of the weights
    "input weights from the last step only":
        ("fast.lstm", "d_W[:, :D].copy()", "sum_of_outer_products(memory.d_z[:, -1:], memory.x[T - 1 :])",
         gradients([W_IH])),
    "recurrent weights read the state off by one":
        ("fast.lstm", "d_W[:, D + 1 :].copy()", "sum_of_outer_products(memory.d_z, memory.h_prev[1:])",
         gradients([W_HH])),
    "the input bias is not summed over time":
        ("fast.lstm", '"bias_ih": d_W[:, D].copy()', f'"bias_ih": {LAST_BIAS}', gradients([B_IH])),
    "the recurrent bias is not summed over time":
        ("fast.lstm", '"bias_hh": d_W[:, D].copy()', f'"bias_hh": {LAST_BIAS}', gradients([B_HH])),
    "one gate's bias takes another's delta":
        ("fast.lstm", '"bias_hh": d_W[:, D].copy()', '"bias_hh": np.roll(d_W[:, D], H)', gradients([B_HH])),
    # readout
    "the readout's bias does not learn":
        ("linear", '"bias": rows.sum(axis=0)', '"bias": 0 * rows.sum(axis=0)', gradients(["readout.bias"])),
    "the readout's weights from the last step only":
        ("linear", "rows.T @ tape.reshape(-1, H)", "d_y[-1].T @ tape[-1]", gradients(["readout.weight"])),
    "the readout hands back the wrong sign":
        ("linear", "return d_y @ weight", "return -d_y @ weight", gradients(LSTM)),
    # losses
    "the loss's gradient is not averaged":
        ("losses", "- y * s_of_minus_z) / z.size", "- y * s_of_minus_z)", gradients(ALL)),
    "the loss is summed":
        ("losses", "np.mean(np.maximum(z, 0)", "np.sum(np.maximum(z, 0)", {"loss loss"}),
    "the squared error's sigma' is left out":
        ("losses", " * sigmoid_derivative(s)", "", gradients(ALL), "--loss", "mse"),
    "the squared error's 2 is left out":
        ("losses", "2 * (s - y)", "(s - y)", gradients(ALL), "--loss", "mse"),
    # optimisers
    "Adam's mean is not corrected":
        ("optimizers", " / (1 - beta1**self.steps)", "", parameters(ALL)),
    "Adam's square is not corrected":
        ("optimizers", " / (1 - beta2**self.steps) ** 0.5", "", parameters(ALL)),
    "Adam's epsilon is left out":
        ("optimizers", " + self.eps)", ")", parameters(ALL)),
    "Adam's mean decays at the wrong rate":
        ("optimizers", "mean += (1 - beta1)", "mean += (1 - beta2)", buffers("exp_avg") | parameters(ALL)),
    "Adam's square decays at the wrong rate":
        ("optimizers", "square *= beta2", "square *= beta1", buffers("exp_avg_sq") | parameters(ALL)),
    "the weights do not decay":
        ("optimizers", "+ self.weight_decay * parameter", "", buffers("momentum_buffer") | parameters(ALL), *MOMENTUM),
    "the momentum is damped":
        ("optimizers", "velocity += gradient", "velocity += (1 - self.momentum) * gradient",
         buffers("momentum_buffer") | parameters(ALL), *MOMENTUM),
    "Nesterov looks ahead too far":
        ("optimizers", "+ self.momentum * velocity", "+ velocity", parameters(ALL), *MOMENTUM, "--nesterov"),
}  # fmt: skip


#: What no step of a training run can show, since it starts from zeros and asks for no gradient of its inputs: the
#: text, what takes its place, and how the check of each equation by itself names it.
UNSEEN_IN_TRAINING = {
    "the gradient of x is doubled":
        ("d_x[t] = d_z @ W_ih", "d_x[t] = 2 * d_z @ W_ih", ["(L16) d_x"]),
    "the gradient of c_0 is not handed out":
        ("d_c_prev.copy()), gradients", "0 * d_c_prev), gradients", ["d_c_0"]),
    "the gradient of c_n is ignored":
        ("d_h_prev, d_c_prev = d_state", "d_h_prev, d_c_prev = d_state[0], 0 * d_state[1]", ["(L9) d_c_l0"]),
    "the initial hidden state is ignored":
        ("h, c = (s.copy() for s in state)", "h, c = 0 * state[0], state[1].copy()", ["h_prev_l0"]),
}  # fmt: skip


@pytest.mark.parametrize("more", [".T.copy()", ".astype(np.float32)"], ids=["transposed", "another dtype"])
def test_a_gradient_of_another_form_is_a_disagreement_that_names_it(tmp_path, monkeypatch, capsys, more):
    product = "d_W[:, D + 1 :].copy()"
    with_broken("fast.lstm", product, product + more, monkeypatch)
    assert disagreements(tmp_path, monkeypatch, []) == (1, {f"gradient {W_HH}"}, {"autograd", "nn.LSTM"})
    printed = capsys.readouterr().out
    assert f"gradient {W_HH}" in printed
    assert "no step can be taken" in printed


@pytest.mark.parametrize("fault", UNSEEN_IN_TRAINING)
def test_an_equation_that_training_does_not_use_is_checked_all_the_same(tmp_path, monkeypatch, capsys, fault):
    old, new, named = UNSEEN_IN_TRAINING[fault]
    with_broken("lstm", old, new, monkeypatch)
    assert disagreements(tmp_path, monkeypatch, []) == (1, set(), set())
    assert json.loads((tmp_path / "summary.json").read_text())["faults"] == named
    assert (tmp_path / "faults.png").read_bytes().startswith(b"\x89PNG")
    assert f"DISAGREE: 3 steps in float64; {'; '.join(named)}" in capsys.readouterr().out


def with_broken(file, old, new, monkeypatch):
    """Have the command use a file of ``manual`` in which one text stands for another."""
    path = Path(import_module(f"manual.{file}").__file__)
    source = path.read_text()
    assert source.count(old) == 1, "the table is to follow the source"
    broken = ModuleType("broken")
    exec(compile(source.replace(old, new), path, "exec"), vars(broken))
    for name, place in USED_AS[file].items():
        monkeypatch.setattr(place, getattr(broken, name))


def disagreements(folder, monkeypatch, options) -> tuple[int, set[str], set[str]]:
    """What a short run exits with, what it lists as compared and in disagreement, and the opponents it does so with."""
    monkeypatch.setattr("compare.lockstep.run_folder._draw", lambda run, path: path.touch())
    small = ["--steps", "3", "--hidden-size", "3", "--bits", "5", "--batch-size", "4", "--weight-decay", "0.01"]
    code = main([*small, "--out", str(folder), "--quiet", *options])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["verdict"] == ("disagree" if code else "agree")
    listed = summary["disagreements"]
    return code, {f"{d['compared']} {d['tensor']}" for d in listed}, {d["against"] for d in listed}


@pytest.mark.parametrize("options", sorted({tuple(row[4:]) for row in FAULTS.values()}))
def test_the_derivation_as_it_stands_agrees(tmp_path, monkeypatch, options):
    assert disagreements(tmp_path, monkeypatch, options) == (0, set(), set())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_derivation_is_found_in_the_tensors_it_touches_and_no_others(tmp_path, monkeypatch, capsys, fault):
    file, old, new, expected, *options = FAULTS[fault]
    with_broken(file, old, new, monkeypatch)
    code, found, opponents = disagreements(tmp_path, monkeypatch, options)
    assert code == 1
    assert found == expected
    assert opponents == {"autograd", "nn.LSTM"}
    printed = capsys.readouterr().out
    assert all(name in printed for name in expected)
