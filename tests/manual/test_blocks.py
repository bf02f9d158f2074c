import numpy as np
import pytest
from oracles import Experiment

from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
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


def test_gradients_stand_in_memory_of_their_own_one_row_after_the_other(kernel):
    _, (d_x, d_state, gradients) = Experiment.random(kernel).run()
    arrays = [d_x, *d_state, *gradients.values()]
    assert all(array.flags.c_contiguous for array in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
