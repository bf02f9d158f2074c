"""Probes: record the named intermediates of a pass, and feed the reference back in their place.

A probe is called as ``probe(name, t, value)`` and the computation goes on with what it returns. That is the whole
protocol; nothing here knows what is computed.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from manual.arrays import Array

#: Values by name and time step.
Record = dict[tuple[str, int], Array]


class Recorder:
    """A probe for NumPy code. It keeps each value it is shown.

    Args:
        reference: what the values ought to be.
        force: whether to return the reference in place of the value, so that whatever comes next works on right
            inputs.

    Raises:
        ValueError: called with a name or time step the reference lacks, or with a value of another shape than the
            reference's, or not finite.
    """

    def __init__(self, reference: Mapping[tuple[str, int], Array], force: bool):
        self.reference, self.force = reference, force
        self.seen: Record = {}

    def __call__(self, name: str, t: int, value: object) -> Array:
        """Keep the value; return it, or the reference."""
        if (name, t) not in self.reference:
            names = dict.fromkeys(name for name, _ in self.reference)
            steps = max(step for _, step in self.reference) + 1
            raise ValueError(f"probe: expected one of {', '.join(names)}, at a step below {steps}, got {name!r} at {t}")
        if value is ...:
            raise ValueError(f"probe {name!r}: still to be filled in")
        expected, got = self.reference[name, t], np.asarray(value)
        if got.shape != expected.shape or not np.issubdtype(got.dtype, np.inexact):
            raise ValueError(
                f"probe {name!r} at step {t}: expected numbers of shape {expected.shape}, "
                f"got {got.shape} of dtype {got.dtype}"
            )
        if not np.isfinite(got).all():
            raise ValueError(f"probe {name!r} at step {t}: expected finite numbers, got {got[~np.isfinite(got)][0]}")
        self.seen[name, t] = got.copy()
        return expected.copy() if self.force else got


class TensorRecorder:
    """A probe for torch code. It keeps each tensor, whose adjoint is known once autograd has been through."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[str, int], Tensor] = {}

    def __call__(self, name: str, t: int, value: Tensor) -> Tensor:
        """Keep the tensor, and return it ready to have a gradient."""
        if not value.requires_grad:
            value = value.detach().requires_grad_()
        value.retain_grad()
        self.tensors[name, t] = value
        return value

    def record(self) -> Record:
        """The values by name, and their adjoints by the name with ``d_`` before it; zero where nothing came back."""
        values = {key: tensor.detach().numpy() for key, tensor in self.tensors.items()}
        adjoints = {
            (f"d_{name}", t): np.zeros_like(values[name, t]) if tensor.grad is None else tensor.grad.numpy()
            for (name, t), tensor in self.tensors.items()
        }
        return values | adjoints
