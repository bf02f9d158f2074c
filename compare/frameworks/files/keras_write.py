"""Networks as Keras models: ``.keras`` and ``.weights.h5``."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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


def import_keras() -> Any:
    """Import Keras, on torch where nobody chose a backend and TensorFlow, which is its own choice, is not there."""
    if not find_spec("tensorflow"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    return keras


def as_model(network: Network) -> Any:
    """Return a Keras model of a network: from x (B, T, D) the readout, or else the output."""
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
