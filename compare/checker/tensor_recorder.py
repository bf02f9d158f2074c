"""A probe for torch code: what it shows, and the adjoint of each from autograd.

Every probe is a separate node in autograd's graph. So one tensor under two names has two adjoints, and a tensor that is
later changed in place still has the adjoint of the value that was recorded.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compare.checker.recorder import Key, Record, as_float64, step_and_value

#: Changes a value or an adjoint as it passes through a probe, given its key.
Change = Callable[[Key, Tensor], Tensor]


class TensorRecorder:
    """A probe for torch code. It records each value, and its adjoint during autograd's backward pass.

    Args:
        change: applied to each value and adjoint after it has been recorded.
        once: the names that are recorded only once, if known; ``change`` needs them for the keys.
    """

    def __init__(self, change: Change | None = None, once: frozenset[str] = frozenset()):
        self.change, self.once = change, once
        self.values: Record = {}
        self.adjoints: dict[Key, Tensor] = {}
        self._past: dict[Key, Tensor] = {}  # adjoints of tensors whose probe result was not used
        self._explicit: set[str] = set()
        self._calls: dict[str, int] = {}

    def __call__(self, name: str, *arguments: Any, t: int | None = None) -> Any:
        """Record the value, a ValueError if there is one, and return it as a separate node."""
        t, value = step_and_value(arguments, t)
        if not isinstance(value, Tensor):
            value = torch.as_tensor(value, dtype=torch.get_default_dtype() if isinstance(value, float) else None)
        if t is None:
            t = self._calls.get(name, 0)
        else:
            self._explicit.add(name)
        self._calls[name] = self._calls.get(name, 0) + 1
        key: Key = name, int(t)
        if key in self.values:
            raise ValueError(f"reference: probe {name!r}: recorded twice at step {t}")
        if not (value.is_floating_point() or value.is_complex()):
            self.values[key] = as_float64(value)
            return value
        if not value.requires_grad:
            value = value.detach().requires_grad_()
        value.register_hook(partial(self._past.__setitem__, key))  # type: ignore[no-untyped-call]
        self.values[key] = as_float64(value)
        node: Tensor = _Node.apply(value, self, key)  # type: ignore[no-untyped-call]
        return node

    def record(self) -> Record:
        """Return the values by key, and their adjoints under ``d_`` and the name; zero where no gradient arrived."""
        values = {self._final(key): value for key, value in self.values.items()}
        adjoints = {}
        for key, value in self.values.items():
            adjoint = self.adjoints.get(key, self._past.get(key))
            name, t = self._final(key)
            if value.dtype.kind == "f":
                adjoints[f"d_{name}", t] = np.zeros(value.shape) if adjoint is None else as_float64(adjoint, copy=False)
        return values | adjoints

    def _final(self, key: Key) -> Key:
        """Return the key, without a step if the name was recorded once and the call gave none."""
        name = key[0]
        once = name in self.once or (self._calls[name] == 1 and name not in self._explicit)
        return (name, None) if once else key

    def changed(self, prefix: str, key: Key, tensor: Tensor) -> Tensor:
        """Apply ``change`` to a tensor under its final key."""
        if self.change is None:
            return tensor
        name, t = (key[0], None) if key[0] in self.once else key
        return self.change((prefix + name, t), tensor)


class _Node(torch.autograd.Function):
    """The identity, as a node that sees the value in the forward pass and the adjoint in the backward pass."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, recorder: TensorRecorder, key: Key) -> Tensor:
        ctx.recorder, ctx.key = recorder, key
        return recorder.changed("", key, value.detach().clone())

    @staticmethod
    def backward(ctx: Any, d_value: Tensor) -> tuple[Tensor, None, None]:
        ctx.recorder.adjoints[ctx.key] = d_value.detach().clone()
        return ctx.recorder.changed("d_", ctx.key, d_value), None, None
