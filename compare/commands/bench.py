"""``bench``: time the hand-derived layers against others."""

import argparse
from dataclasses import replace
from typing import Any

from rich.console import Console

from compare.benchmark import machine, measure, report
from compare.benchmark.case import TimedCase
from compare.benchmark.contenders import CONTENDERS, own
from compare.benchmark.measure import Budget, Measured
from compare.cells import CELLS
from compare.commands import AGREE, DISAGREE
from compare.commands.output import add_out, console, make_ready

#: The cells, by the names of their classes.
NAMES = [cell.class_name for cell in CELLS.values()]

#: T, B, D, H: the sizes of LSTM; of GRU and RNN, and of LSTM with --quick; and of the training step.
SIZES = [
    (8, 1, 2, 16),
    (8, 1, 2, 32),
    (8, 64, 2, 16),
    (8, 64, 2, 32),
    (8, 256, 2, 64),
    (32, 64, 64, 128),
    (64, 64, 128, 256),
    (100, 32, 256, 512),
    (256, 1, 64, 256),
]
FEW_SIZES = [(8, 1, 2, 16), (8, 64, 2, 16), (32, 64, 64, 128)]
STEPS = [(8, 1, 2, 32), (8, 64, 2, 16)]

#: The sweeps: for each letter, the other three sizes in the order T, B, D, H, and its values; and those with --quick.
SWEEPS = {
    "H": ((16, 32, 16), (16, 32, 64, 128, 256, 512)),
    "B": ((16, 16, 64), (1, 4, 16, 64, 256)),
    "T": ((16, 16, 64), (2, 8, 32, 128, 512)),
}
QUICK_SWEEPS = {"H": (16, 64, 256), "B": (1, 16, 256), "T": (2, 16, 128)}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the contenders, the sizes and the time to spend."""
    parser.description = (
        "Time forward and backward of a layer, and a training step on binary addition, by hand and by other means. "
        "Each contender runs in a process of its own on the same cores. Their results are compared first; then they "
        "take turns. Without --quick this takes half an hour. Exit status: 0 the results agree, 1 they do not, 2 bad "
        "input."
    )
    parser.add_argument("--quick", action="store_true", help="three sizes, few rounds, float64, one thread")
    parser.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help=f"some of {', '.join(CONTENDERS)} (default: all installed). All are compared with the first, which is "
        "manual unless you begin with manual-compiled",
    )
    parser.add_argument(
        "--contender",
        action="append",
        default=[],
        metavar="FILE:FUNCTION",
        help="one of your own too, as my.py:make: make(case, inputs) returns a function that does the work once and "
        "returns outputs and gradients, two dicts of arrays by name (see compare/benchmark/README.md)",
    )
    parser.add_argument("--cells", nargs="+", type=str.upper, choices=NAMES, default=NAMES, help="kinds of layer")
    parser.add_argument("--sizes", nargs="+", metavar="T,B,D,H", help="sizes of the layers, instead of the usual ones")
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), help="default: both")
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="default: 1 and the number of cores")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where torch's modules run")
    parser.add_argument("--rounds", type=int, help="turns of each contender, at most (default: 9, quick 5)")
    parser.add_argument("--seconds", type=float, help="time limit for the rounds of a case (default: 15, quick 1)")
    parser.add_argument("--no-steps", action="store_true", help="leave out the training step")
    parser.add_argument("--no-sweeps", action="store_true", help="leave out the sweeps over H, B and T")
    add_out(parser, "folder for bench.json, .csv, .html and .png")


def run(options: argparse.Namespace) -> int:
    """Measure, write the results, and print them."""
    names = options.contenders or [name for name in measure.installed() if not options.quick or name != "compiled"]
    measure.check_contenders(names)
    CONTENDERS.update({place: own(place) for place in options.contender})
    names += options.contender
    names = list(dict.fromkeys(names if names[0].startswith("manual") else ["manual", *names]))
    budget = _budget(options)
    if options.device == "cuda":
        import torch  # whose threads this process can do without otherwise

        if not torch.cuda.is_available():
            raise ValueError("device: expected a GPU for cuda, but torch finds none")
    cases = [(replace(case, device=options.device), letter) for case, letter in _cases(options)]
    make_ready(options.out)
    errors = Console(stderr=True)
    done: list[Measured] = []

    def show_progress(one: Measured) -> None:
        done.append(one)
        if errors.is_terminal:
            errors.print(f"{len(done)} of {len(cases)}: {one.case.cell} {one.case.size} {one.case.dtype}")

    here = machine.describe()
    measured = measure.run(cases, names, budget, show_progress)
    report.show(here, measured, console(160))
    report.write(here, measured, options.out)
    print(f"Written to {options.out}")
    return AGREE if all(one.agrees for one in measured) else DISAGREE


def _budget(options: argparse.Namespace) -> Budget:
    rounds, seconds, turn = (5, 1.0, 0.005) if options.quick else (9, 15.0, 0.1)
    budget = Budget(
        rounds if options.rounds is None else options.rounds,
        seconds if options.seconds is None else options.seconds,
        turn,
    )
    for name in ("rounds", "seconds"):
        if not getattr(budget, name) > 0:
            raise ValueError(f"{name}: expected more than 0, got {getattr(budget, name)}")
    return budget


def _cases(options: argparse.Namespace) -> list[tuple[TimedCase, str]]:
    """List all cases, each with the letter of its sweep, or an empty string."""
    cores = len(machine.available_cores())
    threads = options.threads or ([1] if options.quick else sorted({1, cores}))
    if not all(1 <= count <= cores for count in threads):
        raise ValueError(f"threads: expected numbers from 1 to {cores}, the number of cores, got {threads}")
    dtypes = options.dtypes or (["float64"] if options.quick else ["float64", "float32"])
    cases = []
    for count in threads:
        for dtype in dtypes:
            for cell in options.cells:
                usual = FEW_SIZES if options.quick or cell != "LSTM" else SIZES
                sizes = [_size(text) for text in options.sizes] if options.sizes else usual
                cases += [(TimedCase("layer", cell, *size, dtype, count), "") for size in sizes]
            if not options.no_steps:
                cases += [(TimedCase("step", "LSTM", *size, dtype, count), "") for size in STEPS]
    if not options.no_sweeps:
        for letter, (fixed, values) in SWEEPS.items():
            for value in QUICK_SWEEPS[letter] if options.quick else values:
                letters: dict[str, Any] = dict(zip([other for other in "TBDH" if other != letter], fixed)) | {
                    letter: value
                }
                cases.append((TimedCase("layer", "LSTM", **letters, dtype=dtypes[0], threads=threads[0]), letter))
    return cases


def _size(text: str) -> tuple[int, int, int, int]:
    try:
        T, B, D, H = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"sizes: expected T,B,D,H as in 8,64,2,16, got {text!r}") from None
    if min(T, B, D, H) < 1:
        raise ValueError(f"sizes: expected T, B, D and H of at least 1, got {text!r}")
    return T, B, D, H
