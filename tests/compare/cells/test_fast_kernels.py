import numpy as np
import pytest

import manual
import torch_impl
from compare.cells.check import check_layer
from compare.cells.fast_kernels import fast_against_equations
from compare.cells.layer import layer_problem

LAYERS = {
    "lstm": lambda: manual.LSTM(4, 5, num_layers=2, bidirectional=True, rng=np.random.default_rng(0)),
    "lstm projected": lambda: manual.LSTM(4, 5, proj_size=3, rng=np.random.default_rng(0)),
    "gru": lambda: manual.GRU(4, 5, rng=np.random.default_rng(0)),
    "gru, reset before": lambda: manual.GRU(4, 5, reset_after=False, rng=np.random.default_rng(0)),
    "rnn": lambda: manual.RNN(4, 5, rng=np.random.default_rng(0)),
}


def differences(layer, lengths=None):
    return fast_against_equations(layer, layer_problem(layer, 6, 3, np.random.default_rng(1)), lengths, 1e-12)


@pytest.mark.parametrize("lengths", [None, [3, 6, 2]], ids=["full", "lengths"])
@pytest.mark.parametrize("cell", LAYERS)
def test_every_output_and_gradient_is_compared_and_agrees(cell, lengths):
    layer = LAYERS[cell]()
    found = differences(layer, lengths)
    states = [f"{name}_n" for name in layer.state_sizes] + [f"d_{name}_0" for name in layer.state_sizes]
    assert {difference.name for difference in found} == {"output", "d_x", *states, *layer.parameters}
    assert max(difference.error for difference in found) < 1e-14


def test_a_fast_kernel_that_differs_is_noticed_in_what_it_returns_and_nothing_else(monkeypatch):
    layer = LAYERS["gru"]()
    fast = layer.sweeps[0].fast
    backward = fast.backward

    def doubled(memory, d_output, d_state):
        d_x, d_h_0, gradients = backward(memory, d_output, d_state)
        return d_x, d_h_0, gradients | {"bias_hh": 2 * gradients["bias_hh"]}

    monkeypatch.setattr(fast, "backward", doubled)
    assert [difference.name for difference in differences(layer) if not difference.agrees] == ["bias_hh_l0"]


def test_a_layer_whose_fast_kernel_differs_does_not_agree_though_its_equations_are_right(monkeypatch):
    monkeypatch.setattr("manual.fast.rnn.add", lambda a, b, out: np.copyto(out, b))
    layer = LAYERS["rnn"]()
    checked = check_layer(layer, torch_impl.RNN(4, 5).double())
    assert not checked.faults
    assert not checked.agrees
    assert "d_x" in checked.fast_faults
    assert "output" not in checked.fast_faults
    assert checked.fast_error > 1e-3
