"""What runs a layer where no probe is passed: NumPy's large operations, or compiled loops where those win."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from manual.arrays import Array
from manual.fast.memory import Memory
from manual.gru import GRUKernel
from manual.lstm import LSTMKernel
from manual.lstm_variants import LSTMVariantKernel
from manual.rnn import RNNKernel
from manual.sweep import FastKernel, Kernel

#: The engines by name.
ENGINES = ("numpy", "compiled")


class FewUnits:
    """Runs compiled loops up to the number of units where they are faster, and the NumPy kernel above it.

    Args:
        compiled: the loops; ``most_units`` is the number of units, in all rows together.
        fast: the NumPy kernel.
    """

    def __init__(self, compiled: Any, fast: FastKernel):
        self.compiled, self.fast = compiled, fast

    def forward(
        self, x: Array, state: tuple[Array, ...], weights: Mapping[str, Array], out: Any = None
    ) -> tuple[Array, tuple[Array, ...], Any]:
        """Run as the kernels do; the tape is that of the kernel chosen."""
        units = state[-1].size  # B H
        return (self.compiled if units <= self.compiled.most_units else self.fast).forward(x, state, weights, out)

    def backward(
        self, memory: Any, d_output: Array, d_state: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], dict[str, Array]]:
        """Carry gradients back with the kernel of the forward run."""
        return (self.fast if isinstance(memory, Memory) else self.compiled).backward(memory, d_output, d_state)


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


def compiled_where_faster(kernel: Kernel, fast: FastKernel, dtype: np.dtype[Any]) -> FastKernel:
    """Return a kernel that runs compiled loops where they are faster than ``fast``, and ``fast`` elsewhere.

    It is compiled now, or read from the cache, so that no later call waits for that.

    Args:
        kernel: the text.
        fast: the same equations in NumPy.
        dtype: that it is to compute in.
    """
    from manual.compiled.gru import CompiledGRU  # these need Numba
    from manual.compiled.lstm import CompiledLSTM
    from manual.compiled.lstm_variants import CompiledLSTMVariant
    from manual.compiled.rnn import CompiledRNN

    cells: dict[type[Any], Any] = {
        LSTMKernel: CompiledLSTM,
        LSTMVariantKernel: CompiledLSTMVariant,
        GRUKernel: CompiledGRU,
        RNNKernel: CompiledRNN,
    }
    compiled = cells[type(kernel)](kernel)
    weights = {name: np.zeros(shape, dtype) for name, shape in kernel.parameter_shapes(1, 2).items()}
    state = tuple(np.zeros((1, size), dtype) for size in kernel.state_sizes(2).values())
    output, _, tape = compiled.forward(np.zeros((1, 1, 1), dtype), state, weights)
    compiled.backward(tape, output, state)
    return FewUnits(compiled, fast)
