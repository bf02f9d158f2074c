"""A right derivation in torch without autograd, what it is held against, and the faults put into its gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from compare import check_backward, check_function

CASES: dict[str, "Case"] = {}


def normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    """Return a function that draws normally distributed numbers."""
    return lambda rng: scale * rng.normal(size=shape)


def ties(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Return a function that draws halves, many of them equal, and zeros."""
    return lambda rng: np.round(2 * rng.normal(size=shape)) / 2


def case(axes: str = "", **inputs: Any) -> Callable[[type], type]:
    """Register a class with ``forward``, ``backward`` and ``reference``, given shapes or functions of a generator."""

    def register(derivation: type) -> type:
        CASES[derivation.__name__] = Case(derivation, axes, {
            name: value if callable(value) else normal(*value) for name, value in inputs.items()
        })  # fmt: skip
        return derivation

    return register


@dataclass(frozen=True)
class Case:
    """A derivation. ``wrong`` names one of its inputs and changes what the backward pass returns for it."""

    derivation: type
    axes: str
    inputs: dict[str, Callable[[np.random.Generator], np.ndarray]]

    def drawn(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {name: np.asarray(draw(rng)) for name, draw in self.inputs.items()}

    def differentiable(self) -> list[str]:
        return [name for name, array in self.drawn(0).items() if array.dtype.kind == "f"]

    def gradients(self, seed: int) -> list[torch.Tensor]:
        """Return the gradients for an incoming gradient of the check's own kind."""
        with torch.no_grad():
            y, tape = self.derivation.forward(*map(torch.from_numpy, self.drawn(seed).values()))
            d_y = torch.from_numpy(np.asarray(np.random.default_rng(seed).normal(size=tuple(y.shape))))
            return self.returned(tape, d_y)

    def returned(self, tape: Any, d_y: torch.Tensor) -> list[torch.Tensor]:
        found = self.derivation.backward(tape, d_y)
        return list(found) if isinstance(found, tuple) else [found]

    def check_pair(self, seed: int, wrong: tuple[str, "Fault"] | None = None, dtype: str = "float64") -> Any:
        """Check as functions of arrays."""

        def forward(*arrays: Any) -> Any:
            y, tape = self.derivation.forward(*map(torch.from_numpy, arrays))
            return y.numpy(), tape

        def backward(tape: Any, d_y: Any) -> Any:
            found = self._with(wrong, self.returned(tape, torch.from_numpy(np.asarray(d_y))))
            return tuple(d.numpy() for d in found)

        inputs = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in self.drawn(seed).items()}
        return check_backward(forward, backward, self.derivation.reference, inputs, axes=self.axes, seed=seed)

    def check_function(
        self, seed: int, wrong: tuple[str, "Fault"] | None = None, dtype: str = "float64", **more: Any
    ) -> Any:
        """Check as an ``autograd.Function``."""
        case, names = self, list(self.inputs)

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *tensors: torch.Tensor) -> torch.Tensor:
                y, ctx.tape = case.derivation.forward(*tensors)
                return y

            @staticmethod
            def backward(ctx: Any, d_y: torch.Tensor) -> Any:
                found = iter(case._with(wrong, case.returned(ctx.tape, d_y)))
                wanted = case.differentiable()
                return tuple(next(found) if name in wanted else None for name in names)

        tensors = [torch.from_numpy(array) for array in self.drawn(seed).values()]
        tensors = [t.to(getattr(torch, dtype)) if t.is_floating_point() else t for t in tensors]
        return check_function(Function, self.derivation.reference, *tensors, axes=self.axes, seed=seed)

    def _with(self, wrong: tuple[str, "Fault"] | None, found: list[torch.Tensor]) -> list[torch.Tensor]:
        if wrong:
            at = self.differentiable().index(wrong[0])
            found[at] = wrong[1](found[at])
        return found


Fault = Callable[[torch.Tensor], torch.Tensor]


def element(d: torch.Tensor) -> torch.Tensor:
    """Enlarge the element in the middle of those that are not zero by half."""
    flat = d.flatten().clone()
    there = flat.nonzero()[:, 0]
    if len(there):
        flat[there[len(there) // 2]] *= 1.5
    return flat.view(d.shape)


def row(d: torch.Tensor) -> torch.Tensor:
    d = d.clone()
    d[d.shape[0] // 2 if d.ndim else ...] = 0
    return d


def last(d: torch.Tensor) -> torch.Tensor:
    d = d.clone()
    d[-1 if d.ndim else ...] = 0
    return d


def transposed(d: torch.Tensor) -> torch.Tensor:
    """Read the elements in the order of another layout."""
    return d.transpose(0, -1).reshape(d.shape) if d.ndim > 1 else d.flip(0) if d.ndim else d


FAULTS: dict[str, Fault] = {
    "zero": torch.zeros_like,
    "sign": torch.neg,
    "factor 2": lambda d: 2 * d,
    "factor 0.5": lambda d: 0.5 * d,
    "factor 1.25": lambda d: 1.25 * d,
    "factor 1.01": lambda d: 1.01 * d,
    "factor 1.001": lambda d: 1.001 * d,
    "element": element,
    "row": row,
    "last step": last,
    "transposed": transposed,
    "shifted": lambda d: d.roll(1, 0) if d.ndim else d,
    "term": lambda d: d - d.mean(0, keepdim=True) if d.ndim and len(d) > 1 else 2 * d,
}
