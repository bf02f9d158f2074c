"""Networks as named arrays: how each framework's files name them, and what such a file does not say."""

from pathlib import Path

import numpy as np

from compare.cells.layout import Arrays
from compare.frameworks.files import containers
from compare.frameworks.layouts import LAYOUTS
from compare.frameworks.network import Network

#: How a file names the arrays of layer {k}, {array} being a name of the layout: in one direction, forwards and
#: backwards where there are both; and those of the readout, {k} being the number of layers. Flax's and MLX's names are
#: those of their own sequential models, so that these can load them.
_NUMBERED = ("l{k}/{array}", "l{k}/{array}", "l{k}_reverse/{array}", "readout/{array}")
_TORCH = ("recurrent.{array}_l{k}", "recurrent.{array}_l{k}", "recurrent.{array}_l{k}_reverse", "readout.{array}")
_FLAX = tuple(f"params/layers_{{k}}/{p}{{array}}" for p in ("cell/", "forward_rnn/cell/", "backward_rnn/cell/", ""))
_MLX = tuple(f"layers.{{k}}.{p}{{array}}" for p in ("", "forward.", "backward.", ""))
NAMES = dict.fromkeys(LAYOUTS, _NUMBERED) | {"torch": _TORCH, "paddle": _TORCH, "linen": _FLAX, "mlx": _MLX}

#: What each framework calls the weight and the bias of a linear layer, and whether its weight is (in, out).
LINEAR = dict.fromkeys(LAYOUTS, ("kernel", "bias", True)) | {
    "torch": ("weight", "bias", False),
    "paddle": ("weight", "bias", True),
    "mlx": ("weight", "bias", False),
    "equinox": ("weight", "bias", False),
    "haiku": ("w", "b", True),
}


def to_arrays(network: Network, framework: str) -> Arrays:
    """Return a network's arrays as a framework names and lays them out."""
    layout = LAYOUTS[framework][network.form]
    one, forward, backward, readout = NAMES[framework]
    arrays: Arrays = {}
    for k, directions in enumerate(network.layers):
        for template, weights in zip([one] if len(directions) == 1 else [forward, backward], directions):
            own = layout.weights({name: array for name, array in weights.items() if name != "weight_hr"})
            if "weight_hr" in weights:
                if framework != "torch":
                    raise ValueError(f"to: expected torch for proj_size = {len(weights['weight_hr'])}, got {framework}")
                own["weight_hr"] = weights["weight_hr"]
            arrays |= {template.format(array=name, k=k): array for name, array in own.items()}
    if not network.readout:
        return {name.removeprefix("recurrent."): array for name, array in arrays.items()}
    weight, bias, columns = LINEAR[framework]
    own = {weight: network.readout["weight"].T if columns else network.readout["weight"], bias: network.readout["bias"]}
    return arrays | {readout.format(array=name, k=len(network.layers)): array for name, array in own.items()}


def write(path: Path, framework: str, network: Network) -> None:
    """Write a network as named arrays."""
    arrays = {name: np.ascontiguousarray(array) for name, array in to_arrays(network, framework).items()}
    containers.write(path, arrays, title(framework, network.form))


def title(framework: str, form: str) -> str:
    """Return what a file says of its layout, as ``compare.converter`` writes and reads it."""
    return f"{framework}: {LAYOUTS[framework][form].gates}"


def unsaid(network: Network, framework: str) -> list[str]:
    """Return what ``--form`` has to say when a framework's arrays of a network are read again."""
    own = LAYOUTS[framework]
    first = next(form for form in own if own[form] == own[network.form])
    said = [network.form] if first != network.form else []
    said += [f"{network.activation} readout"] if network.activation != "linear" else []
    said += ["final state"] if network.final else []
    return said + (["batch first"] if network.batch_first and framework != "keras" else [])
