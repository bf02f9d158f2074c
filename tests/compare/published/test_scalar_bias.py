import numpy as np
from oracles import complex_step, relative_error

import manual
from compare.published.scalar_bias import ScalarBiasModel, summed_over_units

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


def test_networks_side_by_side_are_summed_one_by_one():
    bias = np.random.default_rng(4).normal(size=(3, 4 * H))
    together = summed_over_units({"bias": bias})["bias"]
    assert together.shape == bias.shape
    assert all(np.array_equal(together[k], summed_over_units({"bias": bias[k]})["bias"]) for k in range(3))
