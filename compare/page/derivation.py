"""``derivation.html``: each equation of a cell with its formula, code, value on binary addition, and error."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np

import manual
import torch_impl
from compare.agreement import by_hand
from compare.binary_addition import Sums, digits, random_sums
from compare.cells import Form
from compare.cells.check import compare_layer
from compare.cells.layer import form_of
from compare.checker.derivations.problem import Problem
from compare.checker.report.quantities import quantity
from compare.page import diagram
from compare.page.equations import SHARED, Row, for_script, rows_of
from compare.page.render import render
from compare.page.sources import ROOT, formulas, lines
from manual.arrays import Array

#: The bits of the sums on the page, and the sums: what each shows, and its two addends.
BITS = 8
SUMS = {"no carry": (37, 66), "one carry": (21, 4), "longest carry": (127, 1)}

#: The number of random sums by which the network is judged.
FEW = 1000

#: The step that the page opens at.
STEP = 3

#: The largest number of units on the page, so that a large network is drawn as quickly as a small one.
UNITS = 16

#: The layer on the page, of a stack.
SUFFIX = "_l0"


def write(model: manual.Model, origin: str, path: Path) -> None:
    """Write the page of a trained network that adds two bits a step, its first layer; a Disagreement if it raises."""
    layer = model.recurrent
    form = form_of(layer)
    sums = Sums.adding(*(digits(np.array(side), BITS) for side in zip(*SUMS.values())))
    rows, inputs, lengths = _compared(model, form, sums)
    everything = [one for row in rows for one in row.quantities] + inputs
    few = random_sums(np.random.default_rng(0), BITS, FEW)
    memory = form.cell.states[-1]
    with by_hand("adding"):
        logits, _, _ = model.forward(sums.inputs(layer.dtype), training=False)
        right = few.share_correct(model.forward(few.inputs(layer.dtype), training=False)[0])
        unit, correlation = _unit_of_carry(model, memory, few)
    (states,) = (one["actual"] for one in everything if one["name"] == memory)
    table = [
        _sum(name, sums, logits, row) | {"memory": [step[unit] for step in states[row]], "reach": lengths[row]}
        for row, name in enumerate(SUMS)
    ]
    render(
        "derivation.html",
        {
            "title": form.title,
            "origin": origin,
            "layers": layer.num_layers * layer.directions,
            "rows": rows,
            "sums": table,
            "row": len(SUMS) - 1,
            "step": STEP,
            **SHARED,
            "diagram": diagram.of_cell(form.cell, everything) if form.cell.places else diagram.in_order(everything),
            "by_label": {one["label"]: one for one in everything},
            "right": right,
            "few": FEW,
            "memory": memory,
            "unit": unit,
            "correlation": correlation,
            "tolerance": max(one["limit"] for row in rows for one in row.quantities),
            "error": max(float(row.error) for row in rows),
        },
        {"quantities": {one["label"]: for_script(one) for one in everything}, "sums": table, "steps": BITS},
        path,
    )


def origin(steps: int, batch_size: int) -> str:
    """Say how a network was trained."""
    return f"trained for {steps:,} step{'s' * (steps != 1)} of {batch_size} sum{'s' * (batch_size != 1)}"


def _compared(model: manual.Model, form: Form, sums: Sums) -> tuple[list[Row], list[dict[str, Any]], list[list[float]]]:
    """Return a row for each equation of the first layer, compared with autograd, and what goes into the layer.

    And for each sum the length of the gradient of its memory at each step, as a share of that at the last.
    """
    layer = model.recurrent
    stacked = {name: getattr(layer, name) for name in ("num_layers", "bias", "bidirectional")}
    twin = form.layer(torch_impl, layer.input_size, layer.hidden_size, **stacked)
    x = sums.inputs(layer.dtype)
    with by_hand("each equation"):
        compared = compare_layer(layer, twin, _problem(model, x, sums.targets(layer.dtype)))
    (d_memory,) = (one.actual for one in compared if one.name.removesuffix(SUFFIX) == f"d_{form.cell.states[-1]}")
    quantities = [quantity(one, form, UNITS) for one in compared if "_l" not in one.name or one.name.endswith(SUFFIX)]
    shown = [one | {key: one[key].replace(SUFFIX, "") for key in ("name", "whole", "label")} for one in quantities]
    rows = rows_of([one for one in shown if one["equation"]], formulas())
    _add_code(rows, Path(inspect.getfile(type(layer.kernel))), Path(inspect.getfile(type(twin.cell))))
    states = [one | {"id": ""} for one in shown if one["name"].endswith("_prev") and not one["backward"]]
    return sorted(rows, key=lambda row: row.lines[0].number), [*states, _input(x)], _reach(np.stack(d_memory))


def _problem(model: manual.Model, x: Array, y: Array) -> Problem:
    """Return the arguments of the recurrent layers, with the gradient of the loss of the last bit of each sum."""
    layer = model.recurrent
    logits, _, (_, tape, *_) = model.forward(x, training=False)
    _, d_loss = manual.LOSSES["bce"]
    d_logits = np.zeros_like(logits)
    d_logits[-1] = d_loss(logits[-1], y[-1])
    d_output, _ = model.readout.backward(tape, d_logits)
    K = layer.num_layers * layer.directions
    states = {name: np.zeros((K, x.shape[1], size), layer.dtype) for name, size in layer.state_sizes.items()}
    return Problem(
        dict(layer.parameters),
        {"x": x} | {f"{name}_0": state for name, state in states.items()},
        {"output": d_output} | {f"{name}_n": state for name, state in states.items()},
    )


def _add_code(rows: list[Row], by_hand: Path, for_autograd: Path) -> None:
    """Add to each row the lines of both files that carry its number; a line of the backward pass only by hand."""
    for path, needed in ((by_hand, rows), (for_autograd, [row for row in rows if not row.backward])):
        found = lines(path)
        for row in needed:
            if row.number not in found:
                raise ValueError(f"({row.number}): expected a line in {path.relative_to(ROOT)}, got none")
            row.lines += found[row.number]


def _input(x: Array) -> dict[str, Any]:
    """Return the input as a quantity."""
    values = [[[float(bit) for bit in step] for step in row] for row in x.swapaxes(0, 1)]
    return {
        **{"name": "x", "whole": "x", "label": "x", "kind": "input", "backward": False, "id": "", "equation": ""},
        **{"actual": values, "steps": list(range(len(x))), "errors": [], "formula": ""},
    }


def _sum(name: str, sums: Sums, logits: Array, row: int) -> dict[str, Any]:
    """Return one sum, bit by bit."""
    a, b, total = (array[:, row] for array in (sums.a, sums.b, sums.total))
    numbers = [int((bits << np.arange(BITS)).sum()) for bits in (a, b, total)]
    bits = {"carry": a ^ b ^ total, "a": a, "b": b, "sum": total, "network": (logits[:, row, 0] > 0).astype(int)}
    return {
        "name": name,
        "text": "{} + {} = {}".format(*numbers),
        "bits": {name: [int(bit) for bit in row] for name, row in bits.items()},
    }


def _reach(gradients: Array) -> list[list[float]]:
    """Return the lengths of gradients (T, B, H) by row and step, as shares of that at the last step."""
    lengths = np.linalg.norm(gradients, axis=2).T
    return [[float(f"{length / (row[-1] or 1.0):.1g}") for length in row] for row in lengths]


def _unit_of_carry(model: manual.Model, memory: str, sums: Sums) -> tuple[int, float]:
    """Return which of the units shown follows the carry most closely, and its correlation with it."""
    states: dict[int, Array] = {}

    def record(name: str, t: int, value: Array) -> Array:
        if name == memory + SUFFIX:
            states[t] = value
        return value

    model.recurrent.forward(sums.inputs(model.recurrent.dtype), training=False, probe=record)
    carry = (sums.a ^ sums.b ^ sums.total)[1:].ravel()  # into a step is out of the step before
    state = np.concatenate([states[t] for t in range(BITS - 1)])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.nan_to_num([np.corrcoef(unit, carry)[0, 1] for unit in state.T[:UNITS]])
    unit = int(np.argmax(np.abs(found)))
    return unit, float(found[unit])
