"""The recurrent cells in one table: name, classes, gates and states."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A recurrent cell.

    Args:
        name: its name on the command line and in users' files.
        gates: the blocks of rows of its weights, in PyTorch's order.
        states: the states carried from step to step; the first is the output.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    @property
    def class_name(self) -> str:
        """The name of its class in ``manual``, ``torch_impl`` and ``torch.nn``."""
        return self.name.upper()

    def of(self, package: Any) -> Any:
        """Return its class in one of these packages."""
        return getattr(package, self.class_name)


CELLS = {
    cell.name: cell
    for cell in (
        Cell("lstm", ("i", "f", "g", "o"), ("h", "c")),
        Cell("gru", ("r", "z", "n"), ("h",)),
        Cell("rnn", ("h",), ("h",)),
    )
}
