"""The equations in each of their forms, and everything else that computes them."""

from importlib.util import find_spec
from typing import Any

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
