"""Keras models as networks."""

from pathlib import Path
from typing import Any

from compare.cells.layout import Arrays
from compare.frameworks.files.keras_write import LAYERS, import_keras
from compare.frameworks.files.reading import Proof, Reading
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: The further configuration that a layer must have for ``manual`` to have the same layer.
USUAL = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "SimpleRNN": {},
}


def read(path: Path, part: str = "", prove: bool = True) -> Reading:
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
    return Reading(as_network(model, str(path)), Proof("left out"))


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
