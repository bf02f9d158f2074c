"""The tape of a stack of recurrent layers: what its backward pass needs of the forward pass."""

import os
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from manual.arrays import Array
from manual.layout import Layout


@dataclass
class StackTape:
    """What backward needs of the forward pass of a stack. It can't be copied: its arrays are views of one memory."""

    layer: str  #: the layer's ``repr``
    layout: Layout
    masks: Array | None  #: (layers - 1, T, B, directions * P), rows in the schedule's order
    sweeps: list[list[Any]]  #: the tapes of each sweep; none once a later run has taken over their memory
    locks: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)  #: by process

    @property
    def lock(self) -> Any:
        """The lock that is held by what works in the tapes' memory.

        Each process has its own: the threads of its parent are not in a child process, and release nothing there.
        """
        return self.locks.setdefault(os.getpid(), Lock())

    def __reduce__(self) -> Any:
        raise TypeError("tape: it can't be copied or pickled; call forward again")

    @classmethod
    def check(cls, argument: str, tape: object, layer: str) -> "StackTape":
        """Return ``tape`` if it is valid for the argument, a tape of a layer with this ``repr``.

        Raises:
            TypeError: it is no tape.
            ValueError: it is that of a layer of another form.
        """
        if not isinstance(tape, cls):
            raise TypeError(f"{argument}: expected the tape of a forward pass, got {type(tape).__name__}")
        if tape.layer != layer:
            raise ValueError(f"{argument}: expected the tape of {layer}, got that of {tape.layer}")
        return tape

    def take_over(self) -> list[list[Any]]:
        """Return the tapes of each sweep, for a later run to overwrite; this tape is then no longer valid."""
        with self.lock:
            sweeps, self.sweeps = self.sweeps, []
        return sweeps
