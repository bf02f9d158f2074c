"""Networks as Keras models, and Keras models as networks: ``.keras``, and writing ``.weights.h5``."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compare.cells.layout import Arrays
from compare.converter import checksum
from compare.files import replacing
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network
from compare.frameworks.weight_files import ATTRIBUTE, read_h5

#: The layer of each form, and what sets the form apart in its configuration.
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru, reset before": ("GRU", {"reset_after": False}),
    "rnn": ("SimpleRNN", {"activation": "tanh"}),
    "rnn, relu": ("SimpleRNN", {"activation": "relu"}),
}

#: The further configuration that a layer must have for ``manual`` to have the same layer.
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
    """Return a Keras model of a network: from x (B, T, D) the readout, or else the output, of each time step.

    Raises:
        ValueError: Keras cannot hold the network.
    """
    keras = import_keras()
    kind, options = LAYERS[network.form]
    layout, first = LAYOUTS["keras"][network.form], network.layers[0][0]
    dtype = str(first["weight_hh"].dtype)
    model = keras.Sequential([keras.Input((None, first["weight_ih"].shape[1]), dtype=dtype)])
    for directions in network.layers:
        H = directions[0]["weight_hh"].shape[1]
        layer = getattr(keras.layers, kind)(H, return_sequences=True, dtype=dtype, **options)
        model.add(keras.layers.Bidirectional(layer, dtype=dtype) if len(directions) == 2 else layer)
        weights = [layout.weights(arrays) for arrays in directions]
        model.layers[-1].set_weights([arrays[name] for arrays in weights for name in layout.arrays])
    if network.readout:
        model.add(keras.layers.Dense(len(network.readout["bias"]), dtype=dtype))
        model.layers[-1].set_weights([network.readout["weight"].T, network.readout["bias"]])
    return model


def write(path: Path, network: Network) -> None:
    """Write a network as a Keras model, or its weights alone if the name ends in .weights.h5."""
    model = as_model(network)
    with replacing(path) as temporary:
        if not path.name.endswith(".weights.h5"):
            model.save(temporary)
            return
        import h5py

        model.save_weights(temporary)
        total = checksum(read_h5(temporary))
        with h5py.File(temporary, "r+") as file:
            file.attrs[ATTRIBUTE] = total


def read(path: Path) -> Network:
    """Return the recurrent layers of a Keras model, each of which reads the one before, and the readout after them.

    Raises:
        ValueError: the file is no Keras model, or has a layer that ``manual`` does not have.
    """
    try:
        model = import_keras().saving.load_model(path, compile=False)
    except (OSError, TypeError, ValueError) as error:
        if not path.is_file():
            raise
        raise ValueError(f"{path}: expected a Keras model: {' '.join(str(error).split())}") from None
    return as_network(model, str(path))


def as_network(model: Any, source: str) -> Network:
    """Return the network in a Keras model; ``source`` is what errors call it.

    Raises:
        ValueError: as ``read``.
    """
    forms: list[str] = []
    layers: list[list[Arrays]] = []
    readout: Arrays = {}
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        title = f"{source}: layer {layer.name}"
        if kind == "Dense" and layers and not readout:
            if layer.get_config()["activation"] not in ("linear", "sigmoid", "softmax"):
                raise ValueError(
                    f"{title}: expected a linear readout, got activation {layer.get_config()['activation']}"
                )
            weight, *bias = layer.get_weights()
            readout = {"weight": weight.T.copy(), "bias": bias[0] if bias else 0 * weight[0]}
            continue
        directions = [layer.forward_layer, layer.backward_layer] if kind == "Bidirectional" else [layer]
        if kind == "Bidirectional" and layer.merge_mode != "concat":
            raise ValueError(f"{title}: expected merge_mode concat, got {layer.merge_mode}")
        form = _form(directions[0], title)
        layout = LAYOUTS["keras"][form]
        forms.append(form)
        layers.append(
            [layout.parameters(dict(zip(layout.arrays, own.get_weights(), strict=True))) for own in directions]
        )
    if len(set(forms)) != 1:
        raise ValueError(f"{source}: expected recurrent layers of one form, got {'; '.join(forms) or 'none'}")
    return Network(forms[0], layers, readout)


def _form(layer: Any, title: str) -> str:
    """Return the form of a recurrent layer."""
    kind, given = type(layer).__name__, layer.get_config()
    expected = {"go_backwards": False, "use_bias": True, **USUAL.get(kind, {})}
    for name, value in expected.items():
        if given.get(name) != value and name in given:
            raise ValueError(f"{title}: expected {name} = {value!r}, got {given[name]!r}")
    for form, (own, options) in LAYERS.items():
        if own == kind and all(given[name] == value for name, value in options.items()):
            return form
    raise ValueError(f"{title}: expected one of {'; '.join(LAYERS)}, got {kind} with {given.get('activation')}")
