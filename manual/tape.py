"""The tape of a stack of recurrent layers: what its backward pass needs of the forward pass."""

from copy import deepcopy
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from manual.arrays import Array
from manual.layout import Layout


@dataclass
class StackTape:
    """What backward needs of the forward pass of a stack. Copies and pickles are tapes of their own."""

    layer: str  #: the layer's ``repr``
    layout: Layout
    masks: Array | None  #: (layers - 1, T, B, directions * P), rows in the schedule's order
    sweeps: list[list[Any]]  #: the tapes of each sweep; none once a later run has taken over their memory
    lock: Any = field(default_factory=Lock, repr=False, compare=False)  #: held by what works in their memory

    def take_over(self) -> list[list[Any]]:
        """Return the tapes of each sweep, for a later run to overwrite; this tape is then no longer valid."""
        with self.lock:
            sweeps, self.sweeps = self.sweeps, []
        return sweeps

    def __copy__(self) -> "StackTape":
        return deepcopy(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return StackTape, (self.layer, self.layout, self.masks, self.sweeps)
