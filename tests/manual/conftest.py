from typing import Any

import pytest

from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.rnn import RNNKernel

KERNELS = {
    "lstm": LSTMKernel(),
    "lstm projected": LSTMKernel(proj_size=4),
    "gru": GRUKernel(),
    "gru, reset before": GRUKernel(reset_after=False),
    "rnn": RNNKernel(),
}


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Any:
    """Each kernel there is, in each of its forms."""
    return KERNELS[request.param]
