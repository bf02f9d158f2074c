"""``add``: add two numbers with the trained weights of a run."""

import argparse
import sys
from pathlib import Path

from compare.agreement import by_hand, difference
from compare.binary_addition import sum_of
from compare.commands import AGREE, DISAGREE, UNDECIDED
from compare.commands.output import to_whoever_reads
from compare.commands.runs.trained import trained
from compare.lockstep.rounding import Rounding


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder and the numbers."""
    parser.description = (
        "Add two whole numbers of any size with the trained weights of a run, by hand and by autograd. Exit status: 0 "
        "the sides agree, be the sum right or wrong, 1 they do not, 2 bad input, 5 rounding alone moves the logits too "
        "far to tell."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run on binary addition")
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a whole number, as 123 or 0b1111011")


def run(options: argparse.Namespace) -> int:
    """Add, and print the bits of the carry, of both numbers and of both sides' sums."""
    sys.set_int_max_str_digits(0)
    a, b = _whole("A", options.a), _whole("B", options.b)
    lockstep, _ = trained("RUN", options.run)
    sums = sum_of(a, b)
    x = sums.inputs(lockstep.manual.model.recurrent.dtype)
    with by_hand("adding"):
        ours = lockstep.manual.logits(x)
    logits = {"manual": ours, "autograd": lockstep.autograd.logits(x)}
    found = difference("logits", logits["manual"], logits["autograd"], lockstep.tolerance)
    judged = Rounding(lockstep.autograd, lambda: {"logits": lockstep.autograd.logits(x)}).judge(found)
    with to_whoever_reads():
        bits = len(sums.total)
        print(f"{'carry':<10}{a ^ b ^ (a + b):0{bits}b}")
        for label, number in (("a", a), ("+ b", b)):
            print(f"{label:<10}{number:0{bits}b}  {number}")
        for side, z in logits.items():
            digits = "".join("1" if positive else "0" for positive in z[::-1, 0, 0] > 0)
            number = int(digits, 2)
            print(f"{side:<10}{digits}  {number}  {'right' if number == a + b else f'wrong, it is {a + b}'}")
        words = found.problem or f"relative error of the logits {found.error:.1e}"
        if judged is None:
            print(f"UNDECIDED: {words}, of which rounding alone explains as much")
            return UNDECIDED
        print(f"{'AGREE' if judged.agrees else 'DISAGREE'}: {words}")
    return AGREE if judged.agrees else DISAGREE


def _whole(name: str, text: str) -> int:
    """Return a whole number written in decimal, or in binary after 0b."""
    binary = text.startswith(("0b", "0B"))
    digits = text[2:] if binary else text
    if not digits or not set(digits) <= set("01" if binary else "0123456789"):
        raise ValueError(f"{name}: expected a whole number of at least 0, as 123 or 0b1111011, got {text!r}")
    return int(digits, 2 if binary else 10)
