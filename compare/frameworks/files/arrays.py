"""Networks in files of named arrays: npz, safetensors, Flax's msgpack, weights.h5 of Keras, and state_dicts of torch.

Such a file says of a network nothing but the names and shapes of its arrays. Those that end as the names in a
framework's layout do are the weights of a layer in one direction. What stands before them has to be one prefix, with
layers numbered without a gap; what remains, one readout. What no name and no shape says, ``--form`` says, or else it is
assumed aloud.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from pathlib import Path

import numpy as np

from compare.cells.layout import Arrays, Layout
from compare.frameworks.files import containers
from compare.frameworks.files.proof import Proof, Reading, proof_of
from compare.frameworks.layouts import FORMS, LAYOUTS
from compare.frameworks.network import Network
from manual.model import READOUTS

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

#: What ``--form`` may say besides the form of the cell.
WORDS = (
    *("batch first", "final state", "forget bias 1", "last layer first", "readout"),
    *(f"{activation} readout" for activation in READOUTS),
)


@dataclass(frozen=True)
class Sweep:
    """The arrays of one layer in one direction."""

    place: str  #: what stands around the names of its arrays, without its direction
    reverse: bool  #: whether it is the backward direction
    own: Arrays  #: its arrays, by the names of the layout
    parameters: Arrays  #: the same under PyTorch's names and in its layout

    @property
    def prefix(self) -> str:
        """The place without its numbers."""
        return re.sub(r"_?\d+", "", self.place)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in the place."""
        return tuple(map(int, re.findall(r"\d+", self.place)))


def read(
    path: Path, framework: str, only: str = "", form: str = "", large: bool = False, prove: bool = True
) -> Reading:
    """Read a file of named arrays; the arguments are those of ``files.read``, ``form`` has any of ``WORDS`` as well."""
    arrays, layout = containers.read(path, large)
    try:
        reading, sweeps = from_arrays(arrays, framework, only, form)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    network = reading.network
    if layout and layout != title(framework, network.form):
        raise ValueError(f"{path}: expected layout {title(framework, network.form)!r}, got {layout!r}")
    network.model()  # which says what does not fit
    if not prove:
        proof = Proof("left out, as asked")
    elif "forget bias 1" in form:
        proof = Proof("left out: the framework's layer is compared without a forget bias of its own")
    else:
        proof = proof_of(str(path), framework, network, sweeps)
    return replace(reading, proof=proof)


def from_arrays(arrays: Arrays, framework: str, only: str = "", form: str = "") -> tuple[Reading, list[list[Arrays]]]:
    """Return the network with these arrays, and each layer's own; a ValueError if they are of no such network."""
    own_form, words = _said(form)
    left_out = [name for name in arrays if name.startswith(("optimizer/", "_optimizer/")) and framework == "keras"]
    if only:
        inside = {name: re.sub(r"^[./]", "", name.removeprefix(only)) for name in arrays if _is_under(name, only)}
        if not inside:
            raise ValueError(f"only: expected a prefix of {', '.join(arrays)}, got {only!r}")
        left_out = [name for name in arrays if name not in inside]
        arrays = {short: arrays[name] for name, short in inside.items()}
    else:
        arrays = {name: array for name, array in arrays.items() if name not in left_out}
    if framework == "onnx":
        arrays = _one_direction_each(arrays)
    layouts = {own_form: LAYOUTS[framework][own_form]} if own_form in LAYOUTS[framework] else LAYOUTS[framework]
    if own_form and own_form not in LAYOUTS[framework]:
        raise ValueError(f"form: expected one of {'; '.join(LAYOUTS[framework])} for {framework}, got {own_form!r}")
    if "forget bias 1" in words:
        layouts = {name: replace(layout, added={"f": 1.0}) for name, layout in layouts.items()}
    found = {name: _sweeps(arrays, framework, layout) for name, layout in layouts.items()}
    fitting = [name for name, sweeps in found.items() if sweeps]
    if not fitting:
        names = " or ".join(dict.fromkeys(", ".join(layout.arrays) for layout in layouts.values()))
        raise ValueError(
            f"{framework}: expected for each layer arrays named {names}, got {', '.join(arrays) or 'none'}"
        )
    best = max(fitting, key=lambda name: (sum(len(s.own) for s in found[name]), -fitting.index(name)))
    sweeps = found[best]
    assumed = []
    alike = [name for name in fitting if name != best and layouts[name] == layouts[best]]
    if alike:
        assumed.append(f"{best}, which has the arrays of {' and '.join(alike)}")
    layers, in_order = _stacked(sweeps, "last layer first" in words)
    assumed += [in_order] if in_order else []
    used = {id(array) for sweep in sweeps for array in sweep.own.values()}
    rest = {name: array for name, array in arrays.items() if id(array) not in used}
    readout = _readout(rest, framework, layers, any("readout" in word for word in words))
    if framework.startswith("tensorflow-block") and "forget bias 1" not in words:
        assumed.append("nothing is added to the bias of the forget gate at run time")
    if not any("bias" in name for name in sweeps[0].own) and all(name[-1] != "b" for name in sweeps[0].own):
        assumed.append("no biases, since there are none")
    activation = next((word.removesuffix(" readout") for word in words if word.endswith(" readout")), "linear")
    batch_first = framework == "keras" or "batch first" in words
    assumed += [] if batch_first else ["x is (T, B, D)"]
    if readout and not {"final state"} & words:
        assumed.append(f"the readout reads every step{' and is linear' if activation == 'linear' else ''}")
    if framework == "keras":
        assumed.append("directions are concatenated" if len(layers[0]) == 2 else "no layer runs backwards")
    parameters = [[sweep.parameters for sweep in directions] for directions in layers]
    network = Network(best, parameters, readout, activation, "final state" in words, batch_first)
    own = [[sweep.own for sweep in directions] for directions in layers]
    return Reading(network, Proof("left out"), tuple(assumed), tuple(left_out)), own


def _said(form: str) -> tuple[str, set[str]]:
    """Return the form of the cell that ``--form`` names, if any, and the other words that it has."""
    parts = [part.strip() for part in form.split(",") if part.strip()]
    names = [", ".join(parts[:k]) for k in range(len(parts), 0, -1)]
    own = next((name for name in names if name in FORMS), "")
    words = parts[len(own.split(", ")) if own else 0 :]
    for word in words:
        if word not in WORDS:
            raise ValueError(f"form: expected one of {'; '.join(FORMS)}, or any of {', '.join(WORDS)}, got {word!r}")
    return own, set(words)


def _is_under(name: str, prefix: str) -> bool:
    """Return whether a name is that of an array under a prefix, which may leave out the last separator."""
    return name.startswith(prefix) and (prefix.endswith((".", "/")) or name[len(prefix) :][:1] in (".", "/"))


def _one_direction_each(arrays: Arrays) -> Arrays:
    """Split arrays of ONNX's shapes, as in (directions, 4 H, D), by direction; B (directions, 8 H) becomes (2, 4 H)."""
    split: Arrays = {}
    for name, array in arrays.items():
        prefix, letter = re.fullmatch(r"(.*?)([^./]*)", name).groups()  # type: ignore[union-attr]
        of_layer = arrays.get(f"{prefix}W")
        if letter not in ("W", "R", "B", "P") or of_layer is None or of_layer.ndim != 3:
            split[name] = array
            continue
        for k, part in enumerate(array):
            place = prefix if k == 0 else f"{prefix.rstrip('./')}_reverse/"
            split[f"{place}{letter}"] = part.reshape(2, -1) if letter == "B" else part
    return split


def _sweeps(arrays: Arrays, framework: str, layout: Layout) -> list[Sweep]:
    """Return the layers of one direction whose arrays are named and shaped as a layout says."""
    weights = replace(layout, biases=0).arrays
    ending = r"(?:_l\d+(?:_reverse)?)?" if framework in ("torch", "paddle") else ""
    sweeps = []
    for name in arrays:
        match = re.fullmatch(rf"((?:.*[./])?){re.escape(layout.arrays[0])}({ending})", name)
        if not match or (framework == "haiku" and layout.joined and not re.search(r"(lstm|core|l\d+)[^/]*/", match[1])):
            continue
        own = {n: arrays[match[1] + n + match[2]] for n in layout.arrays if match[1] + n + match[2] in arrays}
        kept = (
            layout
            if len(own) == len(layout.arrays)
            else replace(layout, biases=0)
            if set(own) == set(weights)
            else None
        )
        if kept is None:
            continue
        try:
            parameters = kept.parameters(own)
        except (ValueError, IndexError):  # they have other shapes
            continue
        projection = arrays.get(f"{match[1]}weight_hr{match[2]}") if framework == "torch" else None
        if projection is not None:
            own["weight_hr"] = parameters["weight_hr"] = projection
        if _fits(parameters, len(layout.order)):
            place = match[1] + match[2]
            reverse = bool(re.search(r"backward|_reverse", place))
            sweeps.append(
                Sweep(re.sub(r"(forward|backward)(_rnn|_layer)?|_reverse", "", place), reverse, own, parameters)
            )
    return sweeps


def _fits(parameters: Arrays, gates: int) -> bool:
    """Return whether arrays have the shapes of a layer with so many gates."""
    of_h = parameters["weight_hh"]
    if of_h.ndim != 2 or parameters["weight_ih"].ndim != 2:
        return False
    H = parameters["weight_hr"].shape[-1] if "weight_hr" in parameters else of_h.shape[1]
    rows = [len(parameters[name]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return rows == [gates * H] * 4 and all(parameters[name].ndim == 1 for name in ("bias_ih", "bias_hh"))


def _stacked(sweeps: list[Sweep], is_reversed: bool) -> tuple[list[list[Sweep]], str]:
    """Return the directions of each layer in order, and what is assumed of the order."""
    prefixes = dict.fromkeys(sweep.prefix for sweep in sweeps)
    columns = list(zip_longest(*(sweep.numbers for sweep in sweeps), fillvalue=0))  # Keras leaves out the 0
    varying = [column for column in columns if len(set(column)) > 1]
    if len(prefixes) > 1 or len(varying) > 1:
        places = dict.fromkeys(re.sub(r"_l\d+$", "", sweep.place).strip("./") or "no prefix" for sweep in sweeps)
        raise ValueError(f"expected layers under one prefix, got {', '.join(places)}; --only PREFIX chooses")
    by_number: dict[int, list[Sweep]] = {}
    numbered = zip(varying[0] if varying else [0] * len(sweeps), sweeps)
    for number, sweep in sorted(numbered, key=lambda one: one[1].reverse):
        by_number.setdefault(number, []).append(sweep)
    numbers = sorted(by_number)
    if len(numbers) > 1 and numbers not in ([*range(len(numbers))], [*range(1, len(numbers) + 1)]):
        raise ValueError(f"expected layers numbered without a gap, got {', '.join(map(str, numbers))}")
    if len(numbers) == 1 and re.search(r"_l[1-9]\d*$", sweeps[0].place):
        raise ValueError(f"expected layers numbered without a gap, got {sweeps[0].place} alone")
    layers = [by_number[number] for number in numbers]
    ways = {tuple(sweep.reverse for sweep in layer) for layer in layers}
    if len(ways) > 1 or not ways <= {(False,), (False, True)}:
        raise ValueError("layers: expected one direction in all or both in all")
    nested = len(layers) > 1 and bool(re.search(r"Cell_?$|Cell_?/", sweeps[0].prefix))  # as @nn.compact names them
    if is_reversed or (nested and _is_chain(layers[::-1]) and not _is_chain(layers)):
        return layers[::-1], "" if is_reversed else "the last number is the first layer, as the shapes say"
    words = "layers in the order of their numbers, though nested calls number the last first"
    return layers, words if nested else ""


def _is_chain(layers: list[list[Sweep]]) -> bool:
    """Return whether each layer reads as many features as the one before hands out."""
    return all(
        after[0].parameters["weight_ih"].shape[1] == sum(sweep.parameters["weight_hh"].shape[1] for sweep in before)
        for before, after in pairwise(layers)
    )


def _readout(rest: Arrays, framework: str, layers: list[list[Sweep]], is_said: bool) -> Arrays:
    """Return the weight and the bias of the readout, which is all that remains of a file."""
    if not rest:
        return {}
    weight, bias, columns = LINEAR[framework]
    parts = {name.rpartition("/")[2].rpartition(".")[2]: name for name in rest}
    prefixes = {re.sub(r"[^./]*$", "", name) for name in rest}
    if weight not in parts or set(parts) - {weight, bias} or len(parts) != len(rest) or len(prefixes) > 1:
        words = f"expected recurrent layers and one linear layer, with {weight} and {bias}, after them"
        raise ValueError(f"{words}, got also {', '.join(rest)}; --only PREFIX leaves arrays out")
    array = rest[parts[weight]]
    if array.ndim != 2:
        raise ValueError(f"{parts[weight]}: expected a matrix, got shape {array.shape}")
    own = {"weight": (array.T if columns else array).copy()}
    own["bias"] = rest[parts[bias]].copy() if bias in parts else np.zeros_like(own["weight"][:, 0])
    first, (prefix,) = layers[0][0], prefixes
    is_after = "readout" in prefix or re.sub(r"\d+", "", prefix) in first.place
    if not is_said and not is_after and len(own["weight"]) == first.parameters["weight_ih"].shape[1]:
        words = f"expected a linear layer after the recurrent ones, got {parts[weight]}, which may stand before them"
        raise ValueError(f"{words}; --form readout says after, --only leaves it out")
    return own


def to_arrays(network: Network, framework: str) -> Arrays:
    """Return a network's arrays as a framework has them; a ValueError if it cannot hold the network."""
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
