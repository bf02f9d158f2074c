"""Perturb the rounding of every operation of a torch program, to measure how stable its results are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

#: Operations that do not round: they move, select or compare numbers.
EXACT = frozenset(
    """
    clone cat stack relu threshold_backward where maximum minimum abs neg index index_select gather embedding
    embedding_dense_backward masked_fill floor ceil round trunc sign sgn clamp max min amax amin sort topk flip roll
    tril triu copy _to_copy constant_pad_nd repeat scatter select_backward slice_backward index_put unfold_backward
    new_zeros zeros_like ones_like full_like empty_like fill zero lift_fresh lift_fresh_copy _local_scalar_dense
    """.split()  # noqa: SIM905 - a list of sixty quoted names is harder to read
)

#: Operations that torch approximates more coarsely than by rounding, here without the approximation: beyond a threshold
#: of 20 it takes softplus(x) for x, which is off by 2e-9.
WITHOUT_APPROXIMATION: dict[str, Callable[..., Tensor]] = {
    "softplus": lambda x, beta=1, threshold=20: torch.logaddexp(torch.zeros_like(x), beta * x) / beta,
    "softplus_backward": lambda d_y, x, beta, threshold: d_y * torch.sigmoid(beta * x),
}

#: The number of random perturbations drawn, which are then reused.
POOL = 1 << 14


class Perturbation(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, moves every result of an operation up or down.

    No result stays unchanged: a value that depends on a single saturated probability has to move in every run.

    Args:
        seed: the seed of the signs.
        size: by which share of its value each result is moved; the negative moves all the other way.
    """

    def __init__(self, seed: int, size: float):
        super().__init__()  # type: ignore[no-untyped-call]
        rng = np.random.default_rng(seed)
        self.pool, self.start = torch.from_numpy(size * rng.choice([-1.0, 1.0], POOL)), 0
        self.operations: dict[Any, tuple[Callable[..., Any], bool]] = {}  # what computes it, and whether that rounds
        self.factors: dict[Any, Tensor] = {}  # by dtype and device

    def moved(self, array: Any) -> Any:
        """Return a floating-point array that is no tensor, of any framework, with each element moved."""
        if not np.issubdtype(array.dtype, np.inexact) or not array.size:
            return array
        self.start += array.size
        moved = self.pool.numpy().take(np.arange(self.start - array.size, self.start), mode="wrap")
        return (array * (1 + moved.reshape(array.shape))).astype(array.dtype)

    def see(self, name: str, operands: list[Any], result: Any) -> Any:
        """Return the result of an operation of NumPy with each element moved."""
        return result if name == "where" else self.moved(np.asarray(result))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say no: nothing here is compiled, and torch would import its compiler, for seconds, to skip it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and perturb its results, except those of views and in-place operations."""
        if func not in self.operations:
            schema = func._schema
            name = schema.name.split("::")[-1]
            exact = name in EXACT or any(returned.alias_info for returned in schema.returns)
            takes_tensors = any("Tensor" in str(argument.type) for argument in schema.arguments)
            self.operations[func] = WITHOUT_APPROXIMATION.get(name, func), takes_tensors and not exact
        compute, rounds = self.operations[func]
        result = compute(*args, **(kwargs or {}))
        if not rounds:
            return result
        return self._perturbed(result) if isinstance(result, Tensor) else tree_map(self._perturbed, result)

    def _perturbed(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
            return value
        kind = value.dtype, value.device
        if kind not in self.factors:
            self.factors[kind] = (1 + self.pool).to(value)
        count, pool = value.numel(), self.factors[kind]
        if count > POOL:
            return value * pool.repeat(count // POOL + 1)[:count].view(value.shape)
        self.start = (self.start + count) % (POOL - count + 1)
        return value * pool[self.start : self.start + count].view(value.shape)


def perturbed(array: Any, size: float, rng: np.random.Generator) -> Any:
    """Return an array with each element moved by one to two times a share of its value, zeros by one of the largest.

    No two are moved alike, so that ties break.
    """
    most = np.abs(array).max(initial=0)
    moved = size * rng.choice([-1, 1], array.shape) * rng.uniform(1, 2, array.shape)
    return array + moved * np.where(array == 0, most, array)
