"""What every file of this package says about tensors: the probe's type, and the check at the door."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

#: Called as ``probe(name, t, value)`` at each named intermediate; the computation goes on with what it returns.
Probe = Callable[[str, int, Tensor], Tensor]


def state_parts(state: Any) -> tuple[Any, ...]:
    """The parts of a state: ``(h, c)`` of an LSTM, ``(h,)`` of a cell whose state is one tensor."""
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: Iterable[Any]) -> Any:
    """The state that has these parts: a tuple of several, one by itself. The inverse of ``state_parts``."""
    state = tuple(parts)
    return state if len(state) > 1 else state[0]


def check_tensor(argument: str, tensor: object, letters: str, sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return ``tensor`` if it is what the argument calls for.

    Args:
        argument: the argument's name, as the caller knows it.
        tensor: what came.
        letters: the expected shape in the project's letters, as in ``"T, B, D"``.
        sizes: the expected shape; -1 stands for any size.
        dtype: the expected dtype.

    Raises:
        TypeError: it is no tensor, or one of another dtype.
        ValueError: its shape differs.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{argument}: expected a tensor of shape ({letters}), got {type(tensor).__name__}")
    if tensor.dtype != dtype:
        raise TypeError(f"{argument}: expected dtype {dtype}, got {tensor.dtype}")
    if tensor.ndim != len(sizes) or any(want not in (-1, got) for want, got in zip(sizes, tensor.shape)):
        expected = str(sizes).replace("-1", "any")
        raise ValueError(f"{argument}: expected shape ({letters}) = {expected}, got {tuple(tensor.shape)}")
    return tensor
