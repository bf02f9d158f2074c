import numpy as np
import torch
from oracles import complex_step, relative_error

import manual
import torch_impl
from compare.published.networks import LSTMTrace, lstm_backward, lstm_forward
from compare.published.scalar_bias import ScalarBiasModel, ScalarBiasModule, summed_over_units
from compare.published.systems import SYSTEMS

T, B, D, H = 5, 3, 2, 4


def model(rng):
    made = ScalarBiasModel(manual.LSTM(D, H, rng=rng), manual.Linear(H, 1, bias=False, rng=rng))
    made.bias[...] = rng.normal(size=4)
    return made


def test_equation_w5_each_unit_of_a_gate_has_the_gates_number():
    made = model(np.random.default_rng(0))
    made.forward(np.ones((T, B, D)))
    i, f, g, o = made.bias
    assert made.recurrent.parameters["bias_ih_l0"].tolist() == [i] * H + [f] * H + [g] * H + [o] * H


def test_equation_w6_its_gradient_is_the_sum_over_the_units():
    rng = np.random.default_rng(1)
    made, x, d_logits = model(rng), rng.normal(size=(T, B, D)), rng.normal(size=(T, B, 1))
    _, _, tape = made.forward(x)
    _, _, gradients = made.backward(tape, d_logits)
    weights = {name: made.recurrent.parameters[f"{name}_l0"].astype(complex) for name in ("weight_ih", "weight_hh")}
    both = made.recurrent.parameters["bias_hh_l0"]

    def loss(bias):
        layer = manual.LSTM(D, H, dtype=complex, rng=np.random.default_rng(0))
        for name, array in weights.items():
            layer.parameters[f"{name}_l0"][...] = array
        layer.parameters["bias_ih_l0"][...] = np.repeat(bias, H)
        layer.parameters["bias_hh_l0"][...] = both
        h, _, _ = layer.forward(x.astype(complex))
        return (h @ made.readout.parameters["weight"].T * d_logits).sum()

    assert relative_error(gradients["recurrent.bias_l0"], complex_step(loss, made.bias)) < 1e-13
    assert gradients.keys() == made.parameters.keys()


def test_both_sides_agree():
    rng = np.random.default_rng(2)
    made, x, d_logits = model(rng), rng.normal(size=(T, B, D)), rng.normal(size=(T, B, 1))
    made.recurrent.parameters["bias_hh_l0"][...] = 0
    module = ScalarBiasModule(
        torch_impl.LSTM(D, H, dtype=torch.float64), torch.nn.Linear(H, 1, bias=False, dtype=torch.float64)
    )
    for name, tensor in module.named_parameters():
        tensor.data = torch.from_numpy(made.parameters[name].copy())
    logits, _, tape = made.forward(x)
    _, _, gradients = made.backward(tape, d_logits)
    theirs, _ = module(torch.from_numpy(x))
    theirs.backward(torch.from_numpy(d_logits))
    assert relative_error(logits, theirs.detach().numpy()) < 1e-14
    named = dict(module.named_parameters())
    assert named.keys() == gradients.keys()
    for name, tensor in named.items():
        assert relative_error(gradients[name], tensor.grad.numpy()) < 1e-13


def test_the_published_row_adds_up_to_the_gradient_and_departs_from_it():
    rng, system = np.random.default_rng(3), SYSTEMS["scalar-bias LSTM"]
    problem = system.problem(rng, T, B, D, H)
    trace = lstm_forward(system.weights(problem), problem.inputs["x"])
    assert isinstance(trace, LSTMTrace)
    row = lstm_backward(trace, problem.d_outputs["output"])
    summed = summed_over_units(row)
    by_gate = summed["bias"].reshape(4, H)
    assert np.allclose(by_gate, row["bias"].reshape(4, H).sum(axis=1, keepdims=True), rtol=1e-14)
    assert relative_error(row["bias"], summed["bias"]) > 0.1
    assert all(np.array_equal(row[name], summed[name]) for name in ("weight_ih", "weight_hh"))


def test_networks_side_by_side_are_summed_one_by_one():
    bias = np.random.default_rng(4).normal(size=(3, 4 * H))
    together = summed_over_units({"bias": bias})["bias"]
    assert together.shape == bias.shape
    assert all(np.array_equal(together[k], summed_over_units({"bias": bias[k]})["bias"]) for k in range(3))
