import numpy as np
import pytest
from oracles import Experiment, relative_error

from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm import Tape as LSTMTape
from manual.rnn import RNNKernel

KERNELS = {
    "lstm": LSTMKernel(),
    "lstm projected": LSTMKernel(proj_size=3),
    "gru": GRUKernel(),
    "gru, reset before": GRUKernel(reset_after=False),
    "rnn": RNNKernel(),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return KERNELS[request.param]


@pytest.mark.parametrize("B", [1, 3])
def test_equation_f1(B):
    """Rows of sigmoids halved, and the gates in the order o i f g, with the biases in the input's share."""
    e = Experiment.random(LSTMKernel(), B=B)
    (T, _, D), H, bias = e.x.shape, 5, e.weights["bias_ih"] + e.weights["bias_hh"]
    tape = LSTMTape((T, B, D, H, H, e.x.dtype))
    tape.load(e.x, e.state[0], e.weights, bias)
    x_1, w_x, z_x = tape.input_product
    product, w_h, z_h = tape.recurrent_product()
    np.matmul(x_1, w_x, z_x)
    product(e.state[0], w_h, z_h)
    z = (e.x[0] @ e.weights["weight_ih"].T + bias + e.state[0] @ e.weights["weight_hh"].T).reshape(B, 4, H)
    got = tape.blocks[0, :4] + tape.z_h  # (4, B, H)
    for block, gate, factor in ((0, 3, 0.5), (1, 0, 0.5), (2, 1, 0.5), (3, 2, 1)):
        assert relative_error(got[block], factor * z[:, gate]) < 1e-14
    assert relative_error(0.5 + 0.5 * np.tanh(got[0]), 1 / (1 + np.exp(-z[:, 3]))) < 1e-14


def test_equation_f4(kernel):
    """The sum over steps and rows of d_z times x, and of d_z alone."""
    experiment = Experiment.random(kernel)
    seen, (_, (_, _, gradients)) = experiment.recorded(), experiment.run()
    d_z = np.concatenate([seen[f"d_z_{gate}"] for gate in kernel.gates], axis=2)
    assert relative_error(gradients["weight_ih"], np.einsum("tbg,tbd->gd", d_z, experiment.x)) < 1e-14
    assert relative_error(gradients["bias_ih"], np.einsum("tbg->g", d_z)) < 1e-14


@pytest.mark.parametrize("B", [1, 3])
def test_spans_of_steps_change_no_bit(kernel, B, monkeypatch):
    """However many steps' local derivatives are computed at one go."""
    experiment = Experiment.random(kernel, T=7, B=B)
    _, whole = experiment.run()
    for cached in (1, 3 * 8 * 8 * B * 5):
        monkeypatch.setattr("manual.blocks.CACHED", cached)
        _, cut = experiment.run()
        assert np.array_equal(cut[0], whole[0])
        assert all(np.array_equal(cut[2][name], gradient) for name, gradient in whole[2].items())


def test_gradients_stand_in_memory_of_their_own_one_row_after_the_other(kernel):
    _, (d_x, d_state, gradients) = Experiment.random(kernel).run()
    arrays = [d_x, *d_state, *gradients.values()]
    assert all(array.flags.c_contiguous for array in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
