"""The recurrent layers of Keras: which form of a cell one is, and its weights."""

from typing import Any

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks.files.keras_write import LAYERS
from compare.frameworks.layouts import LAYOUTS

#: The classes of recurrent layers.
KINDS = frozenset(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"))

#: What a cell must have for ``manual`` to have the same, besides what sets its form apart.
USUAL = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "SimpleRNN": {},
}


def check_layer(layer: Any) -> None:
    """Make sure that ``manual`` can run a layer as Keras does."""
    if getattr(layer, "stateful", False):
        raise ValueError("expected stateful = False, got True")
    if type(layer).__name__ == "Bidirectional":
        if layer.merge_mode != "concat":
            raise ValueError(f"expected merge_mode concat, got {layer.merge_mode}")
        if layer.forward_layer.go_backwards or not layer.backward_layer.go_backwards:
            raise ValueError("expected a forward layer that reads forwards and a backward layer that reads backwards")
        forms = [cells_of(own)[0][0] for own in (layer.forward_layer, layer.backward_layer)]
        if forms[0] != forms[1]:
            raise ValueError(f"expected both directions of one form, got {' and '.join(forms)}")


def cells_of(layer: Any) -> list[tuple[str, list[Arrays]]]:
    """Return the form and the weights of each direction, of each layer of a stack, which most often is one."""
    if type(layer).__name__ == "Bidirectional":
        forward, backward = (cells_of(own) for own in (layer.forward_layer, layer.backward_layer))
        if len(forward) > 1 or len(backward) > 1:
            raise ValueError("expected one cell in each direction, got a stack")
        return [(forward[0][0], forward[0][1] + backward[0][1])]
    cells = layer.cell.cells if type(layer.cell).__name__ == "StackedRNNCells" else [layer.cell]
    return [_read_cell(cell) for cell in cells]


def _read_cell(cell: Any) -> tuple[str, list[Arrays]]:
    kind, given = type(cell).__name__.removesuffix("Cell"), cell.get_config()
    if kind not in USUAL:
        raise ValueError(f"expected a cell of LSTM, GRU or SimpleRNN, got {type(cell).__name__}")
    for name, value in USUAL[kind].items():
        if given[name] != value:
            raise ValueError(f"expected {name} = {value!r}, got {given[name]!r}")
    fitting = [
        form
        for form, (own, options) in LAYERS.items()
        if own == kind and all(given[name] == value for name, value in options.items())
    ]
    if not fitting:
        raise ValueError(f"expected one of {'; '.join(LAYERS)}, got {kind} with {given['activation']}")
    layout = LAYOUTS["keras"][fitting[0]]
    arrays = dict(zip(layout.arrays, map(np.array, cell.get_weights())))
    if not cell.use_bias:
        width = arrays["kernel"].shape[1]
        arrays["bias"] = np.zeros((2, width) if layout.biases == "stacked" else width, arrays["kernel"].dtype)
    return fitting[0], [layout.parameters(arrays)]
