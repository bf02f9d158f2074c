"""Every form of a cell: its equations and all that computes them, and its layers, with what a run of one hands out."""

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from oracles import relative_error

from manual import GRU, LSTM, RNN
from manual.arrays import as_state, state_parts
from manual.fast.gru import FastGRU
from manual.fast.lstm import FastLSTM
from manual.fast.lstm_variants import FastLSTMVariant
from manual.fast.rnn import FastRNN
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel

#: The equations in each of their forms.
EQUATIONS = {
    "lstm": LSTMKernel(),
    "lstm projected": LSTMKernel(proj_size=4),
    "lstm, peepholes": LSTMVariantKernel(peepholes=True),
    "lstm, coupled": LSTMVariantKernel(coupled=True),
    "lstm, peepholes, coupled": LSTMVariantKernel(True, True),
    "gru": GRUKernel(),
    "gru, reset before": GRUKernel(reset_after=False),
    "rnn": RNNKernel(),
    "rnn relu": RNNKernel("relu"),
    "rnn sigmoid": RNNKernel("sigmoid"),
}


def fast_kernel(equations: Any) -> Any:
    """The same in large operations of NumPy's."""
    if isinstance(equations, LSTMVariantKernel):
        return FastLSTMVariant(equations.peepholes, equations.coupled)
    if isinstance(equations, GRUKernel):
        return FastGRU(equations.reset_after)
    return FastRNN(equations.nonlinearity) if isinstance(equations, RNNKernel) else FastLSTM()


def loops(equations: Any) -> Any:
    """The same in compiled loops, whose ``fused`` are compiled passes between the products."""
    from manual.compiled.gru import CompiledGRU
    from manual.compiled.lstm import CompiledLSTM
    from manual.compiled.rnn import CompiledRNN

    compiled = {GRUKernel: CompiledGRU, RNNKernel: CompiledRNN}
    return compiled.get(type(equations), CompiledLSTM)(equations)


KERNELS = {f"fast {form}": (equations, fast_kernel(equations)) for form, equations in EQUATIONS.items()}
LOOPS = {}
if find_spec("numba"):
    LOOPS = {f"loops {form}": (equations, loops(equations)) for form, equations in EQUATIONS.items()}
    KERNELS |= {f"fused {form}": (equations, loops(equations).fused) for form, equations in EQUATIONS.items()}

LAYERS = {
    "lstm": (LSTM, {}),
    "lstm projected": (LSTM, {"proj_size": 3}),
    "lstm, peepholes, coupled": (LSTM, {"peepholes": True, "coupled": True}),
    "gru": (GRU, {}),
    "gru, reset before": (GRU, {"reset_after": False}),
    "rnn": (RNN, {"nonlinearity": "sigmoid"}),
}


def build(D, H, seed=0, form="lstm", **options):
    kind, own = LAYERS[form]
    return kind(D, H, **own, **options, rng=np.random.default_rng(seed))


def draw(layer, T, B, seed=0):
    """Random arguments for the layer's forward and backward."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(layer.dtype)

    K, sizes = len(layer.sweeps), layer.state_sizes.values()
    return SimpleNamespace(
        x=normal(T, B, layer.input_size),
        state=tuple(normal(K, B, size) for size in sizes),
        d_output=normal(T, B, layer.output_size),
        d_state=tuple(normal(K, B, size) for size in sizes),
    )


def changed(given, change):
    """The same arguments, each array changed."""
    return SimpleNamespace(
        x=change(given.x),
        state=tuple(map(change, given.state)),
        d_output=change(given.d_output),
        d_state=tuple(map(change, given.d_state)),
    )


def forward(layer, given, **options):
    """What forward hands out, by name, and the tape."""
    output, last, tape = layer.forward(given.x, as_state(given.state), **options)
    return {"output": output} | {f"{n}_n": part for n, part in zip(layer.state_sizes, state_parts(last))}, tape


def backward(layer, tape, given, probe=None):
    """What backward hands out, by name."""
    d_x, d_first, gradients = layer.backward(tape, given.d_output, as_state(given.d_state), probe)
    return {"d_x": d_x} | {f"d_{n}_0": part for n, part in zip(layer.state_sizes, state_parts(d_first))} | gradients


def run(layer, given, probe=None, **options):
    """Everything that forward and backward hand out, by name."""
    outputs, tape = forward(layer, given, probe=probe, **options)
    return outputs | backward(layer, tape, given, probe)


def assert_close(actual, expected, tolerance=1e-13):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert relative_error(actual[name], array) < tolerance, name


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert np.abs(array).max() > 0
        assert np.array_equal(actual[name], array), name
