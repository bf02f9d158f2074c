"""What a recurrent cell is: gates, states, options and equations, one file each; and how its weights lie."""

from compare.cells.cell import Cell, Form
from compare.cells.gru import GRU
from compare.cells.lstm import LSTM
from compare.cells.rnn import RNN

#: The cells by name. A cell whose layers ``manual`` and ``torch_impl`` have need only be added here.
CELLS: dict[str, Cell] = {cell.name: cell for cell in (LSTM, GRU, RNN)}

__all__ = ["CELLS", "Cell", "Form"]
