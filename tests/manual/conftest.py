from importlib.util import find_spec
from typing import Any

import pytest

from manual.fast.gru import FastGRU
from manual.fast.lstm import FastLSTM
from manual.fast.lstm_variants import FastLSTMVariant
from manual.fast.rnn import FastRNN
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel

#: Each kernel in each of its forms, and its fast version.
KERNELS = {
    "lstm": (LSTMKernel(), FastLSTM()),
    "lstm projected": (LSTMKernel(proj_size=4), FastLSTM()),
    "lstm, peepholes": (LSTMVariantKernel(peepholes=True), FastLSTMVariant(peepholes=True)),
    "lstm, coupled": (LSTMVariantKernel(coupled=True), FastLSTMVariant(coupled=True)),
    "lstm, peepholes, coupled": (LSTMVariantKernel(True, True), FastLSTMVariant(True, True)),
    "gru": (GRUKernel(), FastGRU()),
    "gru, reset before": (GRUKernel(reset_after=False), FastGRU(reset_after=False)),
    "rnn": (RNNKernel(), FastRNN()),
    "rnn sigmoid": (RNNKernel("sigmoid"), FastRNN("sigmoid")),
}

if find_spec("numba"):
    from manual.compiled.gru import CompiledGRU
    from manual.compiled.lstm import CompiledLSTM
    from manual.compiled.rnn import CompiledRNN

    LOOPS = {
        LSTMKernel: CompiledLSTM,
        LSTMVariantKernel: CompiledLSTM,
        GRUKernel: CompiledGRU,
        RNNKernel: CompiledRNN,
    }
    KERNELS |= {f"fused {name}": (text, LOOPS[type(text)](text).fused) for name, (text, _) in KERNELS.items()}


@pytest.fixture(params=KERNELS)
def kernels(request: pytest.FixtureRequest) -> Any:
    """The equations and the fast kernel of each cell and form."""
    return KERNELS[request.param]
