"""A loop over NumPy operations, which HIPS autograd traces and differentiates in every run."""

from typing import Any

import autograd.numpy as anp
from autograd import make_vjp
from autograd.builtins import tuple as traced_tuple

import manual
from compare.benchmark.case import LEARNING_RATE, Inputs, Result, TimedCase, Work, layer_result, step_gradients
from compare.cells import CELLS
from compare.cells.functional import bce, input_products, step


def build(case: TimedCase, inputs: Inputs) -> Work:
    """Build the function that is traced, and for a training step the Adam of ``manual``."""
    names = list(inputs.weights)

    def forward(weights: Any, x: Any, state: Any) -> Any:
        from_x = input_products(anp, case.cell, weights, x)
        outputs = []
        for t in range(case.T):
            state = step(anp, case.cell, weights, from_x[t], state)
            outputs.append(state[0])
        return anp.stack(outputs), state

    if case.task == "step":
        initial = tuple(anp.zeros((case.B, case.H), case.dtype) for _ in CELLS[case.cell.lower()].states)
        values = [a.copy() for a in [*inputs.weights.values(), *inputs.readout.values()]]
        optimizer = manual.Adam(dict(zip(step_gradients(inputs.weights, inputs.readout), values)), lr=LEARNING_RATE)

        def loss_and_logits(parameters: Any) -> Any:
            output, _ = forward(dict(zip(names, parameters)), inputs.x, initial)
            logits = anp.dot(output, parameters[len(names)].T) + parameters[len(names) + 1]
            return traced_tuple((bce(anp, logits, inputs.d_output), logits))

        d_loss = (anp.ones((), case.dtype), anp.zeros((case.T, case.B, 1), case.dtype))

        def train() -> Result:
            backward, (loss, logits) = make_vjp(loss_and_logits)(tuple(values))
            gradients = dict(zip(optimizer.parameters, backward(d_loss)))
            optimizer.step(gradients)
            return Result({"loss": loss, "logits": logits}, gradients)

        return train

    def outputs_of(arguments: Any) -> Any:
        weights, (x, *state) = dict(zip(names, arguments[: len(names)])), arguments[len(names) :]
        output, last = forward(weights, x, tuple(state))
        return traced_tuple((output, *last))

    arguments = (*inputs.weights.values(), inputs.x, *inputs.state)
    incoming = (inputs.d_output, *inputs.d_state)

    def run() -> Result:
        backward, (output, *last) = make_vjp(outputs_of)(arguments)
        gradients = backward(incoming)
        d_x, *d_initial = gradients[len(names) :]
        return layer_result(output, last, d_x, d_initial, {f"{name}_l0": g for name, g in zip(names, gradients)})

    return run
