"""Measure how often a fault in the equations is found without a probe: ``PYTHONPATH=tests python -m catalogue.lines``.

Each layer is checked as anybody's pair of functions. It prints the faults whose line is not named alone or with one
other, and those for which no line that is right was found; then the shares. It takes a few minutes.
"""

import sys
import warnings

import numpy as np
import torch
from torch.func import functional_call

import manual
import torch_impl
from catalogue import FAULTS, EquationFault
from catalogue.broken import broken
from compare import check_backward
from compare.cells import CELLS
from compare.cells.check import B, D, H, T
from compare.checker.report.report import Report
from manual.arrays import as_state, state_parts


def checked(fault: EquationFault) -> Report:
    """Check a layer with a fault, whose file has to be there until its lines are sought."""
    kind = CELLS[fault.cell]
    layer = kind.of(manual)(D, H, **fault.options, rng=np.random.default_rng(0))
    twin = kind.of(torch_impl)(D, H, dtype=torch.float64, **fault.options)
    for sweep in layer.sweeps:
        sweep.fast = None  # the equations
    batch = len(fault.lengths) if fault.lengths else B

    def forward(p, x, *state):
        layer.parameters.update(p)
        output, last, tape = layer.forward(x, as_state(state), lengths=fault.lengths)
        return output, *state_parts(last), tape

    def backward(p, tape, d_output, *d_state):
        d_x, d_initial, gradients = layer.backward(tape, d_output, as_state(d_state))
        return d_x, *state_parts(d_initial), gradients

    def reference(p, x, *state):
        output, last = functional_call(twin, p, (x, as_state(state)), {"lengths": fault.lengths})
        return output, *state_parts(last)

    states = {f"{name}_0": (len(layer.sweeps), batch, size) for name, size in layer.state_sizes.items()}
    inputs = {"x": (max(fault.lengths or (T,)), batch, D)} | states
    shapes = {name: array.shape for name, array in layer.parameters.items()}
    return check_backward(forward, backward, reference, inputs, parameters=shapes)


def found(fault: EquationFault) -> tuple[bool, bool]:
    """Whether the line is named, alone or with one other, and whether the line that is right is given."""
    with broken(fault) as lines:
        report = checked(fault)
        named = {one.line for wrong in report.wrong_lines for one in wrong.changes}
    return lines <= named and len(named) <= len(lines) + 1, report.placed


def main() -> None:
    warnings.simplefilter("ignore")
    chosen = [fault for fault in FAULTS if all(word in f"{fault.cell}: {fault.title}" for word in sys.argv[1:])]
    results = []
    for fault in chosen:
        results.append(found(fault))
        if not all(results[-1]):
            words = [word for word, there in zip(("line", "repair"), results[-1]) if not there]
            print(f"{fault.cell}: {fault.title}: no {' and no '.join(words)}")
    for word, its in zip(("the line named", "mended"), zip(*results)):
        print(f"{word}: {sum(its)} of {len(its)} ({sum(its) / len(its):.0%})")


if __name__ == "__main__":
    main()
