"""``convert``: weights from one framework to another."""

import argparse
from pathlib import Path

from compare.commands import AGREE
from compare.frameworks import conversion
from compare.frameworks.layouts import LAYOUTS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a conversion."""
    parser.description = (
        "Write the recurrent layers and the readout in FILE, such as the weights.safetensors that train leaves behind, "
        "as another framework has them. Names that end in .safetensors or .npz are arrays in any framework's layout, "
        ".onnx an ONNX model, .keras and .weights.h5 a Keras model and its weights, .msgpack the parameters of a Flax "
        "model. Where a framework cannot hold the network, an error says why. Exit status: 0 written, 2 bad input."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what to read")
    layouts = ", ".join(LAYOUTS)
    for name, meaning in (("from", "whose layout FILE has"), ("to", "whose layout to write")):
        parser.add_argument(
            f"--{name}",
            dest=f"{name}_",
            choices=list(LAYOUTS),
            required=True,
            metavar="NAME",
            help=f"{meaning}: {layouts}",
        )
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="what to write")


def run(options: argparse.Namespace) -> int:
    """Read, write, say what it was."""
    network = conversion.read(options.file, options.from_)
    conversion.write(options.out, options.to_, network)
    source, target = (LAYOUTS[name][network.form].gates for name in (options.from_, options.to_))
    print(f"{network.title}: {options.from_} ({source}) to {options.to_} ({target})")
    print(f"Written to {options.out}")
    return AGREE
