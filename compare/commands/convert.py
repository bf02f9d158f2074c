"""``convert``: weights from one framework to another."""

import argparse
import json
from pathlib import Path

from compare.commands import AGREE
from compare.frameworks import files
from compare.frameworks.files.arrays import WORDS
from compare.frameworks.files.proof import Proof
from compare.frameworks.layouts import FORMS, LAYOUTS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a conversion."""
    parser.description = (
        "Write the recurrent layers and the readout in FILE, such as the weights.safetensors that train leaves behind, "
        "as another framework has them. Names that end in .safetensors or .npz are arrays in any framework's layout, "
        ".onnx an ONNX model, .keras and .weights.h5 a Keras model and its weights, .msgpack the parameters of a Flax "
        "model. Where the framework is installed, both files are run on random numbers, and nothing is written unless "
        "the outputs agree. Where a framework cannot hold the network, an error says why. Exit status: 0 written, 2 "
        "bad input."
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
    parser.add_argument(
        "--part",
        default="",
        metavar="NAME",
        help="of a model, read only the recurrent layer NAME and those chained to it",
    )
    parser.add_argument("--only", default="", metavar="PREFIX", help="of named arrays, read only those under PREFIX")
    parser.add_argument(
        "--form",
        default="",
        help=f"what named arrays do not say, with commas between: {'; '.join(FORMS)}; and {', '.join(WORDS)}",
    )
    parser.add_argument("--large", action="store_true", help="read FILE even if it unpacks to more than 4 GiB")
    parser.add_argument("--no-proof", action="store_true", help="do not run what is read and written")
    parser.add_argument("--json", action="store_true", help="print what was read and written as JSON")


def run(options: argparse.Namespace) -> int:
    """Read, write, say what it was."""
    try:
        return _run(options)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        needed = f"{name}, which is not installed here: pip install -c constraints.txt -e '.[frameworks]'"
        raise ValueError(f"convert: expected {needed}") from None


def _run(options: argparse.Namespace) -> int:
    choice = {name: getattr(options, name) for name in ("part", "only", "form", "large")}
    reading = files.read(options.file, options.from_, prove=not options.no_proof, **choice)
    network = reading.network
    written = files.write(options.out, options.to_, network, not options.no_proof)
    if options.json:
        found = {
            "network": network.title,
            "from": options.from_,
            "to": options.to_,
            "out": str(options.out),
            "assumed": reading.assumed,
            "left_out": reading.left_out,
            "unsaid": written.unsaid,
            "read": {"proof": reading.proof.words, "error": reading.proof.error},
            "written": {"proof": written.proof.words, "error": written.proof.error},
        }
        print(json.dumps(found, indent=2))
        return AGREE
    source, target = (LAYOUTS[name][network.form].gates for name in (options.from_, options.to_))
    print(f"{network.title}: {options.from_} ({source}) to {options.to_} ({target})")
    for heading, phrases in (("Assumed", reading.assumed), ("Left out", reading.left_out)):
        if phrases:
            print(f"{heading}: {'; '.join(phrases)}")
    print(f"Read: {_in_words(reading.proof)}")
    print(f"Written to {options.out}: {_in_words(written.proof)}")
    if written.unsaid:
        print(f"The file does not say: {', '.join(written.unsaid)}")
    return AGREE


def _in_words(proof: Proof) -> str:
    """Return what came out of running both."""
    return f"proof {proof.words}" if proof.error is None else f"{proof.words} to {proof.error:.0e}"
