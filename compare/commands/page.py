"""``page``: the derivation of a cell with its code, its numbers and its errors, to look at."""

import argparse
from pathlib import Path

import numpy as np

import manual
from compare.agreement import by_hand
from compare.binary_addition import batches
from compare.cells import CELLS, Form
from compare.commands import AGREE
from compare.commands.runs.trained import trained
from compare.page import derivation
from manual.activations import ACTIVATIONS

#: The network that is trained for the page: its hidden size and its training.
HIDDEN_SIZE, STEPS, BATCH_SIZE, LEARNING_RATE = 8, 300, 64, 0.03


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the cell and its form."""
    parser.description = (
        "Write a page that shows each equation of a cell with its lines of code, its values on binary addition and its "
        "error against autograd. It is one file, and needs no network."
    )
    parser.add_argument("--cell", type=str.lower, choices=tuple(CELLS), default="lstm", help="kind of recurrent layer")
    parser.add_argument("--proj-size", type=int, default=0, metavar="P", help="project an LSTM's output to P units")
    parser.add_argument("--peepholes", action="store_true", help="let the gates of an LSTM see the cell")
    parser.add_argument("--coupled", action="store_true", help="couple the input and forget gates of an LSTM")
    parser.add_argument("--reset-before", action="store_true", help="reset a GRU's state before the matrix product")
    parser.add_argument("--nonlinearity", choices=tuple(ACTIVATIONS), default="tanh", help="nonlinearity of an RNN")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="RUN",
        help="folder of a run on binary addition, whose weights and cell to show",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path("derivation.html"), help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace the file, if there is one")


def run(options: argparse.Namespace) -> int:
    """Train or load a network, and write its page."""
    if options.out.exists() and not options.force:
        raise ValueError(f"out: expected a new file, but {options.out} exists; --force replaces it")
    form = _form(options)
    if options.weights is None:
        model = _newly_trained(form)
        origin = derivation.origin(STEPS, BATCH_SIZE)
    elif form != Form(CELLS["lstm"]):
        raise ValueError("weights: expected no other option than out and force, since the run has its own cell")
    else:
        lockstep, summary = trained("weights", options.weights)
        model = lockstep.manual.model
        origin = derivation.origin(summary.get("steps_taken", summary["steps"]), summary.get("batch_size", 1))
    derivation.write(model, origin, options.out)
    print(f"Written to {options.out}")
    return AGREE


def _form(options: argparse.Namespace) -> Form:
    """Return the form of the cell."""
    given = {name: getattr(options, name) for name in ("proj_size", "peepholes", "coupled", "nonlinearity")}
    given["reset_after"] = not options.reset_before
    for cell in CELLS.values():
        for name in given.keys() & cell.options.keys() - CELLS[options.cell].options.keys():
            if given.pop(name) != cell.options[name].values[0]:
                flag = "reset_before" if name == "reset_after" else name
                raise ValueError(f"{flag}: expected only with --cell {cell.name}, got --cell {options.cell}")
    return Form(CELLS[options.cell], given)


def _newly_trained(form: Form) -> manual.Model:
    rng = np.random.default_rng(0)
    recurrent = form.layer(manual, 2, HIDDEN_SIZE, rng=rng)
    model = manual.Model(recurrent, manual.Linear(recurrent.output_size, 1, rng=rng))
    optimizer = manual.Adam(model.parameters, lr=LEARNING_RATE)
    _, d_loss = manual.LOSSES["bce"]
    with by_hand("training the network"):
        for x, y in batches(rng, derivation.BITS, BATCH_SIZE, STEPS, np.float64):
            logits, _, tape = model.forward(x)
            *_, gradients = model.backward(tape, d_loss(logits, y))
            optimizer.step(gradients)
    return model
