"""What runs a layer where no probe is passed: NumPy's large operations, or what Numba compiles."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from manual.arrays import Array, Backward, Forward, Parts, Weights
from manual.fast.memory import Memory
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel
from manual.sweep import FastKernel, Kernel

#: The engines by name.
ENGINES = ("numpy", "compiled")


class Compiled:
    """Runs loops over units and rows up to the number of units where they are faster, and above it fused passes.

    Args:
        loops: ``most_units`` is the number of units, in all rows together, and ``fused`` is what runs above it.
    """

    def __init__(self, loops: Any):
        self.loops = loops

    def forward(self, x: Array, state: Parts, weights: Weights, out: Any = None) -> Forward[Any]:
        """Run as the kernels do; the tape is that of the kernel chosen."""
        units = state[-1].size  # B H
        return (self.loops if units <= self.loops.most_units else self.loops.fused).forward(x, state, weights, out)

    def backward(self, memory: Any, d_output: Array, d_state: Parts) -> Backward:
        """Carry gradients back with the kernel of the forward run."""
        return (self.loops.fused if isinstance(memory, Memory) else self.loops).backward(memory, d_output, d_state)


def fastest_for_few_rows() -> str:
    """Return the engine that is faster for few rows: ``compiled`` where it is installed, else ``numpy``."""
    return "compiled" if find_spec("numba") else "numpy"


def is_compiled(engine: str, dtype: np.dtype[Any]) -> bool:
    """Return whether an engine compiles, after checking that it can be used.

    Args:
        engine: a name in ``ENGINES``.
        dtype: that it is to compute in.

    Raises:
        ValueError: there is no such engine, or it is not installed.
        TypeError: the engine cannot compute in this dtype.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "numpy":
        return False
    if engine != fastest_for_few_rows():
        raise ValueError("engine: 'compiled' is not installed here: pip install -c constraints.txt -e '.[compiled]'")
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype: expected float32 or float64 for the engine 'compiled', got {dtype}")
    return True


def compiled(kernel: Kernel, dtype: np.dtype[Any]) -> FastKernel:
    """Return what the engine ``compiled`` runs.

    It is compiled now, or read from the cache, so that no later call waits for that.

    Args:
        kernel: the equations.
        dtype: that it is to compute in.

    Raises:
        ValueError: there are no compiled loops of this cell.
    """
    from manual.compiled.gru import CompiledGRU  # these need Numba
    from manual.compiled.lstm import CompiledLSTM
    from manual.compiled.rnn import CompiledRNN

    cells: dict[type[Any], Any] = {
        LSTMKernel: CompiledLSTM,
        LSTMVariantKernel: CompiledLSTM,
        GRUKernel: CompiledGRU,
        RNNKernel: CompiledRNN,
    }
    if type(kernel) not in cells:
        raise ValueError(f"engine: expected numpy, since there are no compiled loops of {type(kernel).__name__}")
    loops = cells[type(kernel)](kernel)
    H = kernel.state_sizes(1)["h"] + 1  # more than a projection leaves
    weights = {name: np.zeros(shape, dtype) for name, shape in kernel.parameter_shapes(1, H).items()}
    state = tuple(np.zeros((1, size), dtype) for size in kernel.state_sizes(H).values())
    for either in (loops, loops.fused):
        output, _, tape = either.forward(np.zeros((1, 1, 1), dtype), state, weights)
        either.backward(tape, output, state)
    return Compiled(loops)
