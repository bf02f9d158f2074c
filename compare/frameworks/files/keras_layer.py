"""The recurrent layers of Keras: the form and the weights of one, and networks as models of them.

Models are written as ``.keras``, their weights alone as ``.weights.h5``.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from compare.cells.layout import Arrays
from compare.converter import checksum
from compare.frameworks.files.containers import ATTRIBUTE, read
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: The layer of each form, and what sets the form apart in its configuration.
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru, reset before": ("GRU", {"reset_after": False}),
    "rnn": ("SimpleRNN", {"activation": "tanh"}),
    "rnn, relu": ("SimpleRNN", {"activation": "relu"}),
    "rnn, sigmoid": ("SimpleRNN", {"activation": "sigmoid"}),
}

#: The classes of recurrent layers.
KINDS = frozenset(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"))

#: What a cell must have for ``manual`` to have the same, besides what sets its form apart.
USUAL = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "SimpleRNN": {},
}


def import_keras() -> Any:
    """Import Keras, on torch where nobody chose a backend and TensorFlow, which is its own choice, is not there."""
    if not find_spec("tensorflow"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def as_model(network: Network) -> Any:
    """Return a Keras model of a network, from x (B, T, D) to the readout or else the output."""
    keras = import_keras()
    kind, options = LAYERS[network.form]
    layout, first = LAYOUTS["keras"][network.form], network.layers[0][0]
    dtype = str(first["weight_hh"].dtype)
    model = keras.Sequential([keras.Input((None, first["weight_ih"].shape[1]), dtype=dtype)])
    for k, directions in enumerate(network.layers):
        H, is_last = directions[0]["weight_hh"].shape[1], k == len(network.layers) - 1
        layer = getattr(keras.layers, kind)(H, return_sequences=not (is_last and network.final), dtype=dtype, **options)
        model.add(keras.layers.Bidirectional(layer, dtype=dtype) if len(directions) == 2 else layer)
        weights = [layout.weights(arrays) for arrays in directions]
        model.layers[-1].set_weights([arrays[name] for arrays in weights for name in layout.arrays])
    if network.readout:
        model.add(keras.layers.Dense(len(network.readout["bias"]), network.activation, dtype=dtype))
        model.layers[-1].set_weights([network.readout["weight"].T, network.readout["bias"]])
    return model


def write(path: Path, framework: str, network: Network) -> None:
    """Write a network as a Keras model, or its weights alone if the name ends in .weights.h5."""
    model = as_model(network)
    if not path.name.endswith(".weights.h5"):
        model.save(path)
        return
    import h5py

    model.save_weights(path)
    total = checksum(read(path)[0])
    with h5py.File(path, "r+") as file:
        file.attrs[ATTRIBUTE] = total


def check_layer(layer: Any) -> None:
    """Raise a ValueError unless ``manual`` can run a layer as Keras does."""
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
    """Return form and directions' weights of each layer of a stack; a ValueError if ``manual`` lacks the cell."""
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
