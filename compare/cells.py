"""What a recurrent cell is: its name, its classes, its gates and its states, in one table."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A recurrent cell.

    Args:
        name: on the command line and in users' files.
        gates: the blocks of rows of its weights, in PyTorch's order.
        states: what it carries from step to step; the first is its output.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    @property
    def class_name(self) -> str:
        """The name of its class in ``manual``, ``torch_impl`` and ``torch.nn``."""
        return self.name.upper()

    def of(self, package: Any) -> Any:
        """Its class in one of these packages."""
        return getattr(package, self.class_name)


CELLS = {
    cell.name: cell
    for cell in (
        Cell("lstm", ("i", "f", "g", "o"), ("h", "c")),
        Cell("gru", ("r", "z", "n"), ("h",)),
        Cell("rnn", ("h",), ("h",)),
    )
}
