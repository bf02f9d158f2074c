"""Types and argument checks shared by this package."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

#: Called as ``probe(name, t, value)`` at each named intermediate; the computation goes on with what it returns.
Probe = Callable[[str, int, Tensor], Tensor]

#: The same at one step.
ProbeAtStep = Callable[[str, Tensor], Tensor]

#: The parts of a state, (B, H) each.
Parts = tuple[Tensor, ...]

#: The weights of one layer in one direction, by name; None for a bias that it lacks.
Weights = Mapping[str, Any]


class Cell:
    """The equations of one time step, as in ``lstm.py``, ``gru.py`` and ``rnn.py``."""

    gates = 1  #: blocks of rows of the weights

    def parameter_shapes(self, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight by name, for input size D and hidden size H."""
        rows = self.gates * H
        return {"weight_ih": (rows, D), "weight_hh": (rows, H), "bias_ih": (rows,), "bias_hh": (rows,)}

    def state_sizes(self, H: int) -> dict[str, int]:
        """Return the size of each state by name, the output first."""
        return {"h": H}

    def step(self, x: Tensor, state: Parts, weights: Weights, probe: ProbeAtStep) -> Parts:
        """Return the state after the step, from x (B, D) and the state before it."""
        raise NotImplementedError


def state_parts(state: Any) -> tuple[Any, ...]:
    """Return the parts of a state: ``(h, c)`` of an LSTM, ``(h,)`` of a cell whose state is one tensor."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: Iterable[Any]) -> Any:
    """Return the state with these parts: a tuple of several, or the only one. The inverse of ``state_parts``."""
    state = tuple(parts)
    return state if len(state) > 1 else state[0]


def check_tensor(argument: str, tensor: object, letters: str, sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return ``tensor`` if it is valid for the argument.

    Args:
        argument: the argument's name in the caller's code.
        tensor: the value passed.
        letters: the expected shape in letters, such as ``"T, B, D"``.
        sizes: the expected shape; -1 stands for any size.
        dtype: the expected dtype.

    Raises:
        TypeError: it is not a tensor, or has another dtype.
        ValueError: it has another shape.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{argument}: expected a tensor of shape ({letters}), got {type(tensor).__name__}")
    if tensor.dtype != dtype:
        raise TypeError(f"{argument}: expected dtype {dtype}, got {tensor.dtype}")
    if tensor.ndim != len(sizes) or any(want not in (-1, got) for want, got in zip(sizes, tensor.shape)):
        expected = str(sizes).replace("-1", "any")
        raise ValueError(f"{argument}: expected shape ({letters}) = {expected}, got {tuple(tensor.shape)}")
    return tensor
